/**
 * Webhooks of the real gateway, killed while events are on their way: each event arrives, under one id, with both signatures; and one that
 * hangs delays no other.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { Receiver } from '../support/receiver.ts'

const config = { webhooks: { allow_networks: ['127.0.0.0/8'] } }
const MESSAGES = 60

interface Made {
  readonly id: string
  readonly secret: string
}

async function subscribe(gateway: GatewayProcess, url: string, events: readonly string[]): Promise<Made> {
  return (await post(gateway, '/v1/webhooks', { url, events })) as Made
}

async function post(gateway: GatewayProcess, path: string, body: unknown): Promise<unknown> {
  const response = await gateway.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.ok(response.ok, `${path}: ${response.status} ${response.ok ? '' : await response.text()}`)
  return response.json()
}

const say = async (gateway: GatewayProcess, n: number): Promise<string> => {
  const answer = (await post(gateway, '/v1/messages', { channel_id: 'web', payload: `word ${n}`, metadata: { user_id: `user-${n}` } })) as {
    readonly message_id: string
  }
  return answer.message_id
}

test(
  'a gateway that is killed with events on their way loses none and sends none under another id',
  { timeout: 120_000 },
  async (context) => {
    const receiver = await Receiver.open(context)
    const hanging = await Receiver.open(context)
    hanging.answer = () => undefined
    const first = await startGateway(context, { config })
    const { secret } = await subscribe(first, receiver.url, ['message.processed'])
    await subscribe(first, hanging.url, ['message.processed'])
    // What came is not acknowledged until the gateway is dead.
    let isDead = false
    receiver.answer = (response) => void (isDead ? response.writeHead(204).end() : null)
    const sent = await Promise.all(Array.from({ length: MESSAGES }, (_, n) => say(first, n)))
    await receiver.until(4)
    await hanging.until(4)
    await first.kill9()
    isDead = true
    const before = receiver.received.length
    const second = await startGateway(context, { config, dir: first.dir })
    const received = await receiver.until(before + MESSAGES)

    const events = received.map(({ headers, body }) => {
      const signed = { 'webhook-id': '', 'webhook-timestamp': '', 'webhook-signature': '', ...headers }
      return new Webhook(secret).verify(body, signed) as { readonly id: string; readonly data: { readonly message_id: string } }
    })
    const ids = new Map(events.map(({ id, data }) => [data.message_id, id]))
    assert.deepEqual([...ids.keys()].toSorted(), sent.toSorted())
    for (const { id, data } of events) assert.equal(id, ids.get(data.message_id))
    for (const early of events.slice(0, before))
      assert.ok(
        events.slice(before).some(({ id }) => id === early.id),
        'what nobody acknowledged came again',
      )
    assert.doesNotMatch(JSON.stringify(received), /word \d/)
    await second.stop()
  },
)

test('a test event is sent, stands in the log, and is counted', { timeout: 60_000 }, async (context) => {
  const receiver = await Receiver.open(context)
  const gateway = await startGateway(context, { config })
  const { id } = await subscribe(gateway, receiver.url, ['*'])
  const begun = (await post(gateway, `/v1/webhooks/${id}/test`, {})) as { readonly id: string }
  await receiver.until(1)
  let log: readonly { readonly status: number }[] = []
  while (log.length === 0) {
    const shown = (await (await gateway.fetch(`/v1/webhook-deliveries/${begun.id}`)).json()) as { readonly log: typeof log }
    log = shown.log
  }
  assert.equal(log[0]?.status, 200)
  const metrics = await (await gateway.fetch('/api/metrics')).text()
  assert.match(metrics, /openclaw_webhook_deliveries_total\{result="ok"\} [1-9]/)
  assert.match(metrics, /openclaw_webhook_latency_seconds_count [1-9]/)
})
