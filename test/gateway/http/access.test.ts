import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mountedAs } from '../../../gateway/http/app.ts'
import { DEFAULT_TENANT, SCOPES } from '#contract'
import type { JsonObject } from '#contract'
import { Redactor } from '../../../gateway/observe/redact.ts'
import { Hub, echoRoute, problem, startServer } from './double.ts'

/** Every operation of the table as the document lists it, with something for each parameter. */
async function operations(url: string): Promise<readonly { method: string; path: string; permission: string; isPlain: boolean }[]> {
  const document = (await (await fetch(`${url}/v1/openapi.json`)).json()) as { paths: { [path: string]: { [method: string]: JsonObject } } }
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => {
      const aliases = operation['x-openclaw-aliases']
      const names = [path, ...(Array.isArray(aliases) ? aliases.map(String) : [])].flatMap(mountedAs)
      return names.map((name) => ({
        method: method.toUpperCase(),
        path: name.replaceAll(/\{\w+\}/g, 'x'),
        permission: JSON.stringify(operation['x-openclaw-permission']).slice(1, -1),
        // Errors in the words of another API.
        isPlain: JSON.stringify(operation['responses']).includes('plain-error'),
      }))
    }),
  )
}

test('every route that is not public refuses strangers with 401 and keys without its scope with 403', async (t) => {
  const { url, keyFor } = await startServer(t)
  const all = await operations(url)
  const guarded = all.filter(({ permission }) => permission !== 'public')
  assert.ok(guarded.length > 30, `only ${guarded.length} guarded routes`)
  for (const { method, path, permission, isPlain } of guarded) {
    const refused = await fetch(url + path, { method })
    if (isPlain) assert.deepEqual(await plain(refused), [401, 'invalid_api_key'], path)
    else assert.equal((await problem(refused, 401))['type'], 'https://openclaw.dev/problems/unauthorized', path)
    const { secret } = await keyFor(SCOPES.filter((scope) => scope !== '*' && scope !== permission))
    const other = await fetch(url + path, { method, headers: { authorization: `Bearer ${secret}` } })
    assert.equal(other.headers.get('www-authenticate'), 'Bearer realm="openclaw", error="insufficient_scope"')
    if (isPlain) assert.deepEqual(await plain(other), [403, 'insufficient_permissions'], path)
    else assert.equal((await problem(other, 403))['code'], 'INSUFFICIENT_SCOPE', path)
  }
})

async function plain(response: Response): Promise<readonly unknown[]> {
  const { error } = (await response.json()) as { readonly error: { readonly code: string } }
  return [response.status, error.code]
}

test('the public routes are these and no more', async (t) => {
  const { url } = await startServer(t)
  const found = (await operations(url)).filter(({ permission, path }) => permission === 'public' && !path.startsWith('/api/v1/'))
  assert.deepEqual(
    found.map(({ method, path }) => `${method} ${path}`).sort(),
    [
      'DELETE /v1/console/session',
      'GET /api/health',
      'GET /healthz',
      'GET /readyz',
      'GET /startupz',
      'GET /v1/health',
      'GET /v1/openapi.json',
      'GET /v1/whoami',
      'GET /version',
      'POST /v1/console/session',
    ].sort(),
  )
})

test('a credential that is given must hold: wrong, empty and foreign ones are 401, and counted', async (t) => {
  const { call, hub } = await startServer(t)
  for (const authorization of [
    'Bearer',
    'Bearer ',
    'Bearer x',
    `Bearer ock_live_AAAAAAAA_${'A'.repeat(43)}`,
    'Basic YTpi',
    'bearer  ',
    'Bearer a b',
  ]) {
    const response = await call('/v1/channels', { headers: { authorization } })
    assert.equal((await problem(response, 401))['code'], 'CREDENTIAL_INVALID', authorization)
    assert.equal(response.headers.get('www-authenticate'), 'Bearer realm="openclaw", error="invalid_token"')
  }
  assert.equal(hub.metrics.value('openclaw_auth_failures_total unknown'), 1)
  assert.equal(hub.metrics.value('openclaw_auth_failures_total malformed'), 6)
})

test('what a client says of its scopes or its place counts for nothing', async (t) => {
  const { call, keyFor } = await startServer(t)
  const { secret } = await keyFor(['channels:read'])
  const headers = {
    authorization: `Bearer ${secret}`,
    'x-openclaw-scopes': '*',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-host': 'localhost',
    'x-openclaw-owner': 'admin',
  }
  await problem(await call('/v1/keys', { headers }), 403)
  await problem(await call('/v1/channels?access_token=x', { headers: { authorization: 'none' } }), 401)
})

test('a revoked key is refused by the very next request, though it was remembered', async (t) => {
  const { call, keyFor, hub } = await startServer(t)
  const { id, secret } = await keyFor(['channels:read'])
  const headers = { authorization: `Bearer ${secret}` }
  assert.equal((await call('/v1/channels', { headers })).status, 200)
  assert.equal((await call('/v1/channels', { headers })).status, 200)
  assert.equal((await call(`/v1/keys/${id}`, { method: 'DELETE' })).status, 204)
  await problem(await call('/v1/channels', { headers }), 401)
  assert.equal(hub.metrics.value('openclaw_auth_failures_total revoked'), 1)
  await problem(await call(`/v1/keys/${id}`, { method: 'DELETE' }), 404)
})

