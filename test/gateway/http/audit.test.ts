/** Which routes are audited, under which names, and what the entry of a request says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { auditAction, isAudited } from '../../../gateway/http/audited.ts'
import { SCOPES, isJsonObject, textOf } from '#contract'
import type { HttpRequest, JsonObject, Permission, Route } from '#contract'
import { auditRoutes } from '../../../gateway/http/routes/audit.ts'
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

test('a trace that is none is not in an entry', async (t) => {
  const { call, hub } = await startServer(t)
  for (const traceparent of ['00-0af7651916cd43dd8448eb211c80319c-', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`])
    await call('/v1/keys/key-nobody', { method: 'DELETE', headers: { traceparent } })
  assert.deepEqual(
    hub.deeds.map(({ traceId }) => traceId),
    [null, null],
  )
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

/** What the audit keeps of a body. Whoever adds a member decides here whether it may stand there for years; people's words and secrets may not. */
const KEPT: { readonly [action: string]: readonly string[] } = {
  'agents.create': ['capabilities', 'description', 'name', 'version'],
  'agents.update': ['description'],
  'channels.link': ['phone'],
  'channels.send': ['to', 'to.chat', 'to.kind', 'to.thread'],
  'channels.update': [],
  'dead-letters.replay': [],
  'keys.create': ['expires_at', 'name', 'roles', 'scopes', 'tenant'],
  'keys.rotate': ['grace_seconds'],
  'limits.replace': ['per_ip', 'per_key'],
  'revocations.create': ['issuer', 'jti', 'subject'],
  'roles.create': ['name', 'permissions'],
  'routes.replace': ['fallback', 'routes'],
  'skills.canary.replace': ['version', 'weight'],
  'skills.create': ['descriptor', 'files', 'hold', 'signature', 'skip_tests'],
  'skills.rollback': ['major'],
  'skills.validate': ['descriptor', 'files', 'hold', 'signature', 'skip_tests'],
  'skills.versions.deprecate': ['note'],
  'webhook-deliveries.redeliver': [],
  'webhooks.create': ['description', 'events', 'ordering', 'url'],
  'webhooks.recover': ['since', 'status', 'until'],
  'webhooks.rotate-secret': ['grace_seconds'],
  'webhooks.test': [],
  'webhooks.update': ['description', 'events', 'ordering', 'status', 'url'],
}

test('the audit keeps what was asked for by members that are named here, and nobody’s words', async (t) => {
  const { call } = await startServer(t)
  const { paths } = (await (await call('/v1/openapi.json')).json()) as { paths: { [path: string]: { [method: string]: JsonObject } } }
  const kept: { [action: string]: readonly string[] } = {}
  for (const [path, methods] of Object.entries(paths)) {
    for (const [name, operation] of Object.entries(methods)) {
      const route = { path, method: name.toUpperCase() as Route['method'], permission: operation['x-openclaw-permission'] as Permission }
      const { requestBody } = operation as { requestBody?: { content: { 'application/json': { schema: JsonObject } } } }
      if (requestBody !== undefined && isAudited(route)) kept[auditAction(route)] = shown(requestBody.content['application/json'].schema)
    }
  }
  assert.deepEqual(kept, KEPT)
})

const shown = (schema: JsonObject, prefix = ''): readonly string[] =>
  Object.entries(isJsonObject(schema['properties']) ? schema['properties'] : {})
    .flatMap(([name, its]) => (isJsonObject(its) && its['writeOnly'] !== true ? [prefix + name, ...shown(its, `${prefix}${name}.`)] : []))
    .sort()

test('what is sent to somebody is not in the audit, that it was sent is', async (t) => {
  const { call, hub } = await startServer(t)
  await call('/v1/channels/http/send', {
    method: 'POST',
    json: { to: { chat: 'ann' }, text: 'a private matter', extra: { also: 'private' } },
  })
  await call('/v1/dead-letters/dl-1/replay', { method: 'POST', json: { payload: 'a private matter' } })
  assert.deepEqual(
    hub.deeds.map(({ action, object, detail }) => [action, object, detail]),
    [
      ['channels.send', 'http', { body: { to: { chat: 'ann' } } }],
      ['dead-letters.replay', 'dl-1', {}],
    ],
  )
})

test('a stream that ends by a failure of the store listens no more', async () => {
  let listening = 0
  const services = {
    store: { audit: { list: async () => [], after: () => Promise.reject(new Error('the reader has ended')) } },
    audit: {
      onEntry: () => {
        listening += 1
        return () => (listening -= 1)
      },
    },
  }
  const stream = auditRoutes({ services, cursors: {} } as never).find(({ path }) => path === '/v1/audit/stream')
  const reply = await stream?.handle({ principal: { tenant: 'default' }, headers: {} } as HttpRequest)
  assert.ok(reply !== undefined && 'events' in reply)
  await assert.rejects(reply.events({ send: () => true, signal: new AbortController().signal }), /has ended/)
  assert.equal(listening, 0)
})
