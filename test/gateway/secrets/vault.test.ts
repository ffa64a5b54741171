/**
 * Vault, asked over its own protocol: what it holds, who we are to it, and what becomes of values whose time ends.
 *
 * No real server could be had here. The fake was compared, member by member, with HashiCorp's API pages (developer.hashicorp.com/vault/api-docs:
 * index with status codes and X-Vault-Request, auth/token, system/leases, system/internal-ui-mounts, secret/kv/kv-v1 and kv-v2) and OpenBao's
 * (openbao.org/api-docs: auth/approle, auth/kubernetes, secret/kv); what they do not say (202 of a revocation that is queued, 400 of a lease or role
 * that is unknown, 403 of a mount that may not be seen) with the sources of both.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { JsonObject, Log } from '#contract'
import { VaultSource } from '../../../gateway/secrets/vault/vault.ts'
import type { VaultSettings } from '../../../gateway/secrets/vault/vault.ts'
import { vaultAt } from '../../../gateway/secrets/vault/client.ts'
import { Lease } from '../../../gateway/secrets/vault/lease.ts'
import { parsePath } from '../../../gateway/secrets/vault/path.ts'
import { FakeVault } from '../../fakes/vault.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { folder } from '../config/folder.ts'

interface World {
  readonly vault: FakeVault
  readonly clock: FakeClock
  readonly source: VaultSource
  readonly said: string[]
  readonly told: string[]
  changes: number
  /** One round, as a configuration that is read. */
  readonly round: (...names: readonly string[]) => Promise<readonly string[]>
}

async function withVault(t: TestContext, settings: Partial<VaultSettings> = {}, triesMs: readonly number[] = []): Promise<World> {
  const clock = new FakeClock()
  const vault = new FakeVault(() => clock.now())
  const address = await vault.start()
  t.after(() => vault.stop())
  vault.token('root-token')
  const said: string[] = []
  const told: string[] = []
  const log: Log = {
    debug() {},
    info() {},
    warn: (_, message) => said.push(message),
    error: (_, message) => said.push(message),
    child: () => log,
  }
  const source = new VaultSource(
    { address, namespace: null, home: 'secret/openclaw', auth: { method: 'token', token: 'root-token' }, ...settings },
    { clock, log: () => log, onSecret: (value) => told.push(value), onChange: () => (world.changes += 1), triesMs },
  )
  t.after(() => source.stop())
  const world: World = {
    vault,
    clock,
    source,
    said,
    told,
    changes: 0,
    round: async (...names) => {
      source.begin()
      const answers = await Promise.all(names.map((name) => source.resolve(name)))
      source.end()
      return answers.map((answer) => (answer.is === 'value' ? answer.value : `${answer.is}: ${answer.problem}`))
    },
  }
  return world
}
const APPROLE = { auth: { method: 'approle', mount: 'approle', roleId: 'role-1', secretId: 'secret-id-1' } } as const

test('KV version 2 is read by path and field, the newest version or the one that is named', async (t) => {
  const { vault, round } = await withVault(t)
  vault.put('app', { token: 'first', port: 8400, on: true })
  vault.put('app', { token: 'second', port: 8400, on: true })
  assert.deepEqual(
    await round('secret/app#token', 'secret/app?version=1#token', 'secret/app#port', 'secret/app#on', 'secret/data/app#token'),
    ['second', 'first', '8400', 'true', 'second'],
  )
  assert.equal(vault.count(/^GET secret\/data\/app$/), 2, 'one read for each way to write a path, whatever fields are wanted')
})

test('KV version 1 is read too, and a field alone is one of the home path', async (t) => {
  const { vault, round } = await withVault(t)
  vault.putPlain('app', { token: 'plain' })
  vault.put('openclaw', { TOKEN: 'home' })
  assert.deepEqual(await round('old/app#token', '#TOKEN'), ['plain', 'home'])
})

test('fields of KV version 1 that are called as those of version 2 are fields', async (t) => {
  const { vault, round } = await withVault(t)
  vault.putPlain('app', { data: { token: 'inner' }, metadata: { a: 1 }, token: 'outer' })
  assert.deepEqual(await round('old/app#token'), ['outer'])
})