test('an expired key is refused though it was remembered', async (t) => {
  const { call, hub } = await startServer(t)
  const { secret } = await hub.keys.create({ tenant: DEFAULT_TENANT, name: 'brief', scopes: ['*'], expiresAt: hub.clock.now() + 60_000 })
  const headers = { authorization: `Bearer ${secret}` }
  assert.equal((await call('/v1/channels', { headers })).status, 200)
  hub.clock.advance(60_000)
  await problem(await call('/v1/channels', { headers }), 401)
})

test('keys are made, listed without secrets, and used', async (t) => {
  const { call } = await startServer(t)
  const made = await call('/v1/keys', {
    method: 'POST',
    json: { name: 'ci', scopes: ['channels:read'], expires_at: '2031-01-01T00:00:00Z' },
  })
  assert.equal(made.status, 201)
  const { secret, id, ...rest } = (await made.json()) as { secret: string; id: string }
  assert.deepEqual(rest, {
    tenant: 'default',
    name: 'ci',
    prefix: secret.slice(0, 17),
    scopes: ['channels:read'],
    roles: [],
    from: 'api',
    created_at: '2030-01-01T00:00:00.000Z',
    created_by: 'tester',
    expires_at: '2031-01-01T00:00:00.000Z',
    revoked_at: null,
    rotated_until: null,
    last_used_at: null,
  })
  assert.equal((await call('/v1/channels', { headers: { authorization: `Bearer ${secret}` } })).status, 200)
  const list = await (await call('/v1/keys')).text()
  assert.ok(list.includes(id))
  assert.ok(!list.includes(secret))
  assert.ok(!list.includes('hash'))
})

test('a key cannot give away more than it has, nor take the name of another owner', async (t) => {
  const { call, keyFor } = await startServer(t)
  const { secret } = await keyFor(['keys:write', 'channels:read'], 'ops')
  const headers = { authorization: `Bearer ${secret}` }
  const make = (json: JsonObject) => call('/v1/keys', { method: 'POST', headers, json })
  assert.equal((await problem(await make({ name: 'x', scopes: ['*'] }), 403))['code'], 'SCOPE_ESCALATION')
  assert.equal((await problem(await make({ name: 'x', scopes: ['keys:read'] }), 403))['code'], 'SCOPE_ESCALATION')
  assert.equal((await problem(await make({ name: 'tester', scopes: ['channels:read'] }), 409))['code'], 'KEY_NAME_TAKEN')
  assert.equal((await make({ name: 'ops', scopes: ['channels:read'] })).status, 201)
})

test('a key with unknown scopes, no name or an end in the past is refused with pointers', async (t) => {
  const { call } = await startServer(t)
  const pointers = async (json: JsonObject): Promise<unknown> =>
    (await problem(await call('/v1/keys', { method: 'POST', json }), 422))['errors']
  assert.match(JSON.stringify(await pointers({ name: 'a', scopes: ['everything'] })), /#\/scopes\/0/)
  assert.match(JSON.stringify(await pointers({ scopes: ['*'] })), /"#\/name","detail":"is missing"/)
  assert.match(JSON.stringify(await pointers({ name: 'a', scopes: ['*'], admin: true })), /"#\/admin","detail":"is not a known member"/)
  assert.match(JSON.stringify(await pointers({ name: 'a', scopes: ['*'], expires_at: '2020-01-01' })), /#\/expires_at/)
  assert.match(JSON.stringify(await pointers({ name: 'a', scopes: ['*'], expires_at: 'soon' })), /#\/expires_at/)
})

test('the body of a stranger is not read', async (t) => {
  let isHandled = false
  const { call } = await startServer(t, { routes: [echoRoute({ handle: () => ((isHandled = true), { status: 202 }) })] })
  const response = await call('/v1/messages', {
    method: 'POST',
    headers: { authorization: 'none', 'content-type': 'application/json' },
    body: '{bad',
  })
  await problem(response, 401)
  assert.equal(isHandled, false)
})

test('what the refused are told survives the redaction of secrets, word for word', async (t) => {
  const hub = new Hub()
  const redactor = new Redactor()
  const { call, keyFor } = await startServer(t, { hub, services: { ...hub.services, redact: (text) => redactor.text(text) } })
  const detail = async (headers: { readonly [name: string]: string }, status: number): Promise<unknown> =>
    (await problem(await call('/v1/agents', { headers }), status))['detail']
  assert.equal(await detail({ authorization: 'none' }, 401), 'Give an API key: `Authorization: Bearer <key>`.')
  assert.equal(await detail({ authorization: 'Bearer ock_live_wrong' }, 401), 'The credential is not valid (any more).')
  const { secret } = await keyFor(['channels:read'])
  const lacking = 'This needs the scope agents:read, which the credential does not have.'
  assert.equal(await detail({ authorization: `Bearer ${secret}` }, 403), lacking)
})

test('a cookie of another program on this host is no credential that failed', async (t) => {
  const { call } = await startServer(t)
  const refused = await call('/v1/agents', { headers: { authorization: 'none', cookie: 'x=y; session=1' } })
  assert.equal(refused.headers.get('www-authenticate'), 'Bearer realm="openclaw"')
  assert.equal((await problem(refused, 401))['code'], 'UNAUTHENTICATED')
})
