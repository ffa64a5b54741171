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