test('only documented methods are used, and a revocation that is queued counts as done', async (t) => {
  const { vault, source, round } = await withVault(t)
  await round('database/creds/app#password')
  await source.stop()
  assert.deepEqual(vault.leases, [])
  assert.equal(vault.count(/^POST sys\/leases\/revoke$/), 1)
  await vaultAt(
    { address: vault.url, namespace: null },
    new AbortController().signal,
  )({
    method: 'POST',
    path: 'sys/leases/revoke',
    token: 'root-token',
    body: { lease_id: vault.lease() },
  })
})

test('what is not there, not allowed or no text is told by path, and Vault’s own words are not repeated', async (t) => {
  const { vault, round } = await withVault(t)
  vault.put('app', { token: 'x', deep: { a: 1 } })
  vault.put('gone', { token: 'x' })
  vault.remove('gone')
  vault.put('locked', { token: 'x' })
  vault.denied.add('secret/data/locked')
  const [field, deep, nowhere, deleted, locked] = await round(
    'secret/app#tokn',
    'secret/app#deep',
    'secret/none#a',
    'secret/gone#token',
    'secret/locked#token',
  )
  assert.match(field ?? '', /^missing: secret\/app in Vault has no field "tokn"; did you mean "token"\?$/)
  assert.match(deep ?? '', /^failed: the field "deep" of secret\/app in Vault is no text/)
  assert.match(nowhere ?? '', /^missing: secret\/none cannot be had from Vault: Vault has nothing at/)
  assert.match(deleted ?? '', /^missing: secret\/gone .* it was deleted/)
  assert.match(locked ?? '', /^failed: secret\/locked cannot be had from Vault: Vault denied GET secret\/data\/locked/)
  assert.doesNotMatch(locked ?? '', /root-token/)
})

test('a reference leads below a mount and nowhere else', () => {
  assert.deepEqual(parsePath('a/b-c/d.e?version=12#f g', null), { path: 'a/b-c/d.e', version: 12, field: 'f g' })
  assert.deepEqual(parsePath('#f', 'secret/x'), { path: 'secret/x', version: null, field: 'f' })
  for (const text of [
    '#f',
    'a#b',
    'a/b',
    'a/../b#c',
    '../sys/x#c',
    './a#c',
    'a//b#c',
    '/a/b#c',
    'a/b/#c',
    'a/b#',
    'a/b?version=0#c',
    'a/b?list=true#c',
    'a/b c#d',
    'a/%2e%2e/b#c',
  ])
    assert.equal(parsePath(text, null), null, text)
})

test('a start waits for a Vault that is sealed, a few times, and then says so once for all paths', async (t) => {
  const { vault, clock, round } = await withVault(t, {}, [500, 1_000])
  vault.put('app', { token: 'x' })
  vault.isSealed = true
  const waiting = round('secret/app#token')
  await clock.nextTimer()
  vault.isSealed = false
  clock.advance(500)
  assert.deepEqual(await waiting, ['x'])

  vault.isSealed = true
  const inVain = round('secret/other#token')
  for (const wait of [500, 1_000]) {
    await clock.timerAt(clock.now() + wait)
    clock.advance(wait)
  }
  assert.match((await inVain)[0] ?? '', /^failed: secret\/other cannot be had from Vault: Vault is sealed/)
})

test('what was read once is used on while Vault is away, and the log says so', async (t) => {
  const { vault, round, said } = await withVault(t)
  vault.put('app', { token: 'x' })
  await round('secret/app#token')
  vault.status = 503
  assert.deepEqual(await round('secret/app#token'), ['x'])
  assert.match(said.join('\n'), /secret\/app is used as it was read last/)
  vault.status = null
  vault.put('app', { token: 'y' })
  assert.deepEqual(await round('secret/app#token'), ['y'])
})

test('a redirect is not followed, a limit of requests is waited for, and what is no Vault is told', async (t) => {
  const { vault, round } = await withVault(t)
  for (const [status, words] of [
    [307, /failed: .*redirect \(307\), which is not followed/],
    [429, /failed: .*answered GET .* with 429/],
    [400, /failed: .*Vault refused GET/],
  ] as const) {
    vault.status = status
    assert.match((await round('secret/app#token'))[0] ?? '', words)
  }
})

