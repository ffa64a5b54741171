/** `openclaw channels test`: is the channel open, and, with an address, does a message get there. */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import type { JsonObject } from '#contract'
import { channelPath } from '../channel-path.ts'
import type { Call, World } from '../command.ts'
import { documentIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import type { Remote } from '../remote.ts'

const POLL_MS = 300
const WORDS = 'This is a test message of the OpenClaw gateway.'

export async function test(call: Call, { out, signal }: World, remote: Remote): Promise<ExitCode> {
  const name = call.words[0] ?? ''
  const to = call.text('to')
  if (to === undefined) return tellState(call, out, await remote.get(channelPath(name)))
  const seconds = Number(call.text('timeout') ?? 60)
  if (!(seconds > 0 && seconds <= 300)) throw new CommandError('--timeout is a number of seconds from 1 to 300.', EXIT.usage)
  const thread = call.text('thread')
  const { body } = await remote.ask(`${channelPath(name)}/send`, {
    method: 'POST',
    headers: { 'idempotency-key': randomUUID() },
    body: { to: { chat: to, ...(thread !== undefined && { thread }) }, text: call.text('text') ?? WORDS },
  })
  const id = text(documentIn(body)['delivery_id'])
  const delivery = await outcome(remote, id, { until: Date.now() + seconds * 1_000, signal })
  if (call.json) out.json(delivery)
  const reason = documentIn(delivery['reason'])
  const why = delivery['reason'] ? `: ${text(reason['code'])}: ${text(reason['message'])}` : ''
  const status = text(delivery['status'])
  if (status === 'sent') {
    if (!call.json) out.note(`It was sent${delivery['platform_id'] ? ` as ${text(delivery['platform_id'])}` : ''}.`)
    return EXIT.ok
  }
  if (!call.json) out.note(OVER.includes(status) ? `It was not sent (${status})${why}` : `${id} is still ${status}${why}`)
  return EXIT.failed
}

const OVER = ['sent', 'unknown', 'dead']

async function outcome(
  remote: Remote,
  id: string,
  { until, signal }: { readonly until: number; readonly signal: AbortSignal },
): Promise<JsonObject> {
  for (;;) {
    const delivery = await remote.get(`/v1/deliveries/${encodeURIComponent(id)}`)
    if (OVER.includes(text(delivery['status'])) || Date.now() >= until) return delivery
    await wait(POLL_MS, undefined, { signal }).catch((error: unknown) => {
      throw new CommandError('Interrupted.', EXIT.failed, error)
    })
  }
}

function tellState({ json }: Call, out: World['out'], channel: JsonObject): ExitCode {
  const state = text(channel['state'])
  if (json) out.json(channel)
  else {
    const why = channel['reason'] ? `: ${text(channel['reason'])}` : ''
    const paused = channel['paused'] === true ? ', and paused' : ''
    out.note(`${text(channel['name'])} is ${state}${paused}${why}`)
  }
  return state === 'open' ? EXIT.ok : EXIT.failed
}
