/**
 * Events on their way to webhooks: how fast a backlog of ten thousand drains to a receiver on this machine, how long one takes on its way
 * while another webhook hangs, and what a subscription costs acceptance. The agents are held by a model that never answers.
 */
import { Receiver } from '../support/receiver.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { runLoad } from './job.ts'
import type { Bench, BenchOptions } from './measure.ts'
import { acceptJob } from './messages.ts'
import { startSilentModel } from './model.ts'

const BACKLOG = 10_000
const EVENTS_PER_SECOND = 200
const EVENTS = ['message.received']

export const webhooks: Bench = async (options) => {
  const { say } = options
  const { config } = await startSilentModel(options)
  const open = { ...config, webhooks: { allow_networks: ['127.0.0.0/8'] } }
  const gateway = await startGateway(options, { config: open })
  const shape = { connections: 32, pace: 'closed', until: { seconds: options.seconds, warmupSeconds: 1 } } as const
  say('acceptance without a subscription')
  const without = await runLoad(acceptJob(gateway, shape))

  const receiver = await opened(options)
  const id = await subscribe(gateway, receiver.url)
  say('one receiver, evenly')
  const calm = await evenly(gateway, receiver, options)
  await subscribe(gateway, (await opened(options, true)).url)
  say('the same beside one that hangs')
  const beside = await evenly(gateway, receiver, options)

  say(`${BACKLOG} at once, and one that hangs`)
  await call(gateway, 'PATCH', `/v1/webhooks/${id}`, { status: 'disabled' })
  const since = new Date().toISOString()
  const filled = await runLoad(acceptJob(gateway, { connections: 32, pace: 'closed', until: { requests: BACKLOG } }))
  await call(gateway, 'PATCH', `/v1/webhooks/${id}`, { status: 'enabled' })
  const before = receiver.received.length
  const startedAt = performance.now()
  const { recovered } = await call(gateway, 'POST', `/v1/webhooks/${id}/recover`, { since })
  await receiver.until(before + Number(recovered))
  const drainedPerSecond = Number(recovered) / ((performance.now() - startedAt) / 1_000)

  say('acceptance while events go out')
  receiver.received.length = 0
  const told = await runLoad(acceptJob(gateway, shape))
  return [
    {
      what: `deliveries drained, ${BACKLOG} waiting, another webhook hanging`,
      value: drainedPerSecond,
      unit: '/s',
      target: { atLeast: 1_000 },
      note: `${Number(recovered)} recovered`,
    },
    { what: `event to receiver p95, ${EVENTS_PER_SECOND}/s`, value: calm, unit: 'ms' },
    { what: 'the same beside a webhook that hangs', value: beside, unit: 'ms' },
    { what: 'of it without', value: beside / calm, unit: '×', target: { atMost: 1.5 }, note: 'two runs, so the machine is in it' },
    { what: 'durable POST /v1/messages, nobody subscribed', value: without.perSecond, unit: '/s' },
    {
      what: 'the same, each told to two webhooks',
      value: told.perSecond,
      unit: '/s',
      note: 'three rows more a message; the deliveries share the processors',
    },
    { what: 'not 202', value: without.wrong + filled.wrong + told.wrong, unit: '', target: { atMost: 0 } },
  ]
}

async function opened(options: BenchOptions, isHanging = false): Promise<Receiver> {
  const receiver = await Receiver.open({ after: (run) => options.after(async () => run()) })
  if (isHanging) receiver.answer = () => undefined
  return receiver
}

/** p95 of the time from the event to the receiver, in milliseconds; both clocks are this machine's. */
async function evenly(gateway: GatewayProcess, receiver: Receiver, { seconds }: BenchOptions): Promise<number> {
  receiver.received.length = 0
  const tookMs: number[] = []
  receiver.answer = (response, { body }) => {
    const { created_at } = JSON.parse(body) as { readonly created_at: string }
    tookMs.push(Date.now() - Date.parse(created_at))
    response.writeHead(204).end()
  }
  const until = { seconds: Math.min(seconds, 10), warmupSeconds: 1 }
  const sent = await runLoad(acceptJob(gateway, { connections: 8, pace: { perSecond: EVENTS_PER_SECOND }, until }))
  await receiver.until(sent.requests)
  receiver.answer = (response) => void response.writeHead(204).end()
  return tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.95)] ?? Number.NaN
}

async function subscribe(gateway: GatewayProcess, url: string): Promise<string> {
  return String((await call(gateway, 'POST', '/v1/webhooks', { url, events: EVENTS }))['id'])
}

async function call(gateway: GatewayProcess, method: string, path: string, body: unknown): Promise<{ readonly [name: string]: unknown }> {
  const response = await gateway.fetch(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as { readonly [name: string]: unknown }
}