test('user and password of made credentials come from one answer, and are kept as long as their lease', async (t) => {
  const world = await withVault(t)
  const { vault, clock, round } = world
  const pair = ['database/creds/app#username', 'database/creds/app#password']
  assert.deepEqual(await round(...pair), ['v-token-app-1', 'made-by-vault-1'])
  assert.deepEqual(await round(...pair), ['v-token-app-1', 'made-by-vault-1'], 'the configuration read again makes no others')
  await pass(world, 400_000)
  assert.equal(vault.count(/leases\/renew/), 1)
  clock.advance(399_000)
  assert.equal(vault.leases.length, 1, 'without the renewal it would have ended by now')
  assert.equal(vault.count(/^GET database\/creds/), 1)
})

test('at the longest time of a lease others are made, and the change is told', async (t) => {
  const world = await withVault(t)
  const { vault, round } = world
  vault.leaseGrant = { ttlS: 600, maxS: 900 }
  await round('database/creds/app#password')
  // At 400 s it is renewed until 900 s, which is 500 s; at 733 s there is nothing to gain.
  await pass(world, 400_000)
  await pass(world, 334_000)
  assert.equal(world.changes, 1)
  assert.deepEqual(await round('database/creds/app#password'), ['made-by-vault-2'])
})

test('a lease that was revoked is replaced when its renewal finds out', async (t) => {
  const world = await withVault(t)
  await world.round('database/creds/app#password')
  world.vault.revokeLeases()
  await pass(world, 400_000)
  assert.equal(world.changes, 1)
  assert.deepEqual(await world.round('database/creds/app#password'), ['made-by-vault-2'])
})

test('while Vault is away a lease counts until its end, which is told once, and then others are made', async (t) => {
  const world = await withVault(t)
  const { vault, round, said } = world
  await round('database/creds/app#password')
  vault.status = 503
  await pass(world, 400_000)
  assert.deepEqual(await round('database/creds/app#password'), ['made-by-vault-1'], 'it is good for 200 s more')
  assert.match(said.join('\n'), /could not be renewed; its values are good until/)
  for (let tries = 0; tries < 12; tries++) await pass(world, 30_000)
  assert.equal(said.filter((line) => /has ended and there is no new one/.test(line)).length, 1)
  assert.match((await round('database/creds/app#password'))[0] ?? '', /^failed: database\/creds\/app cannot be had/)
  vault.status = null
  await pass(world, 30_000)
  assert.deepEqual(await round('database/creds/app#password'), ['made-by-vault-2'])
})

test('credentials that nobody refers to any more are not renewed', async (t) => {
  const { vault, clock, round } = await withVault(t)
  vault.put('app', { token: 'x' })
  await round('database/creds/app#password')
  await round('secret/app#token')
  clock.advance(3_600_000)
  await round('secret/app#token')
  assert.equal(vault.count(/leases\/renew/), 0)
  assert.equal(clock.pending, 0)
})

test('AppRole: one login for all, its token renewed, and given back at the end with its leases', async (t) => {
  const world = await withVault(t, APPROLE)
  const { vault, round, told, source } = world
  vault.put('app', { token: 'x' })
  vault.leaseGrant = { ttlS: 36_000, maxS: 36_000 }
  assert.deepEqual(await round('secret/app#token', 'database/creds/app#username'), ['x', 'v-token-app-1'])
  assert.equal(vault.count(/approle\/login/), 1)
  assert.ok(
    told.some((value) => value.startsWith('hvs.')),
    'the token is told to the redaction',
  )
  await pass(world, 2_400_000)
  assert.equal(vault.count(/renew-self/), 1)
  assert.equal(vault.count(/approle\/login/), 1)
  await source.stop()
  assert.equal(vault.count(/revoke-self/), 1)
  assert.deepEqual(vault.leases, [])
})

