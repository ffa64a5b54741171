import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as baileys from 'baileys'
import { Curve } from 'baileys'
import { ChannelFault } from '#contract'
import { harden, loadBaileys } from '../../../channels/whatsapp/library.ts'
import type { Forgery } from '../../fakes/whatsapp-noise.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { linked, unlinked } from './linked.ts'

test('a zero signature is refused, and a real one is not', async () => {
  await loadBaileys(quietLog)
  const pair = Curve.generateKeyPair()
  const message = Buffer.from('hello')
  assert.equal(Curve.verify(pair.public, message, new Uint8Array(64)), false)
  assert.equal(Curve.verify(pair.public, message, Curve.sign(pair.private, message)), true)
  assert.equal(Curve.verify(Curve.generateKeyPair().public, message, Curve.sign(pair.private, message)), false)
})

test('a version whose signatures cannot be checked is not used', () => {
  const credulous = { ...baileys.Curve, sign: () => new Uint8Array(64) }
  assert.throws(
    () => harden({ ...baileys, Curve: credulous }),
    (error) => error instanceof ChannelFault && error.code === 'WHATSAPP_PACKAGE_UNSAFE' && error.fault.is === 'config',
  )
})

test('where the package is not installed, it is said how to get it', async () => {
  await assert.rejects(
    loadBaileys(quietLog, () => Promise.reject(new Error("Cannot find package 'baileys'"))),
    (error) => error instanceof ChannelFault && error.code === 'WHATSAPP_PACKAGE_MISSING' && /npm install/.test(error.message),
  )
})

for (const forgery of ['zero signature', 'foreign root', 'another key'] as const satisfies readonly Forgery[]) {
  test(`a server whose certificate shows ${forgery} is told nothing`, async (t) => {
    const { fake, host, restart } = await linked(t)
    fake.forgery = forgery
    const logins = fake.count('login')
    void restart().catch(() => undefined)
    await host.clock.timerAt(host.clock.now() + 1_000)
    assert.equal(fake.count('login'), logins)
    assert.equal(host.states.at(-1), 'connecting')
    fake.forgery = 'none'
    host.clock.advance(1_000)
    await fake.until('a login', () => fake.count('login') > logins)
  })
}

test('nothing that libsignal prints reaches stdout or stderr', async (t) => {
  const { fake, host, alice, link, heard } = await unlinked(t)
  const printed: string[] = []
  const [out, err] = [process.stdout.write.bind(process.stdout), process.stderr.write.bind(process.stderr)]
  // The test runner speaks through stdout itself, in frames of its own.
  const keep = (chunk: unknown): boolean => typeof chunk !== 'string' || printed.push(chunk) > 0
  process.stdout.write = keep
  process.stderr.write = keep
  try {
    await link()
    await fake.say(alice, 'hello')
    await heard(1)
    // A new session of the same person: the old one is closed, which libsignal prints with its keys.
    alice.forget(fake.jid)
    await fake.say(alice, 'again')
    await heard(2)
  } finally {
    process.stdout.write = out
    process.stderr.write = err
  }
  assert.deepEqual(printed, [])
  assert.equal(host.handed.length, 2)
})
