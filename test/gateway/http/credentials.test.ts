/** The seam for ways to prove who asks: what ends while a verifier is at work, or later, ends what was proven by it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnavailableError } from '#contract'
import { Credentials } from '../../../gateway/http/credentials.ts'
import type { Proof, Refusal, Verifier } from '../../../gateway/http/credentials.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeMetrics } from './double.ts'

const metrics = new FakeMetrics()
const proofOf = (...endsWith: readonly string[]): Proof => ({
  principal: { id: 'a', credential: 'c', tenant: 'default', scopes: new Set() },
  by: 'token',
  roles: [],
  expiresAt: null,
  endsWith,
  touch: () => undefined,
})

function credentialsOf(verify: Verifier['verify'], clock = new FakeClock()): Credentials {
  const failures = metrics.counter({ name: 'failures', help: '' })
  return new Credentials({ bearer: [{ verify }], cookie: { name: 'none', verifier: { verify: () => 'unknown' } }, clock, failures })
}

test('what ended while a verifier was at work is looked at again before anybody is let in', async () => {
  const answers: (Proof | Refusal)[] = [proofOf('x'), 'revoked']
  const entered = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const credentials = credentialsOf(async () => {
    const answer = answers.shift() ?? 'unknown'
    entered.resolve()
    await goOn.promise
    return answer
  })
  const asking = credentials.authenticate('t')
  await entered.promise
  credentials.end('x')
  goOn.resolve()
  assert.equal(await asking, null)
  assert.equal(answers.length, 0)
})

test('an end that lies ahead cuts a proof short, and never makes it longer', async () => {
  const clock = new FakeClock()
  const credentials = credentialsOf(() => ({ ...proofOf('x'), expiresAt: clock.now() + 1_000 }), clock)
  const principal = (await credentials.authenticate('t')) ?? assert.fail()
  const gone: string[] = []
  credentials.onEnd(principal, () => gone.push('early'))
  credentials.end('x', clock.now() + 5_000)
  credentials.end('x', clock.now() + 500)
  credentials.end('y')
  clock.advance(499)
  assert.deepEqual(gone, [])
  clock.advance(1)
  assert.deepEqual(gone, ['early'])
  clock.advance(10_000)
  assert.deepEqual(gone, ['early'])
  assert.equal(clock.pending, 0)
})

test('a verifier that cannot say now refuses nobody and lets nobody in', async () => {
  const credentials = credentialsOf(() => Promise.reject(new UnavailableError('Later.', { code: 'ISSUER_UNREACHABLE' })))
  await assert.rejects(credentials.authenticate('t'), { code: 'ISSUER_UNREACHABLE' })
  assert.equal(metrics.value('failures unavailable'), 1)
})

test('what ends between its proof and its use is noticed: it holds no more, and whoever asks to be told is told', async () => {
  // However few steps lie between the verifier's answer and whoever waits for it.
  for (let steps = 0; steps < 8; steps++) {
    const answers: (Proof | Refusal)[] = [proofOf('x'), 'revoked']
    const answered = Promise.withResolvers<Proof | Refusal>()
    const credentials = credentialsOf(() => (answers.length === 2 ? (answers.shift(), answered.promise) : (answers.shift() ?? 'unknown')))
    const asking = credentials.authenticate('t')
    answered.resolve(proofOf('x'))
    for (let step = 0; step < steps; step++) await Promise.resolve()
    credentials.end('x')
    const principal = await asking
    if (principal !== null) assert.equal(credentials.holds(principal), false, `${steps} steps`)
    assert.equal(await credentials.authenticate('t'), null, `${steps} steps: it is remembered`)
  }
})

test('whoever asks to be told of an end that was is told soon, and not after letting go', async () => {
  const clock = new FakeClock()
  const credentials = credentialsOf(() => proofOf('x', 'y'), clock)
  const principal = (await credentials.authenticate('t')) ?? assert.fail()
  assert.equal(credentials.holds(principal), true)
  credentials.end('other')
  assert.equal(credentials.holds(principal), true)
  credentials.end('y')
  const gone: string[] = []
  credentials.onEnd(principal, () => gone.push('told'))
  credentials.onEnd(principal, () => gone.push('let go'))()
  assert.deepEqual(gone, [], 'not before the caller has what it let go by')
  await Promise.resolve()
  assert.deepEqual(gone, ['told'])
  assert.equal(clock.pending, 0)
})

test('an end that was said to come is kept in mind for what is under way', async () => {
  const clock = new FakeClock()
  const credentials = credentialsOf(() => proofOf('x'), clock)
  const principal = (await credentials.authenticate('t')) ?? assert.fail()
  credentials.end('x', clock.now() + 500)
  const gone: string[] = []
  credentials.onEnd(principal, () => gone.push('told'))
  clock.advance(499)
  assert.deepEqual([credentials.holds(principal), gone], [true, []])
  clock.advance(1)
  assert.deepEqual([credentials.holds(principal), gone], [false, ['told']])
})

test('so many ends are kept in mind: what nobody looked at since the oldest counts as ended, what is used does not', async () => {
  const credentials = credentialsOf(() => proofOf('x'))
  const used = (await credentials.authenticate('used')) ?? assert.fail()
  const left = (await credentials.authenticate('left')) ?? assert.fail()
  for (let i = 0; i < 5_000; i++) {
    credentials.end(`other-${i}`)
    if (i % 1_000 === 0) assert.equal(await credentials.authenticate('used'), used)
  }
  assert.deepEqual([credentials.holds(used), credentials.holds(left)], [true, false])
  assert.equal(await credentials.authenticate('left'), left, 'proven once more it holds')
  assert.equal(credentials.holds(left), true)
})
