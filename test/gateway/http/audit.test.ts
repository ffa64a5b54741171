/** Which routes are audited, under which names, and what the entry of a request says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { auditAction, isAudited } from '../../../gateway/http/audited.ts'
import { SCOPES, textOf } from '#contract'
import type { JsonObject, Permission } from '#contract'
import { startServer } from './double.ts'

test('actions are named by what is done to what', () => {
  const named = [
    ['POST', '/v1/keys', 'keys.create'],
    ['DELETE', '/v1/keys/{id}', 'keys.delete'],
    ['POST', '/v1/keys/{id}/rotate', 'keys.rotate'],
    ['PUT', '/v1/skills/{id}/canary', 'skills.canary.replace'],
    ['PATCH', '/v1/agents/{id}', 'agents.update'],
    ['POST', '/v1/channels/{name}/pairings/{code}/approve', 'channels.pairings.approve'],
  ] as const
  for (const [method, path, action] of named) assert.equal(auditAction({ method, path }), action)
})

test('whatever changes something for others is audited, whatever senders do all day is not', () => {
  assert.equal(isAudited({ method: 'POST', permission: 'keys:write' }), true)
  assert.equal(isAudited({ method: 'DELETE', permission: 'deadletters:replay' }), true)
  assert.equal(isAudited({ method: 'GET', permission: 'keys:read' }), false)
  assert.equal(isAudited({ method: 'POST', permission: 'messages:write' }), false)
  const never: readonly Permission[] = ['messages:write', 'agent:execute', 'skills:execute']
  for (const permission of never) assert.equal(isAudited({ method: 'POST', permission }), false)
})

test('an entry tells who, from where, what, on what, by which request, and no secret', async (t) => {
  const { url, hub, keyFor } = await startServer(t)
  const { secret, id } = await keyFor(['*'])
  const response = await fetch(`${url}/v1/keys`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${secret}`,
      'content-type': 'application/json',
      'x-request-id': 'mine',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
    body: JSON.stringify({ name: 'ci', scopes: ['messages:write'] }),
  })
  const made = (await response.json()) as JsonObject
  assert.equal(response.status, 201)
  assert.deepEqual(hub.deeds, [
    {
      tenant: 'default',
      actor: { id: 'other', credential: id, ip: '127.0.0.1' },
      action: 'keys.create',
      object: null,
      requestId: 'mine',
      traceId: '0af7651916cd43dd8448eb211c80319c',
      detail: { body: { name: 'ci', scopes: ['messages:write'] } },
    },
  ])
  assert.equal(JSON.stringify(hub.deeds).includes(textOf(made['secret'])), false)
})

test('whoever asks for what they may not do is in the audit, once for each route that changes something', async (t) => {
  const { url, hub, keyFor } = await startServer(t)
  const { secret } = await keyFor(SCOPES.filter((scope) => scope !== '*' && scope !== 'keys:write' && scope !== 'keys:read'))
  const headers = { authorization: `Bearer ${secret}` }
  assert.equal((await fetch(`${url}/v1/keys/key-1`, { method: 'DELETE', headers })).status, 403)
  assert.equal((await fetch(`${url}/v1/keys`, { headers })).status, 403)
  assert.equal((await fetch(`${url}/v1/keys/key-1`, { method: 'DELETE' })).status, 401)
  assert.deepEqual(
    hub.deeds.map(({ action, object, detail }) => [action, object, detail]),
    [['keys.delete', 'key-1', { permission: 'keys:write' }]],
  )
})
