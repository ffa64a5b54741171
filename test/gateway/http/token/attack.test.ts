/** What is done to tokens by those who should not get in (RFC 8725). Each row is refused for the reason it names; two are let in, because the rules say so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64url, jwkOf, signingKey, symmetricToken, token } from '../../../fakes/issuer.ts'
import type { Json } from '../../../fakes/issuer.ts'
import { problem } from '../double.ts'
import { issuerConfig, startWorld } from './issuer.ts'
import type { World } from './issuer.ts'

const mallory = signingKey('k1')
const now = ({ hub }: World): number => Math.floor(hub.clock.now() / 1_000)
const unsigned = (world: World, alg: string, signature = ''): string =>
  `${base64url({ alg, kid: 'k1', typ: 'JWT' })}.${base64url(world.claims())}.${signature}`
const withHeader = (world: World, header: Json): string =>
  token(world.signer, world.claims(), { alg: 'RS256', kid: 'k1', typ: 'JWT', ...header })
/** Claims as text, with a member written twice. */
const doubled = (world: World, first: Json): string => `${JSON.stringify(first).slice(0, -1)},${JSON.stringify(world.claims()).slice(1)}`

type Reason = Parameters<World['refused']>[0]
const ATTACKS: readonly (readonly [name: string, reason: Reason, make: (world: World) => string])[] = [
  ['no signature, alg none', 'algorithm', (world) => unsigned(world, 'none')],
  ['no signature, alg None', 'algorithm', (world) => unsigned(world, 'None')],
  ['no signature, alg NONE', 'algorithm', (world) => unsigned(world, 'NONE')],
  ['alg none with a signature of something else', 'algorithm', (world) => unsigned(world, 'none', world.token().split('.')[2])],
  [
    'HS256 with the public key as the secret',
    'algorithm',
    (world) =>
      symmetricToken(world.signer.publicKey.export({ type: 'spki', format: 'pem' }).toString(), world.claims(), {
        alg: 'HS256',
        kid: 'k1',
      }),
  ],
  [
    'HS256 with the modulus as the secret',
    'algorithm',
    (world) => symmetricToken(Buffer.from(String(jwkOf(world.signer)['n']), 'base64url'), world.claims(), { alg: 'HS256', kid: 'k1' }),
  ],
  ['HS256 with an empty secret', 'algorithm', (world) => symmetricToken('', world.claims(), { alg: 'HS256', kid: 'k1' })],
  ['an algorithm that is not configured', 'algorithm', (world) => withHeader(world, { alg: 'RS512' })],
  [
    'an algorithm that the key is not for',
    'signing_key',
    (world) => token({ ...mallory, alg: 'PS256' }, world.claims(), { alg: 'PS256', kid: 'k1' }),
  ],
  [
    'a key that it brings along (jwk)',
    'signature',
    (world) => token(mallory, world.claims(), { alg: 'RS256', kid: 'k1', jwk: jwkOf(mallory) }),
  ],
  [
    'an address that its key is at (jku)',
    'signature',
    (world) => token(mallory, world.claims(), { alg: 'RS256', kid: 'k1', jku: `${world.issuer.url}/evil` }),
  ],
  [
    'an address that its certificate is at (x5u)',
    'signature',
    (world) => token(mallory, world.claims(), { alg: 'RS256', kid: 'k1', x5u: `${world.issuer.url}/evil` }),
  ],
  ['a key id that is a path', 'signing_key', (world) => withHeader(world, { kid: '../../../../dev/null' })],
  ['a key id that is SQL', 'signing_key', (world) => withHeader(world, { kid: "' UNION SELECT 'secret' --" })],
  ['a key id without end', 'signing_key', (world) => withHeader(world, { kid: 'k'.repeat(4_000) })],
  ['a key id that is no text', 'signing_key', (world) => withHeader(world, { kid: ['k1'] })],
  ['a critical header that nobody knows', 'algorithm', (world) => withHeader(world, { crit: ['exp2'], exp2: 1 })],
  ['a payload that is said not to be encoded (b64)', 'claims', (world) => withHeader(world, { crit: ['b64'], b64: false })],
  ['a signature that was taken away', 'signature', (world) => `${world.token().split('.').slice(0, 2).join('.')}.`],
  [
    'a signature of another token',
    'signature',
    (world) => [...world.token().split('.').slice(0, 2), world.token({ sub: 'bob' }).split('.')[2]].join('.'),
  ],
  [
    'claims that were changed',
    'signature',
    (world) => {
      const [head, , tail] = world.token().split('.')
      return `${head}.${base64url(world.claims({ roles: ['admin'] }))}.${tail}`
    },
  ],
  ['a type of token that is for logging out', 'type', (world) => withHeader(world, { typ: 'logout+jwt' })],
  ['a type of token that proves a key', 'type', (world) => withHeader(world, { typ: 'dpop+jwt' })],
  ['another audience', 'audience', (world) => world.token({ aud: 'payroll' })],
  ['other audiences', 'audience', (world) => world.token({ aud: ['payroll', 'openclaw2'] })],
  ['no audience', 'claims', (world) => world.token({ aud: undefined })],
  ['an audience that begins like ours', 'audience', (world) => world.token({ aud: 'openclaw/' })],
  ['an issuer that nobody configured', 'issuer', (world) => world.token({ iss: 'https://evil.example' })],
  ['an issuer with a slash more', 'issuer', (world) => world.token({ iss: `${world.issuer.url}/` })],
  ['an issuer that is a list', 'claims', (world) => world.token({ iss: [world.issuer.url] })],
  ['no issuer', 'claims', (world) => world.token({ iss: undefined })],
  ['no end', 'claims', (world) => world.token({ exp: undefined })],
  ['an end that is text', 'claims', (world) => world.token({ exp: String(now(world) + 600) })],
  ['an end that is over', 'expired', (world) => world.token({ iat: now(world) - 700, exp: now(world) - 31 })],
  ['a beginning to come', 'early', (world) => world.token({ nbf: now(world) + 31 })],
  ['a time of issue to come', 'early', (world) => world.token({ iat: now(world) + 31 })],
  ['a time of issue that is text', 'claims', (world) => world.token({ iat: String(now(world)) })],
  ['no time of issue', 'claims', (world) => world.token({ iat: undefined })],
  [
    'an age beyond what is allowed, with an end to come',
    'expired',
    (world) => world.token({ iat: now(world) - 86_431, exp: now(world) + 600 }),
  ],
  [
    'claims that are there twice, the last of them wrong',
    'audience',
    (world) => token(world.signer, `${doubled(world, {}).slice(0, -1)},"aud":"payroll"}`.replace('{,', '{')),
  ],
  ['claims that are no object', 'claims', (world) => token(world.signer, '["iss"]')],
  ['claims that are no JSON', 'claims', (world) => token(world.signer, '{"iss":')],
  ['a subject that is no text', 'claims', (world) => world.token({ sub: { id: 'alice' } })],
  ['no subject', 'claims', (world) => world.token({ sub: undefined })],
  ['a subject with a line end in it', 'claims', (world) => world.token({ sub: 'alice\nadmin' })],
  ['a subject without end', 'claims', (world) => world.token({ sub: 'a'.repeat(256) })],
  ['an id that is no text', 'claims', (world) => world.token({ jti: 1 })],
  ['a token of more than 8 KiB', 'malformed', (world) => world.token({ note: 'x'.repeat(7_000) })],
  ['four parts', 'malformed', (world) => `${world.token()}.x`],
]

