/** `openclaw agents`. */
import type { Command } from '../command.ts'
import { text, wordsIn } from '../document.ts'
import { EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const agents: Command = {
  summary: 'Agents: those of the configuration and those registered over the API.',
  verbs: { list: '' },
  run: async ({ json }, world) => {
    const { out } = world
    const { page, rows } = await (await Remote.find(world)).list('/v1/agents')
    if (json) out.json(page)
    else {
      out.table(
        rows,
        [
          { title: 'NAME', cell: (row) => text(row['name']), whole: true },
          { title: 'VERSION', cell: (row) => text(row['version']) },
          { title: 'RUNNING', cell: (row) => text(row['running_turns']), whole: true },
          { title: 'MODELS', cell: (row) => wordsIn(row['models']).join(', ') },
          { title: 'DESCRIPTION', cell: (row) => text(row['description']) },
        ],
        'No agents.',
      )
    }
    return EXIT.ok
  },
}
