import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DEFAULT_TENANT, InvalidError, asKeyId } from '#contract'
import { Hub } from './double.ts'

async function started(t: TestContext, hub: Hub = new Hub()): Promise<Hub> {
  await hub.keys.start()
  t.after(() => hub.keys.stop())
  return hub
}

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-keys-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

test('a key is recognised, and only its digest is kept', async (t) => {
  const { keys, keyRecords } = await started(t)
  const { record, secret } = await keys.create({ tenant: DEFAULT_TENANT, name: 'ci', scopes: ['messages:read'], expiresAt: null })
  assert.match(secret, /^ock_live_[0-9A-Z]{8}_[A-Za-z0-9_-]{43}$/)
  assert.ok(secret.startsWith(`ock_live_${record.id.slice(-8)}_`))
  assert.deepEqual(await keys.authenticate(secret), {
    id: 'ci',
    credential: record.id,
    tenant: 'default',
    scopes: new Set(['messages:read']),
  })
  assert.ok(!JSON.stringify(keyRecords).includes(secret.slice(18)))
})

test('nobody is who gives nothing, half a key, another key or a key of another shape', async (t) => {
  const { keys } = await started(t)
  const { secret } = await keys.create({ tenant: DEFAULT_TENANT, name: 'ci', scopes: ['*'], expiresAt: null })
  for (const token of [
    '',
    ' ',
    secret.slice(0, -1),
    `${secret}A`,
    secret.toLowerCase(),
    secret.replace('live', 'test'),
    `ock_live_AAAAAAAA_${'A'.repeat(43)}`,
  ]) {
    assert.equal(await keys.authenticate(token), null, token)
  }
})

test('a revoked key and an expired key prove nothing, also after a restart', async (t) => {
  const hub = await started(t)
  const revoked = await hub.keys.create({ tenant: DEFAULT_TENANT, name: 'a', scopes: ['*'], expiresAt: null })
  const expiring = await hub.keys.create({ tenant: DEFAULT_TENANT, name: 'b', scopes: ['*'], expiresAt: hub.clock.now() + 1_000 })
  assert.ok(await hub.keys.authenticate(expiring.secret))
  const told: string[] = []
  hub.keys.onEnd((id) => told.push(id))
  assert.equal(await hub.keys.revoke(DEFAULT_TENANT, revoked.record.id), true)
  assert.equal(await hub.keys.revoke(DEFAULT_TENANT, revoked.record.id), false)
  assert.equal(await hub.keys.revoke(DEFAULT_TENANT, asKeyId('key-none')), false)
  assert.deepEqual(told, [revoked.record.id])
  hub.clock.advance(1_000)
  const next = new Hub()
  next.keyRecords.push(...hub.keyRecords)
  next.clock.advance(1_000)
  await started(t, next)
  for (const { keys } of [hub, next]) {
    assert.equal(keys.verify(revoked.secret), 'revoked')
    assert.equal(keys.verify(expiring.secret), 'expired')
  }
})

test('the last use is written to the minute, later, and shown at once', async (t) => {
  const { keys, keyRecords, clock } = await started(t)
  const { record, secret } = await keys.create({ tenant: DEFAULT_TENANT, name: 'ci', scopes: ['*'], expiresAt: null })
  clock.advance(90_000)
  const proof = keys.verify(secret)
  assert.ok(typeof proof !== 'string')
  proof.touch(clock.now())
  const minute = Math.floor(clock.now() / 60_000) * 60_000
  assert.equal(keys.list(DEFAULT_TENANT).find(({ id }) => id === record.id)?.lastUsedAt, minute)
  assert.equal(keyRecords.find(({ id }) => id === record.id)?.lastUsedAt, null)
  await keys.stop()
  assert.equal(keyRecords.find(({ id }) => id === record.id)?.lastUsedAt, minute)
  assert.equal(clock.pending, 0)
})

test('the first start makes an admin key in a file only its owner can read, and logs nothing of it', async (t) => {
  const { keys, log } = await started(t)
  const file = join(await folder(t), '.openclaw', 'admin.key')
  const { id, made } = await keys.ensureAdmin(file)
  assert.equal(made, true)
  const secret = (await readFile(file, 'utf8')).trim()
  assert.deepEqual(await keys.authenticate(secret), { id: 'admin', credential: id, tenant: 'default', scopes: new Set(['*']) })
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal((await stat(join(file, '..'))).mode & 0o777, 0o700)
  assert.ok(!JSON.stringify(log.lines).includes(secret))
  assert.deepEqual(await keys.ensureAdmin(file), { id, made: false })
})

test('an admin key whose database was removed is taken up again', async (t) => {
  const file = join(await folder(t), 'admin.key')
  await (await started(t)).keys.ensureAdmin(file)
  const secret = (await readFile(file, 'utf8')).trim()
  const { keys } = await started(t)
  assert.equal((await keys.ensureAdmin(file)).made, false)
  assert.equal((await keys.authenticate(secret))?.id, 'admin')
})

test('a revoked admin key is not taken up again', async (t) => {
  const { keys } = await started(t)
  const file = join(await folder(t), 'admin.key')
  const { id } = await keys.ensureAdmin(file)
  await keys.revoke(DEFAULT_TENANT, id)
  await keys.ensureAdmin(file)
  assert.equal(keys.verify((await readFile(file, 'utf8')).trim()), 'revoked')
})

test('an admin key file that others could read is closed, and the operator is told', async (t) => {
  const { keys, log } = await started(t)
  const file = join(await folder(t), 'admin.key')
  await keys.ensureAdmin(file)
  const { chmod } = await import('node:fs/promises')
  await chmod(file, 0o644)
  await keys.ensureAdmin(file)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal(log.lines.filter(({ level }) => level === 'warn').length, 1)
})

test('a damaged admin key file is an error that says what to do', async (t) => {
  const { keys } = await started(t)
  const file = join(await folder(t), 'admin.key')
  await writeFile(file, 'hunter2')
  await assert.rejects(keys.ensureAdmin(file), (error) => error instanceof InvalidError && error.message.includes('Remove the file'))
})
