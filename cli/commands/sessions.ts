/** `openclaw sessions`: what agents remember of whom, how they forget, and how all that was said is erased. */
import { age, time } from '../answer.ts'
import type { Command } from '../command.ts'
import { text } from '../document.ts'
import { EXIT } from '../exit.ts'
import { plain } from '../output.ts'
import { Remote } from '../remote.ts'

export const sessions: Command = {
  summary:
    'Sessions: the memory of one agent with one sender. "show" prints what was said, "reset" makes it forget, "erase" deletes all of it for good.',
  verbs: { list: '', show: '<id>', reset: '<id>', erase: '<id>' },
  options: {
    agent: { value: 'NAME', help: 'list: only this agent' },
    channel: { value: 'NAME', help: 'list: only this channel' },
    limit: { value: 'N', help: 'how many (20)' },
  },
  run: async (call, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    const path = `/v1/sessions/${encodeURIComponent(call.words[0] ?? '')}`
    const limit = call.text('limit') ?? 20
    if (call.verb === 'reset') {
      const { body } = await remote.ask(`${path}/reset`, { method: 'POST' })
      if (call.json) out.json(body)
      else out.note('Forgotten. The next message begins anew.')
      return EXIT.ok
    }
    if (call.verb === 'erase') {
      await remote.ask(path, { method: 'DELETE' })
      if (call.json) out.json({ id: call.words[0] ?? '', status: 'erased' })
      else out.note('Erased: messages, replies, steps and dead letters. The audit keeps that it was done.')
      return EXIT.ok
    }
    if (call.verb === 'show') {
      const { page, rows } = await remote.list(`${path}/messages`, { limit })
      if (call.json) out.json(page)
      for (const row of call.json ? [] : rows.toReversed()) {
        out.line(out.style('dim', `${time(row['at'])} ${text(row['role'])}${row['skill'] === undefined ? '' : ` ${text(row['skill'])}`}`))
        out.line(plain(text(row['text'])))
      }
      return EXIT.ok
    }
    const { page, rows, hasMore } = await remote.list('/v1/sessions', { agent: call.text('agent'), channel: call.text('channel'), limit })
    const now = Date.now()
    if (call.json) out.json(page)
    else {
      out.table(
        rows,
        [
          { title: 'STATUS', cell: (row) => text(row['status']), whole: true },
          { title: 'MESSAGES', cell: (row) => text(row['messages']), whole: true },
          { title: 'CHANGED', cell: (row) => age(row['updated_at'], now), whole: true },
          { title: 'ID', cell: (row) => text(row['id']), whole: true },
        ],
        'No sessions.',
      )
      if (hasMore) out.note('There are more; see --limit, or --json for the cursor.')
    }
    return EXIT.ok
  },
}
