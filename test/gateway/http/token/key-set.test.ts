/** The keys of an issuer: rotated, asked for at once by many, asked for in vain, and gone for a while. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jwkOf, signingKey, token } from '../../../fakes/issuer.ts'
import { problem } from '../double.ts'
import { issuerConfig, startWorld } from './issuer.ts'
import type { World } from './issuer.ts'

const REST_MS = 30_000
const FRESH_MS = 600_000
const KEPT_MS = 86_400_000

const failed = ({ hub }: World): number => hub.metrics.value('openclaw_key_set_fetches_total failed')

test('a new key is taken when a token names it, the old one as long as it is published', async (t) => {
  const world = await startWorld(t)
  const next = signingKey('k2')
  assert.equal((await world.as(world.token())).status, 200)
  world.issuer.keys = [jwkOf(world.signer), jwkOf(next)]
  world.hub.clock.advance(REST_MS)
  assert.equal((await world.as(token(next, world.claims()))).status, 200)
  assert.equal((await world.as(world.token({ jti: 't2' }))).status, 200)
  assert.equal(world.issuer.keyFetches, 2)
  world.issuer.keys = [jwkOf(next)]
  world.hub.clock.advance(FRESH_MS + 1)
  await problem(await world.as(world.token({ jti: 't3' })), 401)
  assert.equal(world.refused('signing_key'), 1)
})

test('tokens with a thousand unknown keys are one fetch in half a minute', async (t) => {
  const world = await startWorld(t)
  assert.equal((await world.as(world.token())).status, 200)
  const flood = async (from: number): Promise<void> => {
    for (let i = from; i < from + 1_000; i += 50) {
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, j) => world.as(token(world.signer, world.claims(), { alg: 'RS256', kid: `flood-${i + j}` }))),
      )
      assert.ok(answers.every(({ status }) => status === 401))
    }
  }
  await flood(0)
  assert.equal(world.issuer.keyFetches, 1, 'the set was fetched a moment ago')
  world.hub.clock.advance(REST_MS)
  await flood(1_000)
  assert.equal(world.issuer.keyFetches, 2)
})

test('many who come at once share one fetch', async (t) => {
  const world = await startWorld(t)
  const waiting = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  world.issuer.instead = (response) => {
    waiting.resolve()
    void answer.promise.then(() => response.end(JSON.stringify({ keys: world.issuer.keys })))
  }
  const asked = Array.from({ length: 20 }, (_, i) => world.as(world.token({ jti: `t${i}` })))
  await waiting.promise
  answer.resolve()
  assert.ok((await Promise.all(asked)).every(({ status }) => status === 200))
  assert.equal(world.issuer.keyFetches, 1)
})

test('while the issuer is down its last good keys count for a day, and it is asked once in half a minute', async (t) => {
  const world = await startWorld(t)
  assert.equal((await world.as(world.token())).status, 200)
  world.issuer.instead = (response) => response.writeHead(503).end()
  world.hub.clock.advance(FRESH_MS + 1)
  for (let i = 0; i < 5; i++) assert.equal((await world.as(world.token({ jti: `a${i}` }))).status, 200)
  assert.equal(world.issuer.keyFetches, 2)
  assert.equal(failed(world), 1)
  world.hub.clock.advance(KEPT_MS)
  const response = await world.as(world.token({ jti: 'late' }))
  assert.ok(Number(response.headers.get('retry-after')) > 0)
  assert.equal((await problem(response, 503))['code'], 'ISSUER_UNREACHABLE')
  assert.equal(world.refused('unavailable'), 1)
  world.issuer.instead = null
  world.hub.clock.advance(REST_MS)
  assert.equal((await world.as(world.token({ jti: 'again' }))).status, 200)
})

for (const [name, instead] of [
  ['no JSON', (response) => response.end('<html>')],
  ['no set of keys', (response) => response.end('{"keys":"none"}')],
  ['another address', (response) => response.writeHead(302, { location: '/elsewhere' }).end()],
  ['more than it may', (response) => response.end(JSON.stringify({ keys: [], note: 'x'.repeat(300_000) }))],
  ['half an answer', (response) => void response.writeHead(200, { 'content-length': '1000' }).end('{"keys":')],
] as readonly (readonly [string, NonNullable<World['issuer']['instead']>])[]) {
  test(`an issuer that answers ${name} leaves the last good keys in force`, async (t) => {
    const world = await startWorld(t)
    assert.equal((await world.as(world.token())).status, 200)
    world.issuer.instead = instead
    world.hub.clock.advance(FRESH_MS + 1)
    assert.equal((await world.as(world.token({ jti: 't2' }))).status, 200)
    assert.equal(failed(world), 1)
    assert.ok(!world.issuer.asked.includes('/elsewhere'))
  })
}

test('an issuer that never answers is waited for five seconds, once', async (t) => {
  const world = await startWorld(t)
  const asked = Promise.withResolvers<void>()
  world.issuer.instead = () => asked.resolve()
  const first = world.as(world.token())
  await asked.promise
  const second = world.as(world.token({ jti: 't2' }))
  await world.hub.clock.timerAt(world.hub.clock.now() + 5_000)
  world.hub.clock.advance(5_000)
  for (const response of await Promise.all([first, second])) await problem(response, 503)
  await problem(await world.as(world.token({ jti: 't3' })), 503)
  assert.equal(world.issuer.keyFetches, 1, 'it rests after a failure')
})

test('a set that was emptied refuses all: so an issuer calls its keys back', async (t) => {
  const world = await startWorld(t)
  assert.equal((await world.as(world.token())).status, 200)
  world.issuer.keys = []
  world.hub.clock.advance(FRESH_MS + 1)
  await problem(await world.as(world.token({ jti: 't2' })), 401)
})

test('without jwks_uri discovery tells where the keys are', async (t) => {
  const world = await startWorld(t, { jwksUri: null })
  assert.equal((await world.as(world.token())).status, 200)
  assert.deepEqual(world.issuer.asked, ['/.well-known/openid-configuration', '/jwks'])
})

test('a discovery document of another issuer is not believed', async (t) => {
  const world = await startWorld(t, { jwksUri: null })
  world.issuer.discovered = { issuer: 'https://evil.example' }
  await problem(await world.as(world.token()), 503)
  assert.deepEqual(world.issuer.asked, ['/.well-known/openid-configuration'])
})

test('keys are not fetched from inside, in plain http beyond this machine, or through a name of this machine that is not opened', async (t) => {
  const world = await startWorld(t)
  for (const jwksUri of [
    'http://10.0.0.1/jwks',
    'https://169.254.169.254/latest',
    'http://example.com/jwks',
    'ftp://example.com/jwks',
    'https://[::1]/jwks',
  ]) {
    world.hub.tokens.configure([issuerConfig(world.issuer.url, { jwksUri })])
    await problem(await world.as(world.token({ jti: jwksUri })), 503)
  }
  assert.equal(world.issuer.asked.length, 0)
  const told = world.hub.log.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields['error.code'])
  assert.deepEqual(
    told,
    Array.from({ length: 5 }, () => 'OUTBOUND_REFUSED'),
  )
})

test('keys of every configured kind verify; a token without a key id does when only one key fits', async (t) => {
  for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA'] as const) {
    const world = await startWorld(t, {}, { signer: signingKey('k1', alg) })
    assert.equal((await world.as(world.token())).status, 200, alg)
    assert.equal((await world.as(token(world.signer, world.claims({ jti: 't2' }), { alg }))).status, 200, alg)
    world.issuer.keys = [...world.issuer.keys, jwkOf(signingKey('k2', alg))]
    world.hub.clock.advance(FRESH_MS + 1)
    await problem(await world.as(token(world.signer, world.claims({ jti: 't3' }), { alg })), 401)
  }
})
