/** All sources as one: what changes behind a running gateway is noticed, and told once. */
import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { Log } from '#contract'
import { Secrets } from '../../../gateway/secrets/secrets.ts'
import { FakeVault } from '../../fakes/vault.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { folder } from '../config/folder.ts'

interface World {
  readonly dir: string
  readonly clock: FakeClock
  readonly secrets: Secrets
  readonly said: string[]
  readonly told: string[]
  readonly changed: () => Promise<void>
}

async function world(t: TestContext, files: { readonly [name: string]: string } = {}): Promise<World> {
  const dir = await folder(t, files)
  const clock = new FakeClock()
  const [said, told]: [string[], string[]] = [[], []]
  const log: Log = {
    debug() {},
    info() {},
    warn: (_, message) => said.push(message),
    error: (_, message) => said.push(message),
    child: () => log,
  }
  const secrets = new Secrets({
    dir,
    env: { NAME: 'x', MY_TOKEN: 'env-token' },
    clock,
    log: () => log,
    onSecret: (value) => told.push(value),
  })
  t.after(() => secrets.stop())
  const waiting: (() => void)[] = []
  secrets.watch(() => waiting.shift()?.())
  return { dir, clock, secrets, said, told, changed: () => new Promise((resolve) => waiting.push(resolve)) }
}

test('a file that says something else is noticed at the next look, and what changed is named', async (t) => {
  const { dir, clock, secrets, told, changed } = await world(t, { a: 'one', b: 'two' })
  await secrets.configure({ vault: null, refreshMs: 60_000 })
  const before = await secrets.resolve(['file:./a', 'file:./b', 'NAME', 'MY_TOKEN'])
  assert.deepEqual(told.toSorted(), ['env-token', 'one', 'two'], 'secrets are told before anybody has them; a name that is none is not')
  await writeFile(join(dir, 'a'), 'three')
  const change = changed()
  clock.advance(60_000)
  await change
  assert.deepEqual(secrets.changedSince(before), [], 'nothing is given out before it is asked for')
  await secrets.resolve(['file:./a', 'file:./b', 'NAME', 'MY_TOKEN'])
  assert.deepEqual(secrets.changedSince(before), ['file:./a'])
  assert.ok(told.includes('three'))
})

test('a file that is gone keeps its last value, and the log says so', async (t) => {
  const { dir, clock, secrets, said } = await world(t, { a: 'one' })
  await secrets.configure({ vault: null, refreshMs: 60_000 })
  await secrets.resolve(['file:./a'])
  await rm(join(dir, 'a'))
  const again = clock.nextTimer()
  clock.advance(60_000)
  await again
  assert.match(said.join('\n'), /\$\{file:\.\/a\} is not to be had any more; its value stays/)
})

test('credentials that Vault made anew are told as a change', async (t) => {
  const { clock, secrets, changed } = await world(t)
  const vault = new FakeVault(() => clock.now())
  const address = await vault.start()
  t.after(() => vault.stop())
  vault.token('root-token')
  vault.leaseGrant = { ttlS: 600, maxS: 600 }
  const settings = { address, namespace: null, home: null, auth: { method: 'token', token: 'root-token' } } as const
  await secrets.configure({ vault: settings, refreshMs: 86_400_000 })
  const reference = 'vault:database/creds/app#password'
  const before = await secrets.resolve([reference])
  const change = changed()
  clock.advance(400_000)
  await change
  await secrets.configure({ vault: { ...settings }, refreshMs: 86_400_000 })
  await secrets.resolve([reference])
  assert.deepEqual(secrets.changedSince(before), [reference])
  assert.equal(vault.count(/^GET database\/creds/), 2, 'the same settings keep what is leased')
})

test('rounds that come at once do not let go what the other one holds', async (t) => {
  const { clock, secrets } = await world(t)
  const vault = new FakeVault(() => clock.now())
  const address = await vault.start()
  t.after(() => vault.stop())
  vault.token('root-token')
  await secrets.configure({ vault: { address, namespace: null, home: null, auth: { method: 'token', token: 'root-token' } }, refreshMs: 0 })
  const reference = 'vault:database/creds/app#password'
  await Promise.all([secrets.resolve([reference]), secrets.resolve([reference]), secrets.resolve([reference])])
  assert.equal(vault.count(/^GET database\/creds/), 1)
})

test('nothing is left running when it has stopped', async (t) => {
  const { clock, secrets } = await world(t, { a: 'one' })
  await secrets.configure({ vault: null, refreshMs: 60_000 })
  await secrets.resolve(['file:./a'])
  assert.equal(clock.pending, 1)
  await secrets.stop()
  assert.equal(clock.pending, 0)
})
