/** `openclaw agents`. */
import type { Command } from '../command.ts'
import { text, wordsIn } from '../document.ts'
import { EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'
import { jsonIn } from './routes.ts'

export const agents: Command = {
  summary: 'Agents: those of the configuration and those registered over the API.',
  verbs: { list: '', set: '<name> <json>', reset: '<name>' },
  run: async ({ verb, words, json }, world) => {
    const { out } = world
    const [name = '', patch = ''] = words
    if (verb !== 'list') {
      const remote = await Remote.find(world)
      const path = `/v1/agents/${encodeURIComponent(name)}`
      const { body } = await remote.ask(
        path,
        verb === 'set'
          ? { method: 'PATCH', body: jsonIn(patch, `What is to be changed, like '{"description": "…"}',`) }
          : { method: 'DELETE' },
      )
      if (json) out.json(body)
      else out.note(verb === 'set' ? `${name} is changed for turns from now on.` : `${name} is as openclaw.yaml has it, or gone.`)
      return EXIT.ok
    }
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
