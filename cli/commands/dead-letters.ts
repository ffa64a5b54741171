/** `openclaw dead-letters`: what was given up; another try, of one also with other words, or of many; or the end of it. */
import type { JsonValue } from '#contract'
import { age, time } from '../answer.ts'
import type { Call, Command, World } from '../command.ts'
import { documentIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { Remote } from '../remote.ts'
import { pastTime } from '../past-time.ts'

export const deadLetters: Command = {
  summary:
    'Dead letters: messages, replies, runs of skills and events for webhooks that were given up, kept whole. "replay" tries one or many again, "discard" ends it.',
  verbs: { list: '', show: '<id>', replay: '[id]', discard: '<id>' },
  options: {
    kind: { value: 'KIND', help: 'list, replay: message, delivery, run or webhook' },
    channel: { value: 'NAME', help: 'list, replay: only this channel' },
    reason: { value: 'CODE', help: 'list, replay: only this reason' },
    since: { value: 'TIME', help: 'list, replay: given up from then on; ISO 8601, or a duration ago like 6h' },
    until: { value: 'TIME', help: 'list, replay: given up before then' },
    status: { value: 'STATUS', help: 'list: open (default), replayed or discarded' },
    limit: { value: 'N', help: 'list: how many (20); replay: how many at most (100)' },
    rate: { value: 'N', help: 'replay: so many a second; without it as fast as it goes' },
    all: { help: 'replay: whatever is open' },
    'dry-run': { help: 'replay: only say how many it would be' },
    payload: { value: 'TEXT', help: 'replay: with these words instead; JSON if it begins with { or [' },
  },
  run: async (call, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    const id = call.words[0] ?? ''
    const path = `/v1/dead-letters/${encodeURIComponent(id)}`
    switch (call.verb) {
      case 'replay': {
        if (id === '') return replayMany(call, world, remote)
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
          ...span(call),
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

async function replayMany(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const [kind, channel, reason] = ['kind', 'channel', 'reason'].map((name) => call.text(name))
  const filter = { ...(kind && { kind }), ...(channel && { channel }), ...(reason && { reason }), ...span(call) }
  if (Object.keys(filter).length === 0 && !call.has('all'))
    throw new CommandError(
      'Which? Give an id, or --kind, --channel, --reason, --since or --until, or --all for whatever is open.',
      EXIT.usage,
    )
  if (call.has('payload')) throw new CommandError('--payload is for one letter: give its id.', EXIT.usage)
  const [limit, rate] = [numberOf('limit', call), numberOf('rate', call)]
  const isDry = call.has('dry-run')
  const { body } = await remote.ask('/v1/dead-letters/replay', {
    method: 'POST',
    body: { filter, ...(limit !== null && { limit }), ...(rate !== null && { rate }), ...(isDry && { dry_run: true }) },
  })
  const answer = documentIn(body)
  if (call.json) {
    out.json(answer)
    return EXIT.ok
  }
  const [count, matched] = [Number(answer['count']), Number(answer['matched'])]
  const until = rate === null || count < 2 ? '' : ` The last of them goes out at ${time(answer['last_at'])}.`
  out.note(`${count} of ${matched} ${isDry ? 'would be' : 'are'} replayed.${until}${matched > count ? ' For the rest call it again.' : ''}`)
  return EXIT.ok
}

function numberOf(option: string, call: Call): number | null {
  const given = call.text(option)
  if (given === undefined) return null
  const number = Number(given)
  if (number > 0) return number
  throw new CommandError(`--${option} ${given} is no number above 0.`, EXIT.usage)
}

function span(call: Call): { readonly since?: string; readonly until?: string } {
  const [since, until] = [pastTime('since', call), pastTime('until', call)]
  return { ...(since !== undefined && { since }), ...(until !== undefined && { until }) }
}

function readPayload(payload: string): JsonValue {
  if (!/^\s*[{[]/.test(payload)) return payload
  try {
    return JSON.parse(payload) as JsonValue
  } catch {
    throw new CommandError('--payload begins like JSON and is none. Mend it, or begin with another character for plain words.', EXIT.usage)
  }
}
