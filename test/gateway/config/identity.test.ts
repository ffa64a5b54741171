/** What the file says of issuers, roles and keys: what is made of it, and what it may not say. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { formatFault, loadConfig } from '../../../gateway/config/load.ts'
import { folder } from './folder.ts'

const load = async (t: TestContext, yaml: string): Promise<Awaited<ReturnType<typeof loadConfig>>> =>
  loadConfig({ dir: await folder(t, { 'openclaw.yaml': yaml }), env: {} })
const faults = async (t: TestContext, yaml: string): Promise<string> => {
  const loaded = await load(t, yaml)
  return loaded.ok ? '' : loaded.faults.map(formatFault).join('\n')
}
const DIGEST = 'ab'.repeat(32)

test('an issuer needs a name and an audience; the rest is decided to the safe side', async (t) => {
  const loaded = await load(t, 'auth: {issuers: [{issuer: "https://id.example/", audience: openclaw}]}')
  assert.ok(loaded.ok)
  assert.deepEqual(loaded.config.auth, {
    issuers: [
      {
        issuer: 'https://id.example/',
        audiences: ['openclaw'],
        jwksUri: null,
        discoveryUri: 'https://id.example/.well-known/openid-configuration',
        algorithms: ['RS256', 'ES256', 'EdDSA', 'PS256'],
        toleranceMs: 30_000,
        maxAgeMs: 86_400_000,
        typ: null,
        claims: { subject: 'sub', scopes: 'scope', roles: null, tenant: null },
        tenant: 'default',
        grantableScopes: ['agent:execute', 'skills:execute', 'messages:write'],
      },
    ],
    allowNetworks: [],
  })
})

test('where tokens claim their tenant, one that claims none is refused unless the file says whose it is', async (t) => {
  const tenantOf = async (more: string): Promise<unknown> => {
    const loaded = await load(t, `auth: {issuers: [{issuer: "https://id.example", audience: [a, b], claims: {tenant: org_id}${more}}]}`)
    return loaded.ok ? loaded.config.auth.issuers[0]?.tenant : assert.fail()
  }
  assert.equal(await tenantOf(''), null)
  assert.equal(await tenantOf(', tenant: acme'), 'acme')
})

test('no issuer can be configured that would take forged tokens', async (t) => {
  const issuer = (more: string): string => `auth: {issuers: [{issuer: "https://id.example", audience: a${more}}]}`
  for (const [yaml, fault] of [
    [issuer(', algorithms: [HS256]'), /auth\.issuers\[0\]\.algorithms\[0\]/],
    [issuer(', algorithms: [none]'), /auth\.issuers\[0\]\.algorithms\[0\]/],
    [issuer(', algorithms: []'), /at least 1/],
    [issuer(', max_token_age: 8d'), /max_token_age/],
    [issuer(', clock_tolerance: 10m'), /clock_tolerance/],
    [issuer(', grantable_scopes: ["*"]'), /grantable_scopes\[0\]/],
    [issuer(', tenant: Acme'), /tenant/],
    [issuer(', jwks_uri: "http://id.example/keys"'), /without TLS/],
    [issuer(', jwks_uri: "https://a.example/k", discovery: "https://a.example/d"'), /expected one of them/],
    [issuer(', jwks_uri: "https://user:pw@id.example/keys"'), /a user in it/],
    ['auth: {issuers: [{issuer: "https://id.example"}]}', /audience/],
    ['auth: {issuers: [{issuer: "https://id.example", audience: []}]}', /audience/],
    ['auth: {issuers: [{issuer: "https://id.example", audience: ""}]}', /audience/],
    ['auth: {issuers: [{issuer: "http://id.example", audience: a}]}', /without TLS/],
    ['auth: {issuers: [{issuer: "https://id.example#x", audience: a}]}', /fragment/],
    ['auth: {issuers: [{issuer: "https://id.example?x=1", audience: a}]}', /query/],
    ['auth: {issuers: [{issuer: "https://id.example", audience: a}, {issuer: "https://id.example", audience: b}]}', /each once/],
    ['auth: {allow_networks: [10.0.0.0/40]}', /no network/],
    ['auth: {allow_networks: [inside]}', /no network/],
  ] as const) {
    assert.match(await faults(t, yaml), fault, yaml)
  }
  assert.equal(
    await faults(t, 'auth: {issuers: [{issuer: "http://127.0.0.1:8080/realms/a", audience: a}], allow_networks: [127.0.0.0/8, "::1"]}'),
    '',
  )
})

test('a key in plain text is a fault that does not print it', async (t) => {
  const key = `ock_live_AAAAAAAA_${'A'.repeat(43)}`
  const told = await faults(t, `keys: [{name: ci, sha256: ${key}, scopes: ["*"]}]`)
  assert.match(told, /keys\[0\]\.sha256: a key in plain text, expected its SHA-256/)
  assert.ok(!told.includes(key))
  assert.match(await faults(t, `keys: [{name: ci, sha256: ABC, scopes: ["*"]}]`), /64 hex digits/)
  for (const name of ['key', 'secret', 'plain']) {
    const unknown = await faults(t, `keys: [{name: ci, ${name}: ${key}, sha256: ${DIGEST}, scopes: ["*"]}]`)
    assert.match(unknown, /unknown key/)
    assert.ok(!unknown.includes(key))
  }
})

test('roles and keys are told apart from words that mean nothing', async (t) => {
  assert.match(await faults(t, 'roles: {ops: [channels:raed]}'), /channels:read/)
  assert.match(await faults(t, 'roles: {"Ops x": []}'), /the name/)
  assert.match(await faults(t, `keys: [{name: ci, sha256: ${DIGEST}}]`), /may do nothing/)
  assert.match(await faults(t, `keys: [{name: ci, sha256: ${DIGEST}, roles: [veiwer]}]`), /no role is called "veiwer".*viewer/s)
  assert.match(
    await faults(t, `keys: [{name: ci, sha256: ${DIGEST}, scopes: ["*"]}, {name: ci, sha256: ${DIGEST}, scopes: ["*"]}]`),
    /each once/,
  )
  const loaded = await load(
    t,
    `roles: {ops: [channels:read], viewer: [metrics:read]}\nkeys: [{name: ci, sha256: ${DIGEST}, roles: [ops], tenant: acme}]`,
  )
  assert.ok(loaded.ok)
  assert.deepEqual(loaded.config.roles, { ops: ['channels:read'], viewer: ['metrics:read'] })
  assert.deepEqual(loaded.config.keys, [{ name: 'ci', sha256: DIGEST, scopes: [], roles: ['ops'], tenant: 'acme' }])
})

test('the examples in docs/identity.md are without fault', async (t) => {
  const text = await readFile(new URL('../../../docs/identity.md', import.meta.url), 'utf8')
  const blocks = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml = '']) => yaml)
  assert.equal(blocks.length, 3)
  assert.equal(await faults(t, blocks.join('')), '')
})
