/** The audit of the real gateway: killed in the midst of changes, followed live, exported, verified by the command, tampered with. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { isJsonObject, textOf } from '#contract'
import type { JsonObject } from '#contract'
import { startGateway, temporaryFolder } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const CLI = fileURLToPath(new URL('../../cli/openclaw.ts', import.meta.url))
const run = promisify(execFile)
/** Answers what it printed, and its exit code. */
const cli = async (dir: string, ...args: readonly string[]): Promise<{ code: number; out: string; err: string }> => {
  const env = { PATH: process.env['PATH'], OPENCLAW_DIR: dir }
  const ended = run(process.execPath, [CLI, 'audit', ...args], { env, timeout: 30_000 })
  const told = await ended.catch((error: unknown) => error)
  const text = (name: 'stdout' | 'stderr'): string => (isJsonObject(told) || told instanceof Error ? String(Reflect.get(told, name)) : '')
  return { code: ended.child.exitCode ?? -1, out: text('stdout'), err: text('stderr') }
}
const entries = async (gateway: GatewayProcess, query = ''): Promise<readonly JsonObject[]> =>
  ((await (await gateway.fetch(`/v1/audit?limit=200${query}`)).json()) as { data: JsonObject[] }).data
const makeKey = (gateway: GatewayProcess, name: string): Promise<Response> =>
  gateway.fetch('/v1/keys', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, scopes: ['messages:write'] }),
  })

test('killed in the midst of changes, every change has its entry and every entry its change', { timeout: 90_000 }, async (t) => {
  const dir = temporaryFolder(t)
  const acknowledged = new Set<string>()
  for (let life = 0; life < 4; life++) {
    const gateway = await startGateway(t, { dir })
    const enough = Promise.withResolvers<void>()
    const inFlight = Array.from({ length: 40 }, async (_, i) => {
      const response = await makeKey(gateway, `k-${life}-${i}`).catch(() => null)
      if (response?.status !== 201) return
      acknowledged.add(((await response.json()) as { id: string }).id)
      if (acknowledged.size >= 8 * (life + 1)) enough.resolve()
    })
    await enough.promise
    await gateway.kill9()
    await Promise.allSettled(inFlight)
  }
  const gateway = await startGateway(t, { dir })
  const audited = (await entries(gateway, '&action=keys.create')).map(({ object }) => textOf(object)).sort()
  const database = new DatabaseSync(join(dir, 'sessions.db'), { readOnly: true })
  const made = database
    .prepare(`SELECT id FROM api_key WHERE name LIKE 'k-%'`)
    .all()
    .map(({ id }) => String(id))
  database.close()
  assert.ok(acknowledged.size >= 32)
  assert.deepEqual(audited, made.sort())
  for (const id of acknowledged) assert.ok(made.includes(id))
  assert.equal(((await (await gateway.fetch('/v1/audit/verify')).json()) as { ok: boolean }).ok, true)
})

test(
  'it is followed live from where one was, exported whole, verified, and the command sees what was changed',
  { timeout: 60_000 },
  async (t) => {
    const gateway = await startGateway(t)
    await makeKey(gateway, 'one')
    const stop = new AbortController()
    const stream = await gateway.fetch('/v1/audit/stream', { headers: { 'last-event-id': '0' }, signal: stop.signal })
    const reader = (stream.body ?? assert.fail()).pipeThrough(new TextDecoderStream()).getReader()
    let seen = ''
    const upTo = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(seen)) seen += (await reader.read()).value ?? assert.fail('the stream ended')
    }
    await upTo(/id: 1\n/)
    await gateway.fetch('/v1/channels/http/pause', { method: 'POST' })
    await gateway.fetch('/v1/keys/key-nobody', { method: 'DELETE' })
    await upTo(/id: 3\n/)
    stop.abort()
    assert.match(
      seen,
      /"action":"keys\.create"[^]*"action":"channels\.pause","object":"http"[^]*"action":"keys\.delete","object":"key-nobody","outcome":"failed"/,
    )

    const exported = await cli(gateway.dir, 'export')
    assert.deepEqual(
      exported.out
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { seq: number }).seq),
      [1, 2, 3],
    )
    const listed = await cli(gateway.dir, 'list', '--outcome', 'failed')
    assert.match(listed.out, /keys\.delete +key-nobody +failed/)
    const whole = await cli(gateway.dir, 'verify')
    assert.deepEqual([whole.code, whole.err.startsWith('3 entries are as they were written')], [0, true])

    const database = new DatabaseSync(join(gateway.dir, 'sessions.db'), { timeout: 5_000 })
    database.exec(`DROP TRIGGER audit_is_final; UPDATE audit SET actor = 'nobody' WHERE seq = 2`)
    database.close()
    const broken = await cli(gateway.dir, 'verify')
    assert.deepEqual([broken.code === 0, broken.err.trim()], [false, 'The audit was changed: at entry 2, entry altered.'])
  },
)