for (const [name, reason, make] of ATTACKS) {
  test(`a token is refused: ${name}`, async (t) => {
    const world = await startWorld(t)
    assert.equal((await world.as(world.token())).status, 200, 'an honest one is let in')
    const before = world.refused(reason)
    const body = await problem(await world.as(make(world)), 401)
    assert.equal(body['code'], 'CREDENTIAL_INVALID')
    assert.equal(world.refused(reason), before + 1)
    assert.ok(!world.issuer.asked.includes('/evil'), 'nothing that a token names is fetched')
    assert.ok(world.issuer.keyFetches <= 1)
  })
}

test('of claims that are there twice the last counts, for the issuer as for all (RFC 7519 §4)', async (t) => {
  const world = await startWorld(t)
  const text = doubled(world, { iss: 'https://evil.example', aud: 'payroll', exp: 1 })
  assert.equal((await world.as(token(world.signer, text))).status, 200)
})

test('one of several audiences is enough (RFC 7519 §4.1.3)', async (t) => {
  const world = await startWorld(t)
  assert.equal((await world.as(world.token({ aud: ['payroll', 'openclaw'] }))).status, 200)
})

test('a key of one issuer signs for no other', async (t) => {
  const world = await startWorld(t)
  const other = await startWorld(t, {}, { signer: signingKey('k1') })
  const { issuer } = other
  world.hub.tokens.configure([issuerConfig(world.issuer.url), issuerConfig(issuer.url)])
  assert.equal((await world.as(token(other.signer, world.claims({ iss: issuer.url })))).status, 200)
  await problem(await world.as(token(other.signer, world.claims())), 401)
  assert.equal(world.refused('signature'), 1)
})

