/** `openclaw channels`. */
import { age } from '../answer.ts'
import type { Command } from '../command.ts'
import { text } from '../document.ts'
import { EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const channels: Command = {
  summary: 'Channels: by what ways messages come and go, and how those do.',
  verbs: { list: '' },
  run: async ({ json }, world) => {
    const { out } = world
    const { page, rows } = await (await Remote.find(world)).list('/v1/channels')
    const now = Date.now()
    if (json) out.json(page)
    else {
      out.table(
        rows,
        [
          { title: 'NAME', cell: (row) => text(row['name']), whole: true },
          { title: 'KIND', cell: (row) => text(row['kind']) },
          { title: 'STATE', cell: (row) => text(row['state']), whole: true },
          { title: 'LAST IN', cell: (row) => age(row['last_inbound_at'], now) },
          { title: 'LAST OUT', cell: (row) => age(row['last_sent_at'], now) },
          { title: 'WHY', cell: (row) => text(row['reason']) },
        ],
        'No channels.',
      )
    }
    return EXIT.ok
  },
}
