/** Roles: what they give to keys, who may make and change them, and what their change or end ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeError } from '#contract'
import type { JsonObject, UpgradeCaller } from '#contract'
import { Hub, problem, startServer } from './double.ts'
import type { Started } from './double.ts'
import { exchange, lines } from './raw.ts'

const make = (at: Started, json: JsonObject, bearer = at.key): Promise<Response> =>
  at.call('/v1/roles', { method: 'POST', json, headers: { authorization: `Bearer ${bearer}` } })
const change = (
  at: Started,
  name: string,
  permissions: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> =>
  at.call(`/v1/roles/${name}`, { method: 'PUT', json: { permissions }, headers: { authorization: `Bearer ${at.key}`, ...headers } })
const scopesOf = async (at: Started, bearer: string): Promise<unknown> =>
  ((await (await at.call('/v1/whoami', { headers: { authorization: `Bearer ${bearer}` } })).json()) as JsonObject)['scopes']
const listed = async (at: Started): Promise<readonly JsonObject[]> =>
  ((await (await at.call('/v1/roles')).json()) as { readonly data: readonly JsonObject[] }).data

test('three roles are always there, and give exactly what they are known for', async (t) => {
  const at = await startServer(t)
  assert.deepEqual(
    (await listed(at)).map(({ name, permissions, from }) => [name, permissions, from]),
    [
      ['admin', ['*'], 'builtin'],
      ['developer', ['agents:read', 'agents:create', 'agents:update', 'logs:read', 'state:read'], 'builtin'],
      ['viewer', ['agents:read', 'logs:read'], 'builtin'],
    ],
  )
})

test('the configuration adds roles, and to the three that there are, and takes nothing from them', async (t) => {
  const at = await startServer(t)
  at.hub.roles.configure({ ops: ['channels:read'], viewer: ['metrics:read'] })
  const found = new Map((await listed(at)).map((role) => [role['name'], role]))
  assert.deepEqual([found.get('ops')?.['permissions'], found.get('ops')?.['from']], [['channels:read'], 'config'])
  assert.deepEqual(found.get('viewer')?.['permissions'], ['agents:read', 'logs:read', 'metrics:read'])
  assert.equal((await problem(await make(at, { name: 'ops', permissions: ['*'] }), 409))['code'], 'ROLE_EXISTS')
  assert.equal((await problem(await at.call('/v1/roles/ops', { method: 'DELETE' }), 409))['code'], 'ROLE_IN_CONFIG')
  assert.equal((await problem(await at.call('/v1/roles/viewer', { method: 'DELETE' }), 409))['code'], 'ROLE_IN_CONFIG')
})

test('a key may what its scopes and its roles give together, as they are now', async (t) => {
  const at = await startServer(t)
  assert.equal((await make(at, { name: 'helper', permissions: ['channels:read'] })).status, 201)
  const made = await at.call('/v1/keys', { method: 'POST', json: { name: 'k', scopes: ['sessions:read'], roles: ['helper', 'viewer'] } })
  const { secret } = (await made.json()) as { secret: string }
  assert.deepEqual(await scopesOf(at, secret), ['agents:read', 'channels:read', 'logs:read', 'sessions:read'])
  assert.equal((await at.call('/v1/channels', { headers: { authorization: `Bearer ${secret}` } })).status, 200)
  assert.equal((await at.call('/v1/roles/helper', { method: 'DELETE' })).status, 204)
  await problem(await at.call('/v1/channels', { headers: { authorization: `Bearer ${secret}` } }), 403)
  at.hub.roles.configure({ viewer: ['channels:read'] })
  assert.equal((await at.call('/v1/channels', { headers: { authorization: `Bearer ${secret}` } })).status, 200)
  at.hub.roles.configure({})
  await problem(await at.call('/v1/channels', { headers: { authorization: `Bearer ${secret}` } }), 403)
})

test('what a role held open ends with it', async (t) => {
  const at = await startServer(t)
  await make(at, { name: 'watcher', permissions: ['events:read'] })
  const { secret } = await at.hub.keys.create({ tenant: 'default', name: 'w', scopes: [], roles: ['watcher'], expiresAt: null })
  const stream = await at.call('/v1/events/stream', { headers: { authorization: `Bearer ${secret}` } })
  assert.equal(stream.status, 200)
  const over = stream.text()
  await at.call('/v1/roles/watcher', { method: 'DELETE' })
  await over
})

test('a role that is changed gives what it says by the next request, and what it held open ends', async (t) => {
  const sockets: (() => void)[] = []
  const told: string[] = []
  const upgrade = {
    path: '/v1/ws',
    permission: 'messages:write',
    handle: (_request: unknown, socket: { end: (text: string) => unknown }, _head: unknown, caller: UpgradeCaller) => {
      const { principal } = caller
      if (principal !== null) sockets.push(caller.onRevoked(principal, () => told.push(principal.id)))
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    },
  } as const
  const at = await startServer(t, { upgrades: [upgrade] })
  await make(at, { name: 'watcher', permissions: ['events:read', 'messages:write'] })
  const { secret } = await at.hub.keys.create({ tenant: 'default', name: 'w', scopes: [], roles: ['watcher'], expiresAt: null })
  const bearer = { authorization: `Bearer ${secret}` }
  const stream = await at.call('/v1/events/stream', { headers: bearer })
  assert.equal(stream.status, 200)
  const over = stream.text()
  const { host } = new URL(at.url)
  const shake = ['GET /v1/ws HTTP/1.1', `Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket', `Authorization: Bearer ${secret}`]
  assert.match(await exchange(at.url, lines(...shake, '')), /^HTTP\/1\.1 101 /)
  assert.deepEqual([sockets.length, told], [1, []])

  const changed = await change(at, 'watcher', ['channels:read'])
  assert.equal(changed.status, 200)
  const { permissions, from, created_by: maker } = (await changed.json()) as JsonObject
  assert.deepEqual([permissions, from, maker], [['channels:read'], 'api', 'tester'])
  assert.deepEqual(told, ['w'])
  await over
  assert.deepEqual(await scopesOf(at, secret), ['channels:read'])
  await problem(await at.call('/v1/events/stream', { headers: bearer }), 403)
  assert.equal((await at.call('/v1/channels', { headers: bearer })).status, 200)
  await change(at, 'watcher', ['events:read'])
  const again = await at.call('/v1/events/stream', { headers: bearer })
  assert.equal(again.status, 200)
  // The same again changes nothing, and ends nothing.
  await change(at, 'watcher', ['events:read'])
  at.hub.feed.publish({ type: 'event', tenant: 'default', name: 'still.there', data: {} })
  const reader = (again.body ?? assert.fail()).getReader()
  const decoder = new TextDecoder()
  for (let text = ''; !text.includes('still.there');) {
    const { done, value } = await reader.read()
    assert.ok(!done, 'the stream ended')
    text += decoder.decode(value)
  }
  await reader.cancel()
  const next = new Hub()
  next.roleRecords.push(...at.hub.roleRecords)
  await next.roles.start()
  assert.deepEqual([...next.roles.permissions('default', ['watcher'])], ['events:read'])
})

test('a role is changed only as somebody saw it, if they say so; of two at once one is told', async (t) => {
  const at = await startServer(t)
  await make(at, { name: 'ops', permissions: ['channels:read'] })
  const seen = await at.call('/v1/roles/ops')
  const tag = seen.headers.get('etag') ?? ''
  assert.match(tag, /^"/)
  assert.deepEqual(((await seen.json()) as JsonObject)['permissions'], ['channels:read'])
  const changed = await change(at, 'ops', ['agents:read'], { 'if-match': tag })
  assert.equal(changed.status, 200)
  assert.notEqual(changed.headers.get('etag'), tag)
  assert.equal(changed.headers.get('etag'), (await at.call('/v1/roles/ops')).headers.get('etag'))
  assert.equal((await problem(await change(at, 'ops', ['logs:read'], { 'if-match': tag }), 412))['code'], 'PRECONDITION_FAILED')
  const both = await Promise.all([
    at.hub.roles.change('default', 'ops', () => ['logs:read']).then(() => 'done'),
    at.hub.roles.change('default', 'ops', () => ['audit:read']).catch((error: unknown) => describeError(error).code),
  ])
  assert.deepEqual(both, ['done', 'PRECONDITION_FAILED'])
  assert.deepEqual([...at.hub.roles.permissions('default', ['ops'])], ['logs:read'])
})

test('a role that comes with the gateway or stands in the configuration is not changed here, nor one of another tenant', async (t) => {
  const at = await startServer(t)
  await make(at, { name: 'both', permissions: ['channels:read'] })
  at.hub.roles.configure({ ops: ['channels:read'], both: ['logs:read'] })
  for (const name of ['admin', 'developer', 'viewer', 'ops', 'both'])
    assert.equal((await problem(await change(at, name, ['agents:read']), 409))['code'], 'ROLE_IN_CONFIG', name)
  await at.hub.roles.create('acme', { name: 'boss', permissions: ['*'], by: 'x' })
  for (const name of ['boss', 'nobody']) {
    assert.equal((await problem(await change(at, name, ['agents:read']), 404))['code'], 'ROLE_NOT_FOUND')
    assert.equal((await problem(await at.call(`/v1/roles/${name}`), 404))['code'], 'ROLE_NOT_FOUND')
  }
  assert.deepEqual([...at.hub.roles.permissions('acme', ['boss'])], ['*'])
  assert.equal((await at.call('/v1/roles/admin')).status, 200)
})

test('nobody makes a role, or gives one, beyond what they have', async (t) => {
  const at = await startServer(t)
  const { secret } = await at.keyFor(['keys:write', 'channels:read'], 'ops')
  for (const permissions of [['*'], ['keys:read'], ['channels:read', 'config:write']]) {
    assert.equal((await problem(await make(at, { name: 'more', permissions }, secret), 403))['code'], 'SCOPE_ESCALATION')
  }
  assert.equal((await make(at, { name: 'less', permissions: ['channels:read'] }, secret)).status, 201)
  const bearer = { authorization: `Bearer ${secret}` }
  for (const permissions of [['*'], ['keys:read'], ['channels:read', 'config:write']])
    assert.equal((await problem(await change(at, 'less', permissions, bearer), 403))['code'], 'SCOPE_ESCALATION')
  assert.deepEqual([...at.hub.roles.permissions('default', ['less'])], ['channels:read'])
  assert.equal((await change(at, 'less', ['keys:write'], bearer)).status, 200)
  assert.equal((await change(at, 'less', ['channels:read'], bearer)).status, 200)
  const give = (roles: readonly string[]): Promise<Response> =>
    at.call('/v1/keys', { method: 'POST', json: { name: 'ops', roles }, headers: { authorization: `Bearer ${secret}` } })
  for (const role of ['admin', 'viewer']) assert.equal((await problem(await give([role]), 403))['code'], 'SCOPE_ESCALATION')
  assert.equal((await problem(await give(['nobody']), 422))['code'], 'ROLE_UNKNOWN')
  assert.equal((await give(['less'])).status, 201)
})

test('roles of one tenant are no roles of another', async (t) => {
  const at = await startServer(t)
  await at.hub.roles.create('acme', { name: 'boss', permissions: ['*'], by: 'x' })
  assert.ok(!(await listed(at)).some(({ name }) => name === 'boss'))
  assert.equal((await problem(await at.call('/v1/roles/boss', { method: 'DELETE' }), 404))['code'], 'ROLE_NOT_FOUND')
  assert.equal((await make(at, { name: 'boss', permissions: ['agents:read'] })).status, 201)
  assert.deepEqual([...at.hub.roles.permissions('acme', ['boss'])], ['*'])
  assert.deepEqual([...at.hub.roles.permissions('default', ['boss'])], ['agents:read'])
})

test('roles survive a restart, a second of one name is refused, and so is a shape that is none', async (t) => {
  const at = await startServer(t)
  await make(at, { name: 'helper', permissions: ['channels:read'] })
  assert.equal((await problem(await make(at, { name: 'helper', permissions: ['agents:read'] }), 409))['code'], 'ROLE_EXISTS')
  for (const json of [
    { name: 'x' },
    { name: 'x', permissions: [] },
    { name: 'X y', permissions: ['*'] },
    { name: 'x', permissions: ['all'] },
  ])
    await problem(await make(at, json), 422)
  const next = new Hub()
  next.roleRecords.push(...at.hub.roleRecords)
  await next.roles.start()
  assert.deepEqual([...next.roles.permissions('default', ['helper'])], ['channels:read'])
})

test('a tenant has so many roles and no more', async (t) => {
  const at = await startServer(t)
  for (let i = 0; i < 1_000; i++) await at.hub.roles.create('default', { name: `r${i}`, permissions: ['agents:read'], by: 'x' })
  assert.equal((await problem(await make(at, { name: 'more', permissions: ['agents:read'] }), 409))['code'], 'TOO_MANY_ROLES')
  const pages: unknown[] = []
  for (let cursor: string | null = '', i = 0; cursor !== null && i < 20; i++) {
    const page = (await (await at.call(`/v1/roles?limit=200${cursor === '' ? '' : `&cursor=${cursor}`}`)).json()) as {
      data: unknown[]
      cursor: string | null
    }
    pages.push(...page.data)
    cursor = page.cursor
  }
  assert.equal(pages.length, 1_003)
})