test('a scope gives only what is grantable, never everything', async (t) => {
  const world = await startWorld(t)
  const scope = '* admin keys:write config:write agent:execute __proto__ constructor messages:write'
  const body = (await (await world.as(world.token({ scope, roles: [] }), '/v1/whoami')).json()) as Json
  assert.deepEqual([body['scopes'], body['roles']], [['agent:execute', 'messages:write'], []])
  await problem(await world.as(world.token({ scope, roles: [] }), '/v1/keys'), 403)
})

test('roles count only where the configuration says in which claim they stand, and only those there are', async (t) => {
  const without = await startWorld(t, { claims: { subject: 'sub', scopes: 'scope', roles: null, tenant: null } })
  await problem(await without.as(without.token({ roles: ['admin'] })), 403)
  const world = await startWorld(t)
  const body = (await (await world.as(world.token({ roles: ['nobody', '*', '__proto__', 'constructor'] }), '/v1/whoami')).json()) as Json
  assert.deepEqual([body['scopes'], body['roles']], [[], []])
})

test('a tenant is what its claim says, by its rule; the operator’s is reached by no claim', async (t) => {
  const world = await startWorld(t, { claims: { subject: 'sub', scopes: 'scope', roles: 'roles', tenant: 'org_id' }, tenant: null })
  const tenant = async (org_id: unknown): Promise<unknown> => {
    const response = await world.as(world.token({ org_id }), '/v1/whoami')
    return response.status === 200 ? ((await response.json()) as Json)['tenant'] : response.status
  }
  assert.equal(await tenant('acme'), 'acme')
  const before = world.refused('tenant')
  const wrong = ['default', 'Acme', '', 'a/b', '../default', 'acme\n', '-acme', 'a'.repeat(64), ['acme'], null, undefined, 7]
  for (const each of wrong) assert.equal(await tenant(each), 401, JSON.stringify(each))
  assert.equal(world.refused('tenant'), before + wrong.length)
})

test('what is told of a refused token are six of its claims, cut and on one line', async (t) => {
  const world = await startWorld(t)
  await world.as(world.token({ aud: 'payroll', sub: `a\r\n${'x'.repeat(500)}`, email: 'alice@example.com' }))
  const line = world.hub.log.lines.find(({ message }) => message === 'A token was refused.')
  assert.deepEqual(Object.keys(line?.fields ?? {}).sort(), ['alg', 'aud', 'exp', 'iss', 'kid', 'reason', 'sub'])
  assert.equal(line?.fields['reason'], 'audience')
  assert.match(JSON.stringify(line?.fields['sub']), /^"a {2}x{125}"$/)
  const told = JSON.stringify(world.hub.log.lines)
  assert.ok(!told.includes('alice@example.com'))
  assert.ok(!told.includes(world.token({ aud: 'payroll' }).split('.')[2] ?? 'none'))
})
