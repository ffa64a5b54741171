/** Tokens that are in order: who they make somebody, how long that is remembered, and how it ends before its time. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { asRevocationId } from '#contract'
import { base64url } from '../../../fakes/issuer.ts'
import type { Json } from '../../../fakes/issuer.ts'
import { problem, upgradeRoute } from '../double.ts'
import { issuerConfig, startWorld } from './issuer.ts'
import type { World } from './issuer.ts'

const whoami = async (world: World, bearer: string): Promise<Json> => (await (await world.as(bearer, '/v1/whoami')).json()) as Json
const revoke = (world: World, json: Json, more: RequestInit = {}): Promise<Response> =>
  world.call('/v1/revocations', { method: 'POST', json, ...more })

test('a token makes somebody who is told with tenant, roles, what they may, how it was proven and until when', async (t) => {
  const world = await startWorld(t, { tenant: 'acme' })
  const found = await whoami(world, world.token({ roles: ['developer', 'unknown'], scope: 'openid agent:execute' }))
  assert.deepEqual(found, {
    principal: `${world.issuer.url}#alice`,
    tenant: 'acme',
    credential: 'token:t1',
    proven_by: 'token',
    roles: ['developer'],
    scopes: ['agent:execute', 'agents:create', 'agents:read', 'agents:update', 'logs:read', 'state:read'],
    expires_at: '2030-01-01T00:10:30.000Z',
  })
})

test('a developer may not make an agent work, unless the token has the scope for it', async (t) => {
  const world = await startWorld(t)
  const scopesOf = async (scope?: string): Promise<unknown> =>
    (await whoami(world, world.token({ roles: ['developer'], scope, jti: String(scope) })))['scopes']
  assert.ok(!JSON.stringify(await scopesOf()).includes('agent:execute'))
  assert.ok(JSON.stringify(await scopesOf('agent:execute')).includes('agent:execute'))
})

test('scopes are read as one text or as a list; claims by a path, or by a name with dots in it', async (t) => {
  const world = await startWorld(t, {
    claims: { subject: 'user.id', scopes: 'scp', roles: 'https://example.com/roles', tenant: null },
  })
  const claims = { user: { id: 'u7' }, sub: undefined, scp: ['messages:write'], 'https://example.com/roles': ['viewer'] }
  const found = await whoami(world, world.token(claims))
  assert.deepEqual([found['principal'], found['scopes']], [`${world.issuer.url}#u7`, ['agents:read', 'logs:read', 'messages:write']])
})

test('all tokens of a subject share one allowance: a new token buys no more requests', async (t) => {
  const world = await startWorld(t, {}, { rateLimits: { perIp: 100, perKey: 3 } })
  for (const n of [1, 2, 3]) assert.equal((await world.as(world.token({ jti: `t${n}` }))).status, 200)
  await problem(await world.as(world.token({ jti: 't4' })), 429)
  assert.equal((await world.as(world.token({ sub: 'bob' }))).status, 200)
})

test('a token is verified once, and counts until its end and the tolerance', async (t) => {
  const world = await startWorld(t)
  const bearer = world.token()
  for (let i = 0; i < 3; i++) assert.equal((await world.as(bearer)).status, 200)
  await world.issuer.stop()
  world.hub.clock.advance(629_000)
  assert.equal((await world.as(bearer)).status, 200, 'remembered, so that nobody asks for keys')
  world.hub.clock.advance(1_000)
  assert.notEqual((await world.as(bearer)).status, 200)
})

test('a token counts no longer than the age that is allowed, whatever it says of its end', async (t) => {
  const world = await startWorld(t, { maxAgeMs: 60_000 })
  const bearer = world.token()
  assert.equal((await whoami(world, bearer))['expires_at'], '2030-01-01T00:01:30.000Z')
  world.hub.clock.advance(91_000)
  await problem(await world.as(bearer), 401)
  assert.equal(world.refused('expired'), 1)
})

test('a token that was called back by its id is refused from the next request on, the others are not', async (t) => {
  const world = await startWorld(t)
  const [gone, other] = [world.token(), world.token({ jti: 't2' })]
  assert.equal((await world.as(gone)).status, 200)
  const made = await revoke(world, { issuer: world.issuer.url, jti: 't1' })
  assert.equal(made.status, 201)
  await problem(await world.as(gone), 401)
  assert.equal(world.refused('revoked'), 1)
  assert.equal((await world.as(other)).status, 200)
  const { data } = (await (await world.call('/v1/revocations')).json()) as { readonly data: readonly Json[] }
  assert.deepEqual(
    data.map(({ issuer, jti, subject }) => [issuer, jti, subject]),
    [[world.issuer.url, 't1', null]],
  )
})

test('all that a subject has is called back at once; a token that is issued later counts', async (t) => {
  const world = await startWorld(t)
  const tokens = [world.token(), world.token({ jti: 't2', iat: Math.floor(world.hub.clock.now() / 1_000) + 20 })]
  for (const each of tokens) assert.equal((await world.as(each)).status, 200)
  assert.equal((await revoke(world, { issuer: world.issuer.url, subject: 'alice' })).status, 201)
  for (const each of tokens) await problem(await world.as(each), 401)
  assert.equal((await world.as(world.token({ sub: 'bob' }))).status, 200)
  world.hub.clock.advance(31_000)
  assert.equal((await world.as(world.token({ jti: 't3' }))).status, 200)
  for (const each of tokens) await problem(await world.as(each), 401)
})

test('what was called back stays so after a restart', async (t) => {
  const world = await startWorld(t)
  await revoke(world, { issuer: world.issuer.url, jti: 't1' })
  const [record] = world.hub.revocationRecords
  assert.ok(record)
  const next = await startWorld(t)
  next.hub.tokens.configure([issuerConfig(next.issuer.url), issuerConfig(world.issuer.url)])
  next.hub.revocationRecords.push(record)
  await next.hub.tokens.start()
  await problem(await next.as(world.token()), 401)
  assert.equal((await next.as(world.token({ jti: 't2' }))).status, 200)
})

test('one tenant calls back no token of another', async (t) => {
  const world = await startWorld(t, { tenant: 'acme' })
  const bearer = world.token()
  assert.equal((await revoke(world, { issuer: world.issuer.url, jti: 't1' })).status, 201, 'the key is of the tenant default')
  assert.equal((await world.as(bearer)).status, 200)
  const own = { authorization: `Bearer ${world.token({ roles: ['admin'], jti: 't9', sub: 'root' })}` }
  assert.equal((await revoke(world, { issuer: world.issuer.url, jti: 't1' }, { headers: own })).status, 201)
  await problem(await world.as(bearer), 401)
})

test('what cannot be called back is refused with a word why', async (t) => {
  const world = await startWorld(t)
  assert.equal((await problem(await revoke(world, { issuer: 'https://other.example', jti: 'x' }), 422))['code'], 'ISSUER_UNKNOWN')
  const issuer = world.issuer.url
  for (const json of [{ issuer }, { issuer, jti: 'a', subject: 'b' }, { issuer, jti: '' }, { jti: 'a' }])
    await problem(await revoke(world, json), 422)
})

test('a tenant has so many revocations and no more, and those that have run out make room', async (t) => {
  const world = await startWorld(t)
  const now = world.hub.clock.now()
  for (let i = 0; i < 10_000; i++) {
    world.hub.revocationRecords.push({
      id: asRevocationId(`rev-${i}`),
      tenant: 'default',
      issuer: world.issuer.url,
      of: { is: 'token', jti: `old-${i}` },
      createdAt: now,
      createdBy: 'x',
      expiresAt: now + 1_000,
    })
  }
  await world.hub.tokens.start()
  assert.equal((await problem(await revoke(world, { issuer: world.issuer.url, jti: 't1' }), 409))['code'], 'TOO_MANY_REVOCATIONS')
  assert.equal((await revoke(world, { issuer: world.issuer.url, jti: 'old-1' })).status, 201, 'what is there already takes no room')
  world.hub.clock.advance(1_000)
  assert.equal((await revoke(world, { issuer: world.issuer.url, jti: 't1' })).status, 201)
})

test('an event stream that a token opened ends when the token is called back, when a role changes, and when its issuer goes', async (t) => {
  const world = await startWorld(t)
  const { roles, tokens } = world.hub
  await roles.create('default', { name: 'watcher', permissions: ['events:read'], by: 'test' })
  for (const [n, end] of [
    () => revoke(world, { issuer: world.issuer.url, subject: 'alice0' }),
    () => revoke(world, { issuer: world.issuer.url, jti: 'j1' }),
    () => roles.remove('default', 'watcher'),
    async () => tokens.configure([]),
  ].entries()) {
    if (roles.find('default', 'watcher') === null)
      await roles.create('default', { name: 'watcher', permissions: ['events:read'], by: 'test' })
    const stream = await world.as(world.token({ sub: `alice${n}`, jti: `j${n}`, roles: ['watcher'] }), '/v1/events/stream')
    assert.equal(stream.status, 200)
    const over = stream.text()
    await end()
    await over
    assert.notEqual((await world.as(world.token({ sub: `alice${n}`, jti: `j${n}`, roles: ['watcher'] }), '/v1/events/stream')).status, 200)
  }
})

test('a token that was called back while its keys were fetched does not get in', async (t) => {
  const world = await startWorld(t)
  const waiting = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  world.issuer.instead = (response) => {
    waiting.resolve()
    void answer.promise.then(() => response.end(JSON.stringify({ keys: world.issuer.keys })))
  }
  const asking = world.as(world.token())
  await waiting.promise
  await revoke(world, { issuer: world.issuer.url, jti: 't1' })
  answer.resolve()
  await problem(await asking, 401)
})

test('a gateway without issuers takes no token and asks nobody', async (t) => {
  const world = await startWorld(t)
  world.hub.tokens.configure([])
  await problem(await world.as(world.token()), 401)
  assert.equal(world.refused('malformed'), 1)
  assert.equal(world.issuer.asked.length, 0)
})

test('an issuer that is configured as before keeps what it proved and its keys', async (t) => {
  const world = await startWorld(t)
  assert.equal((await world.as(world.token())).status, 200)
  world.hub.tokens.configure([issuerConfig(world.issuer.url)])
  assert.equal((await world.as(world.token({ jti: 't2' }))).status, 200)
  assert.equal(world.issuer.keyFetches, 1)
  world.hub.tokens.configure([issuerConfig(world.issuer.url, { audiences: ['other'] })])
  await problem(await world.as(world.token()), 401)
  assert.equal(world.refused('audience'), 1)
})

test('a token signs an upgrade in, in the header or as a sub-protocol, if it may write', async (t) => {
  const seen: (string | undefined)[] = []
  const upgrades = [upgradeRoute(({ principal }) => void seen.push(principal?.id))]
  const world = await startWorld(t, {}, { upgrades })
  const upgraded = async (header: string): Promise<string> => {
    const { port, host } = new URL(world.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.write(`GET /v1/ws HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${header}\r\n\r\n`)
    const [data] = (await once(socket, 'data')) as [Buffer]
    socket.destroy()
    return data.toString().slice(9, 12)
  }
  const bearer = world.token({ scope: 'messages:write' })
  assert.equal(await upgraded(`Authorization: Bearer ${bearer}`), '101')
  assert.equal(await upgraded(`Sec-WebSocket-Protocol: openclaw.v1, base64url.bearer.authorization.openclaw.${base64url(bearer)}`), '101')
  assert.deepEqual(seen, [`${world.issuer.url}#alice`, `${world.issuer.url}#alice`])
  assert.equal(await upgraded(`Authorization: Bearer ${world.token({ jti: 't2' })}`), '403')
  assert.equal(await upgraded(`Authorization: Bearer ${world.token({ aud: 'payroll' })}`), '401')
  assert.equal(seen.length, 2)
})