test('when its token cannot live longer it logs in anew, and what hung on the old one is made anew', async (t) => {
  const world = await withVault(t, APPROLE)
  const { vault, round } = world
  vault.tokenGrant = { ttlS: 600, maxS: 700 }
  vault.leaseGrant = { ttlS: 36_000, maxS: 36_000 }
  await round('database/creds/app#password')
  await pass(world, 400_000)
  world.clock.advance(250_000)
  await changed(world)
  assert.equal(vault.count(/approle\/login/), 2)
  assert.equal(world.changes, 1)
})

test('a lease whose token is replaced while it is renewed goes on once, not twice', async () => {
  const clock = new FakeClock()
  const renewing = Promise.withResolvers<JsonObject>()
  let reads = 0
  const entry = { fields: { a: 'x' }, lease: { id: 'l', ttlMs: 600_000, isRenewable: true } }
  const lease = new Lease(entry, {
    path: 'database/creds/app',
    clock,
    log: () => null,
    renew: () => renewing.promise,
    read: async () => {
      reads += 1
      return entry
    },
    onChange: () => undefined,
  })
  clock.advance(400_000)
  lease.replace()
  // It gains nothing any more, which is a reason to read too.
  renewing.resolve({ lease_duration: 1 })
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([reads, clock.pending], [1, 1])
  lease.stop()
  assert.equal(clock.pending, 0)
})

test('a token that was revoked is replaced by a login, one that is only not allowed is not', async (t) => {
  const { vault, round } = await withVault(t, APPROLE)
  vault.put('app', { token: 'x' })
  vault.put('locked', { token: 'x' })
  vault.denied.add('secret/data/locked')
  assert.deepEqual(await round('secret/app#token'), ['x'])
  vault.revokeTokens()
  vault.put('app', { token: 'y' })
  assert.deepEqual(await round('secret/app#token'), ['y'])
  assert.equal(vault.count(/approle\/login/), 2)
  assert.match((await round('secret/locked#token'))[0] ?? '', /^failed: .*denied/)
  assert.equal(vault.count(/approle\/login/), 2)
})

test('Kubernetes: the token of the service account is read at each login, and a wrong one is told without it', async (t) => {
  const dir = await folder(t, { jwt: 'jwt-of-the-pod\n' })
  const auth = { method: 'kubernetes', mount: 'kubernetes', role: 'gateway', jwtFile: join(dir, 'jwt') } as const
  const { vault, round, told } = await withVault(t, { auth })
  vault.put('app', { token: 'x' })
  const [refused] = await round('secret/app#token')
  assert.match(refused ?? '', /^failed: .*let nobody in by kubernetes at auth\/kubernetes: look at secrets\.vault_auth/)
  assert.doesNotMatch(refused ?? '', /jwt-of-the-pod/)
  assert.ok(told.includes('jwt-of-the-pod'))
  vault.jwts.set('gateway', 'rotated-jwt')
  await writeFile(join(dir, 'jwt'), 'rotated-jwt')
  assert.deepEqual(await round('secret/app#token'), ['x'])
})

test('wrong credentials of an AppRole are a denial that names where to look', async (t) => {
  const { round } = await withVault(t, { auth: { ...APPROLE.auth, secretId: 'guessed-wrong' } })
  const [refused] = await round('secret/app#token')
  assert.match(refused ?? '', /let nobody in by approle .*secrets\.vault_auth/)
  assert.doesNotMatch(refused ?? '', /guessed-wrong/)
})

test('the namespace goes with every request', async (t) => {
  const { vault, round } = await withVault(t, { ...APPROLE, namespace: 'team-a' })
  vault.namespace = 'team-a'
  vault.put('app', { token: 'x' })
  assert.deepEqual(await round('secret/app#token'), ['x'])
  assert.ok(vault.requests.every(({ namespace }) => namespace === 'team-a'))
})

/** Time goes on, and what is due then is done: whoever keeps something alive ends by setting the next time. */
async function pass({ clock }: World, ms: number): Promise<void> {
  const next = clock.nextTimer()
  clock.advance(ms)
  await next
}

async function changed(world: World): Promise<void> {
  const until = Date.now() + 10_000
  while (world.changes === 0) {
    assert.ok(Date.now() < until, 'no change was told')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
