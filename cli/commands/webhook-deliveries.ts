/** `openclaw webhooks deliveries|delivery|test|redeliver|recover`: what was sent, another try, and what was missed. */
import { setTimeout as wait } from 'node:timers/promises'
import type { JsonObject } from '#contract'
import { age, time } from '../answer.ts'
import type { Call, World } from '../command.ts'
import { documentIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import type { Remote } from '../remote.ts'
import { timeOf } from '../whole-seconds.ts'

const POLL_MS = 200

const webhookPath = ({ words }: Call): string => `/v1/webhooks/${encodeURIComponent(words[0] ?? '')}`
const deliveryPath = (id: string): string => `/v1/webhook-deliveries/${encodeURIComponent(id)}`

export async function deliveries(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const query = { status: call.text('status'), type: call.text('type'), limit: call.text('limit') ?? 20 }
  const { page, rows, hasMore } = await remote.list(`${webhookPath(call)}/deliveries`, query)
  const now = Date.now()
  if (call.json) out.json(page)
  else {
    out.table(
      rows,
      [
        { title: 'ID', cell: (row) => text(row['id']), whole: true },
        { title: 'STATUS', cell: (row) => text(row['status']), whole: true },
        { title: 'AGE', cell: (row) => age(row['created_at'], now), whole: true },
        { title: 'TRIES', cell: (row) => text(row['attempts']), whole: true },
        { title: 'EVENT', cell: (row) => text(row['type']) },
      ],
      'Nothing was sent to it yet.',
    )
    if (hasMore) out.note('There are more; see --limit, or --json for the cursor.')
  }
  return EXIT.ok
}

export async function delivery(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const found = await remote.get(deliveryPath(call.words[0] ?? ''))
  if (call.json) out.json(found)
  else {
    out.pairs([
      ['id', text(found['id'])],
      ['webhook', text(found['webhook_id'])],
      ['event', `${text(found['type'])} ${text(found['event_id'])}`],
      ['status', text(found['status'])],
      ['next', found['due_at'] ? time(found['due_at']) : '-'],
      ...attemptsIn(found).map((attempt): [string, string] => [
        `try ${text(attempt['number'])}`,
        `${time(attempt['at'])} ${outcomeOf(attempt)}`,
      ]),
      ['data', JSON.stringify(found['data'] ?? null, null, 2)],
    ])
  }
  return EXIT.ok
}

export async function test(call: Call, world: World, remote: Remote): Promise<ExitCode> {
  const { body } = await remote.ask(`${webhookPath(call)}/test`, { method: 'POST', body: {} })
  return follow(call, world, remote, text(documentIn(body)['id']))
}

export async function redeliver(call: Call, world: World, remote: Remote): Promise<ExitCode> {
  const { body } = await remote.ask(`${deliveryPath(call.words[0] ?? '')}/redeliver`, { method: 'POST', body: {} })
  return follow(call, world, remote, text(documentIn(body)['id']))
}

export async function recover(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const since = call.text('since')
  if (since === undefined) throw new CommandError('--since is missing: from when on? For example --since 6h.', EXIT.usage)
  const [until, status] = [call.text('until'), call.text('status')]
  const { body } = await remote.ask(`${webhookPath(call)}/recover`, {
    method: 'POST',
    body: {
      since: timeOf('since', since),
      ...(until !== undefined && { until: timeOf('until', until) }),
      ...(status !== undefined && { status }),
    },
  })
  const answer = documentIn(body)
  if (call.json) out.json(answer)
  else out.note(`${text(answer['recovered'])} are on their way again.${answer['more'] === true ? ' There are more: call it again.' : ''}`)
  return EXIT.ok
}

/** Waits for the outcome of a single attempt. */
async function follow(call: Call, { out, signal }: World, remote: Remote, id: string): Promise<ExitCode> {
  const seconds = Number(call.text('timeout') ?? 20)
  if (!(seconds > 0 && seconds <= 300)) throw new CommandError('--timeout is a number of seconds from 1 to 300.', EXIT.usage)
  const until = Date.now() + seconds * 1_000
  let found = await remote.get(deliveryPath(id))
  while (found['status'] === 'pending' && Date.now() < until) {
    await wait(POLL_MS, undefined, { signal }).catch((error: unknown) => {
      throw new CommandError('Interrupted.', EXIT.failed, error)
    })
    found = await remote.get(deliveryPath(id))
  }
  const last = attemptsIn(found).at(-1)
  if (call.json) out.json(found)
  else if (found['status'] === 'pending') out.note(`${id} is still on its way.`)
  else out.note(`${found['status'] === 'ok' ? 'It arrived' : 'It did not arrive'}: ${last === undefined ? '-' : outcomeOf(last)}`)
  return found['status'] === 'ok' ? EXIT.ok : EXIT.failed
}

function attemptsIn(found: JsonObject): readonly JsonObject[] {
  const log = found['log']
  return Array.isArray(log) ? log.map(documentIn) : []
}

function outcomeOf(attempt: JsonObject): string {
  const error = documentIn(attempt['error'])
  const why = attempt['error'] ? `${text(error['code'])}: ${text(error['message'])}` : `answered ${text(attempt['status'])}`
  return `${why} (${text(attempt['latency_ms'])} ms)`
}
