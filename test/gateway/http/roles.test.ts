/** Roles: what they give to keys, who may make them, and what their end ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '#contract'
import { Hub, problem, startServer } from './double.ts'
import type { Started } from './double.ts'

const make = (at: Started, json: JsonObject, bearer = at.key): Promise<Response> =>
  at.call('/v1/roles', { method: 'POST', json, headers: { authorization: `Bearer ${bearer}` } })
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

test('nobody makes a role, or gives one, beyond what they have', async (t) => {
  const at = await startServer(t)
  const { secret } = await at.keyFor(['keys:write', 'channels:read'], 'ops')
  for (const permissions of [['*'], ['keys:read'], ['channels:read', 'config:write']]) {
    assert.equal((await problem(await make(at, { name: 'more', permissions }, secret), 403))['code'], 'SCOPE_ESCALATION')
  }
  assert.equal((await make(at, { name: 'less', permissions: ['channels:read'] }, secret)).status, 201)
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
