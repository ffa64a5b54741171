/**
 * An outage, mended: 40 messages that nobody could route are replayed by one call, ten a second, and the gateway is killed in the midst. Each
 * is answered once, in the order in which they came.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const COUNT = 40
const AGENTS = { agents: { first: {}, second: {} } }
const BROKEN = { ...AGENTS }
const MENDED = { ...AGENTS, fallback: 'first' }

interface Page {
  readonly data: readonly {
    readonly status: string
    readonly payload: { readonly text: string }
    readonly replies: readonly { readonly seq: number }[]
  }[]
}

const messages = async (gateway: GatewayProcess, status: string): Promise<Page['data']> =>
  ((await (await gateway.fetch(`/v1/messages?limit=200&status=${status}`)).json()) as Page).data

/** Asks until so many are done. */
async function done(gateway: GatewayProcess, atLeast: number): Promise<Page['data']> {
  const deadline = AbortSignal.timeout(60_000)
  for (;;) {
    deadline.throwIfAborted()
    const found = await messages(gateway, 'done')
    if (found.length >= atLeast) return found
  }
}

test('dead letters that are replayed together are each replayed once, whenever the gateway is killed', async (context) => {
  let gateway = await startGateway(context, { config: BROKEN })
  const { dir } = gateway
  for (let number = 0; number < COUNT; number++) {
    const sent = await gateway.fetch('/v1/messages', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ payload: `#${number}` }),
    })
    assert.equal(sent.status, 202)
  }
  assert.equal((await messages(gateway, 'dead')).length, COUNT)
  await gateway.stop()

  gateway = await startGateway(context, { dir, config: MENDED })
  const asked = await gateway.fetch('/v1/dead-letters/replay', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ filter: { reason: 'UNROUTABLE' }, rate: 10 }),
  })
  assert.equal(asked.status, 202)
  const { count, matched } = (await asked.json()) as { readonly count: number; readonly matched: number }
  assert.deepEqual([count, matched], [COUNT, COUNT])
  await done(gateway, 3)
  await gateway.kill9()

  gateway = await startGateway(context, { dir, config: MENDED })
  const answered = await done(gateway, COUNT)
  assert.equal(answered.length, COUNT)
  for (const { payload, replies } of answered) assert.equal(replies.length, 1, payload.text)
  const order = answered.toSorted((a, b) => (a.replies[0]?.seq ?? 0) - (b.replies[0]?.seq ?? 0)).map(({ payload }) => payload.text)
  assert.deepEqual(
    order,
    Array.from({ length: COUNT }, (_, number) => `#${number}`),
  )
  const open = (await (await gateway.fetch('/v1/dead-letters?status=open')).json()) as { readonly data: readonly unknown[] }
  assert.deepEqual(open.data, [])
  await gateway.stop()
})
