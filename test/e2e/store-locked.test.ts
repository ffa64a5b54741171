/**
 * Another program holds the write lock of sessions.db for five seconds: nothing is acknowledged that is not stored, the
 * gateway says what is wrong and stays responsive, and it goes on by itself when the lock is gone.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { ended, everyMessage, metric, post, problemOf, say } from '../support/conversation.ts'
import { eventually } from '../support/eventually.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { SocketClient } from '../support/socket-client.ts'

const LOCKED_MS = 5_000

function lock({ dir }: GatewayProcess): () => void {
  const other = new DatabaseSync(join(dir, 'sessions.db'), { timeout: 5_000 })
  other.exec('BEGIN IMMEDIATE')
  return () => {
    other.exec('ROLLBACK')
    other.close()
  }
}

interface Readiness {
  readonly parts: readonly { readonly name: string; readonly ok: boolean; readonly detail: string | null }[]
}

/** Asks only; nothing here makes the store write. */
async function readiness(gateway: GatewayProcess, status: number): Promise<Readiness> {
  let body: Readiness = { parts: [] }
  const isSo = async (): Promise<boolean> => {
    const answer = await gateway.fetch('/readyz')
    body = (await answer.json()) as Readiness
    return answer.status === status
  }
  await eventually(isSo, () => `${status} of /readyz (it says ${JSON.stringify(body)})`)
  return body
}

const keyed = (gateway: GatewayProcess, name: string): Promise<Response> =>
  post(gateway, '/v1/messages', { payload: name, idempotency_key: name, metadata: { user_id: name } })

test(
  'a store that is locked for 5 s acknowledges nothing meanwhile, keeps nothing of it, and recovers',
  { timeout: 40_000 },
  async (context) => {
    const gateway = await startGateway(context)
    const socket = await SocketClient.open(new URL(gateway.url).host, gateway.key)
    context.after(() => socket.socket.terminate())
    // Some of these are under way when the lock comes.
    const before = await Promise.all(Array.from({ length: 10 }, (_, at) => say(gateway, `before ${at}`, `user-${at}`)))

    const unlock = lock(gateway)
    const lockedAt = Date.now()
    await metric(gateway, 'nodejs_eventloop_delay_max_seconds')
    socket.send({ type: 'message', id: 'w1', payload: 'over the socket' })
    for (let wave = 1; Date.now() - lockedAt < LOCKED_MS; wave++) {
      const names = Array.from({ length: 10 }, (_, at) => `wave ${wave}, ${at}`)
      let isRefused = false
      const asked = names.map(async (name) => {
        const refused = await keyed(gateway, name)
        isRefused = true
        return refused
      })
      assert.equal((await gateway.fetch('/healthz')).status, 200)
      assert.equal(isRefused, false, 'the process answers while its store still waits for the lock')
      for (const refused of await Promise.all(asked)) {
        assert.equal(refused.status, 503)
        assert.match(refused.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
        assert.equal((await problemOf(refused)).code, 'STORE_LOCKED')
      }
      const [store] = (await readiness(gateway, 503)).parts.filter(({ ok }) => !ok)
      assert.equal(store?.name, 'store')
      assert.match(store?.detail ?? '', /STORE_LOCKED.*Close it/)
    }
    const error = await socket.next('error')
    assert.deepEqual([error['id'], error['code'], error['retryable']], ['w1', 'STORE_LOCKED', true])
    const lateSeconds = await metric(gateway, 'nodejs_eventloop_delay_max_seconds')
    context.diagnostic(`event loop late by ${Math.round(lateSeconds * 1_000)} ms at most while locked`)
    assert.equal((await gateway.fetch('/readyz')).status, 503)

    unlock()
    await readiness(gateway, 200)
    const stored = (await everyMessage(gateway)).map(({ message_id: id }) => id)
    assert.deepEqual(new Set(stored), new Set(before), 'nothing of what was refused is stored')
    // The same keys again are new messages, because nothing was kept of them.
    const again = await keyed(gateway, 'wave 1, 0')
    assert.deepEqual([again.status, again.headers.get('idempotency-replayed')], [202, null])
    const afterwards = [((await again.json()) as { message_id: string }).message_id, await say(gateway, 'afterwards')]
    for (const id of [...before, ...afterwards]) {
      const { status, replies, attempts, payload } = await ended(gateway, id)
      assert.deepEqual([status, replies.length, attempts], ['done', 1, 1], payload.text)
    }
    assert.equal((await everyMessage(gateway)).length, before.length + afterwards.length)
  },
)

test('a lock shorter than the patience is waited out', { timeout: 20_000 }, async (context) => {
  const gateway = await startGateway(context)
  const unlock = lock(gateway)
  const waiting = Promise.all(Array.from({ length: 5 }, (_, at) => keyed(gateway, `waits ${at}`)))
  await readiness(gateway, 503)
  unlock()
  for (const answer of await waiting) assert.equal(answer.status, 202)
  await readiness(gateway, 200)
})
