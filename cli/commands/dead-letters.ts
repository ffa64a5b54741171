/** `openclaw dead-letters`: what was given up; another try, also with other words; or the end of it. */
import type { JsonValue } from '#contract'
import { age, time } from '../answer.ts'
import type { Command } from '../command.ts'
import { documentIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const deadLetters: Command = {
  summary:
    'Dead letters: messages, replies, runs of skills and events for webhooks that were given up, kept whole. "replay" tries again, "discard" ends it.',
  verbs: { list: '', show: '<id>', replay: '<id>', discard: '<id>' },
  options: {
    kind: { value: 'KIND', help: 'list: message, delivery, run or webhook' },
    channel: { value: 'NAME', help: 'list: only this channel' },
    reason: { value: 'CODE', help: 'list: only this reason' },
    status: { value: 'STATUS', help: 'list: open (default), replayed or discarded' },
    limit: { value: 'N', help: 'list: how many (20)' },
    payload: { value: 'TEXT', help: 'replay: with these words instead; JSON if it begins with { or [' },
  },
  run: async (call, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    const id = call.words[0] ?? ''
    const path = `/v1/dead-letters/${encodeURIComponent(id)}`
    switch (call.verb) {
      case 'replay': {
        const payload = call.text('payload')
        const { body } = await remote.ask(`${path}/replay`, {
          method: 'POST',
          body: payload === undefined ? {} : { payload: readPayload(payload) },
        })
        const answer = documentIn(body)
        const as = text(answer['message_id']) || text(answer['run_id'])
        if (call.json) out.json(answer)
        else out.note(`${id} is on its way again${as === '' ? '' : ` as ${as}`}.`)
        return EXIT.ok
      }
      case 'discard':
        await remote.ask(path, { method: 'DELETE' })
        if (call.json) out.json({ id, status: 'discarded' })
        else out.note(`${id} is discarded.`)
        return EXIT.ok
      case 'show': {
        const letter = await remote.get(path)
        const reason = documentIn(letter['reason'])
        if (call.json) out.json(letter)
        else {
          out.pairs([
            ['id', text(letter['id'])],
            ['kind', `${text(letter['kind'])} ${text(letter['ref'])}`],
            ['status', text(letter['status'])],
            letter['kind'] === 'run' ? ['skill', text(letter['skill'])] : ['channel', text(letter['channel']) || '-'],
            ['session', text(letter['session']) || '-'],
            ['reason', `${text(reason['code'])}: ${text(reason['message'])}`],
            ['attempts', text(letter['attempts'])],
            ['given up', time(letter['created_at'])],
            ['content', JSON.stringify(letter['content'] ?? null, null, 2)],
          ])
        }
        return EXIT.ok
      }
      default: {
        const query = {
          kind: call.text('kind'),
          channel: call.text('channel'),
          reason: call.text('reason'),
          status: call.text('status') ?? 'open',
        }
        const { page, rows, hasMore } = await remote.list('/v1/dead-letters', { ...query, limit: call.text('limit') ?? 20 })
        const now = Date.now()
        if (call.json) out.json(page)
        else {
          out.table(
            rows,
            [
              { title: 'ID', cell: (row) => text(row['id']), whole: true },
              { title: 'KIND', cell: (row) => text(row['kind']), whole: true },
              { title: 'AGE', cell: (row) => age(row['created_at'], now), whole: true },
              { title: 'OF', cell: (row) => text(row['skill']) || text(row['channel']) },
              { title: 'REASON', cell: (row) => text(documentIn(row['reason'])['code']) },
            ],
            'No dead letters.',
          )
          if (hasMore) out.note('There are more; see --limit, or --json for the cursor.')
        }
        return EXIT.ok
      }
    }
  },
}

function readPayload(payload: string): JsonValue {
  if (!/^\s*[{[]/.test(payload)) return payload
  try {
    return JSON.parse(payload) as JsonValue
  } catch {
    throw new CommandError('--payload begins like JSON and is none. Mend it, or begin with another character for plain words.', EXIT.usage)
  }
}
