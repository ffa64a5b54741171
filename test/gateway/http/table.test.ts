import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { JsonObject, Route, UpgradeRoute } from '#contract'
import { ConflictError, NotFoundError, UnavailableError } from '#contract'
import { Schemas } from '../../../gateway/http/schema.ts'
import { echoRoute, problem, serverOf, startServer, upgradeRoute } from './double.ts'
import { exchange, lines } from './raw.ts'

interface Document {
  readonly openapi: string
  readonly info: JsonObject
  readonly paths: { readonly [path: string]: { readonly [method: string]: { readonly [member: string]: JsonObject } } }
  readonly components: { readonly responses: JsonObject }
}
const read = async (url: string): Promise<Document> => (await (await fetch(`${url}/v1/openapi.json`)).json()) as Document

test('whatever is in the document is mounted, and answers by all its names', async (t) => {
  const { url, call } = await startServer(t)
  const { paths } = await read(url)
  assert.ok(Object.keys(paths).length > 20)
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const aliases = operation['x-openclaw-aliases']
      for (const name of [path, ...(Array.isArray(aliases) ? aliases.map(String) : [])]) {
        for (const mounted of name.startsWith('/v1/') ? [name, `/api${name}`] : [name]) {
          const response = await call(mounted.replaceAll(/\{\w+\}/g, 'x'), { method: 'OPTIONS' })
          assert.equal(response.status, 204)
          assert.ok(response.headers.get('allow')?.split(', ').includes(method.toUpperCase()), `${method} ${mounted}`)
        }
      }
    }
  }
})

test('If-Match is in the document where it is honoured, and a merge patch by its own name wherever there is PATCH', async (t) => {
  const { url } = await startServer(t)
  const conditional: string[] = []
  for (const [path, methods] of Object.entries((await read(url)).paths)) {
    for (const [method, { parameters, requestBody }] of Object.entries(methods)) {
      const given = Array.isArray(parameters) ? parameters : []
      if (given.some((parameter) => parameter.name === 'If-Match' && parameter.in === 'header')) conditional.push(`${method} ${path}`)
      const types = Object.keys((requestBody as { content?: object } | undefined)?.content ?? {})
      assert.equal(types.includes('application/merge-patch+json'), method === 'patch', `${method} ${path}`)
    }
  }
  assert.deepEqual(conditional.sort(), [
    'delete /v1/agents/{id}',
    'delete /v1/channels/{name}',
    'delete /v1/limits',
    'delete /v1/routes',
    'patch /v1/agents/{id}',
    'patch /v1/channels/{name}',
    'patch /v1/webhooks/{id}',
    'put /v1/limits',
    'put /v1/roles/{name}',
    'put /v1/routes',
  ])
})

test('whatever is mounted is in the document', async (t) => {
  const { url, call } = await startServer(t, { upgrades: [upgradeRoute(() => undefined)] })
  const { paths } = await read(url)
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  assert.deepEqual(documented.sort(), [
    'DELETE /v1/agents/{id}',
    'DELETE /v1/channels/{name}',
    'DELETE /v1/channels/{name}/grants/{sender}',
    'DELETE /v1/channels/{name}/pairings/{code}',
    'DELETE /v1/console/session',
    'DELETE /v1/dead-letters/{id}',
    'DELETE /v1/keys/{id}',
    'DELETE /v1/limits',
    'DELETE /v1/roles/{name}',
    'DELETE /v1/routes',
    'DELETE /v1/sessions/{id}',
    'DELETE /v1/skills/{id}',
    'DELETE /v1/skills/{id}/versions/{version}',
    'DELETE /v1/webhooks/{id}',
    'GET /api/health',
    'GET /api/metrics',
    'GET /healthz',
    'GET /readyz',
    'GET /startupz',
    'GET /v1/agents',
    'GET /v1/agents/{id}',
    'GET /v1/audit',
    'GET /v1/audit/export',
    'GET /v1/audit/stream',
    'GET /v1/audit/verify',
    'GET /v1/channels',
    'GET /v1/channels/{name}',
    'GET /v1/channels/{name}/grants',
    'GET /v1/channels/{name}/pairings',
    'GET /v1/config',
    'GET /v1/dead-letters',
    'GET /v1/dead-letters/{id}',
    'GET /v1/deliveries/{id}',
    'GET /v1/events/stream',
    'GET /v1/keys',
    'GET /v1/keys/{id}',
    'GET /v1/limits',
    'GET /v1/messages',
    'GET /v1/messages/{id}',
    'GET /v1/messages/{id}/media/{index}',
    'GET /v1/messages/{id}/stream',
    'GET /v1/models',
    'GET /v1/models/{publisher}/{name}',
    'GET /v1/openapi.json',
    'GET /v1/revocations',
    'GET /v1/roles',
    'GET /v1/roles/{name}',
    'GET /v1/routes',
    'GET /v1/runs',
    'GET /v1/runs/{id}',
    'GET /v1/runs/{id}/events',
    'GET /v1/runs/{id}/logs',
    'GET /v1/sessions',
    'GET /v1/sessions/{id}',
    'GET /v1/sessions/{id}/messages',
    'GET /v1/skills',
    'GET /v1/skills/runtime',
    'GET /v1/skills/{id}',
    'GET /v1/skills/{id}/versions',
    'GET /v1/skills/{id}/versions/{version}',
    'GET /v1/skills/{id}/versions/{version}/archive',
    'GET /v1/webhook-deliveries/{id}',
    'GET /v1/webhooks',
    'GET /v1/webhooks/{id}',
    'GET /v1/webhooks/{id}/deliveries',
    'GET /v1/whoami',
    'GET /v1/ws',
    'GET /version',
    'PATCH /v1/agents/{id}',
    'PATCH /v1/channels/{name}',
    'PATCH /v1/webhooks/{id}',
    'POST /v1/agents',
    'POST /v1/channels/{name}/link',
    'POST /v1/channels/{name}/pairings/{code}/approve',
    'POST /v1/channels/{name}/pause',
    'POST /v1/channels/{name}/resume',
    'POST /v1/channels/{name}/send',
    'POST /v1/console/session',
    'POST /v1/dead-letters/replay',
    'POST /v1/dead-letters/{id}/replay',
    'POST /v1/keys',
    'POST /v1/keys/{id}/rotate',
    'POST /v1/messages',
    'POST /v1/messages/{id}/cancel',
    'POST /v1/revocations',
    'POST /v1/roles',
    'POST /v1/routes/test',
    'POST /v1/runs/{id}/cancel',
    'POST /v1/sessions/{id}/reset',
    'POST /v1/skills',
    'POST /v1/skills/validate',
    'POST /v1/skills/{id}/invoke',
    'POST /v1/skills/{id}/rollback',
    'POST /v1/skills/{id}/versions/{version}/deprecate',
    'POST /v1/skills/{id}/versions/{version}/disable',
    'POST /v1/skills/{id}/versions/{version}/enable',
    'POST /v1/skills/{id}/versions/{version}/promote',
    'POST /v1/webhook-deliveries/{id}/redeliver',
    'POST /v1/webhooks',
    'POST /v1/webhooks/{id}/recover',
    'POST /v1/webhooks/{id}/rotate-secret',
    'POST /v1/webhooks/{id}/test',
    'PUT /v1/limits',
    'PUT /v1/roles/{name}',
    'PUT /v1/routes',
    'PUT /v1/skills/{id}/canary',
  ])
  for (const path of new Set(documented.map((name) => name.slice(name.indexOf(' ') + 1)))) {
    if (path === '/v1/ws') continue
    const allow = (await call(path.replaceAll(/\{\w+\}/g, 'x'), { method: 'OPTIONS' })).headers.get('allow') ?? ''
    const methods = allow.split(', ').filter((method) => method !== 'OPTIONS' && method !== 'HEAD')
    assert.deepEqual(
      methods.map((method) => `${method} ${path}`),
      documented.filter((name) => name.endsWith(` ${path}`)),
    )
  }
})

test('the document is whole: versions, parameters, bodies, problems, security', async (t) => {
  const { url } = await startServer(t)
  const { openapi, info, paths, components } = await read(url)
  assert.match(openapi, /^3\.1\./)
  assert.equal(info['version'], '1.2.3')
  const operation = paths['/v1/agents']?.['post']
  assert.ok(operation)
  assert.deepEqual(operation['security'], [{ key: [] }, { page: [] }])
  assert.ok(operation['requestBody'])
  for (const status of ['201', '400', '401', '403', '409', '413', '415', '422', '500', '503'])
    assert.ok(operation['responses']?.[status], status)
  const ids = new Set<unknown>()
  for (const [path, methods] of Object.entries(paths)) {
    for (const each of Object.values(methods)) {
      ids.add(each['operationId'])
      const parameters = (each['parameters'] ?? []) as unknown as readonly { readonly in: string; readonly name: string }[]
      const named = parameters.filter((parameter) => parameter.in === 'path').map((parameter) => `{${parameter.name}}`)
      assert.deepEqual(named, path.match(/\{\w+\}/g) ?? [])
      for (const [, reference] of JSON.stringify(each).matchAll(/"#\/components\/responses\/([\w-]+)"/g)) {
        assert.ok(components.responses[reference ?? ''], reference)
      }
    }
  }
  assert.equal(ids.size, Object.values(paths).flatMap((methods) => Object.keys(methods)).length)
})

test('every schema of the table is one, and compiles', async (t) => {
  const { url } = await startServer(t)
  const schemas = new Schemas()
  const judge = new Ajv2020()
  const { paths } = await read(url)
  for (const methods of Object.values(paths)) {
    for (const operation of Object.values(methods)) {
      for (const [, schema] of Object.entries(JSON.parse(JSON.stringify(operation)) as JsonObject).flatMap(([, part]) => schemasIn(part))) {
        assert.ok(judge.validateSchema(schema), judge.errorsText())
        await schemas.compile(schema, 'body')
      }
    }
  }
})
function schemasIn(part: unknown): readonly (readonly [string, JsonObject])[] {
  if (typeof part !== 'object' || part === null) return []
  return Object.entries(part).flatMap(([name, value]) => (name === 'schema' ? [[name, value as JsonObject] as const] : schemasIn(value)))
}

test('an unknown path is 404, another method 405 with what is allowed', async (t) => {
  const { call, hub } = await startServer(t)
  assert.equal((await problem(await call('/v1/nothing'), 404))['type'], 'https://openclaw.dev/problems/not-found')
  await problem(await call('/v1/Messages'), 404)
  const response = await call('/v1/messages/x', { method: 'DELETE' })
  assert.equal(response.headers.get('allow'), 'GET, HEAD, OPTIONS')
  await problem(response, 405)
  assert.equal(hub.metrics.value('http_request_duration_seconds DELETE /v1/messages/{id} 405'), 1)
  assert.equal(hub.metrics.value('http_errors_total 404'), 2)
})

test('a path that cannot be decoded is 400', async (t) => {
  const { call } = await startServer(t)
  assert.equal((await problem(await call('/v1/sessions/%E0%A4%A'), 400))['code'], 'INVALID_PATH')
})

test('HEAD answers what GET would, without the body', async (t) => {
  const { call, hub } = await startServer(t)
  const head = await call('/v1/channels', { method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.equal(head.headers.get('content-length'), String((await (await call('/v1/channels')).text()).length))
  assert.equal(await head.text(), '')
  assert.equal(hub.metrics.value('http_requests_total HEAD 200'), 1)
})

test('a method nobody knows makes no new series', async (t) => {
  const { url, hub } = await startServer(t)
  await exchange(url, lines('PROPFIND /v1/channels HTTP/1.1', `Host: ${new URL(url).host}`, 'Connection: close', ''))
  assert.equal(hub.metrics.value('http_requests_total OTHER 405'), 1)
})

test('a query is coerced by its schema; what is unknown, wrong or doubled is 400 with pointers', async (t) => {
  const { call } = await startServer(t)
  assert.equal((await call('/v1/messages?limit=200&status=done')).status, 200)
  for (const [query, pointer] of [
    ['limit=0', '#/query/limit'],
    ['limit=201', '#/query/limit'],
    ['limit=ten', '#/query/limit'],
    ['status=finished', '#/query/status'],
    ['limt=5', '#/query/limt'],
    ['limit=1&limit=2', '#/query/limit'],
    ['__proto__=1', '#/query/__proto__'],
  ] as const) {
    const { errors } = await problem(await call(`/v1/messages?${query}`), 400)
    assert.equal((errors as readonly JsonObject[])[0]?.['pointer'], pointer, query)
  }
})

test('a body is refused where none is taken, and none is the empty object where one is', async (t) => {
  const { call } = await startServer(t)
  assert.equal((await problem(await call('/v1/sessions/x/reset', { method: 'POST', json: {} }), 400))['code'], 'UNEXPECTED_BODY')
  assert.deepEqual(await (await call('/v1/messages', { method: 'POST' })).json(), {})
  assert.equal(
    (await problem(await call('/v1/messages', { method: 'POST', body: 'null', headers: { 'content-type': 'application/json' } }), 422))[
      'code'
    ],
    'SCHEMA_VIOLATION',
  )
})

test('what handlers throw becomes the problem its class stands for', async (t) => {
  let thrown: Error = new Error('none')
  const { call } = await startServer(t, {
    routes: [
      echoRoute({
        handle: () => {
          throw thrown
        },
      }),
    ],
  })
  const ask = () => call('/v1/messages', { method: 'POST', json: {} })
  thrown = new UnavailableError('The store is locked.', { code: 'STORE_LOCKED', retryAfterMs: 1_500 })
  const busy = await ask()
  assert.equal(busy.headers.get('retry-after'), '2')
  assert.equal((await problem(busy, 503))['type'], 'https://openclaw.dev/problems/temporary-reduced-capacity')
  thrown = new UnavailableError('Going down.', { code: 'DRAINING' })
  assert.equal((await problem(await ask(), 503))['type'], 'https://openclaw.dev/problems/draining')
  thrown = new ConflictError('Used.', { code: 'IDEMPOTENCY_KEY_REUSED' })
  assert.equal((await problem(await ask(), 422))['type'], 'https://openclaw.dev/problems/idempotency-key-reused')
  thrown = new ConflictError('No.', { code: 'X' })
  assert.equal((await problem(await ask(), 409))['code'], 'X')
  thrown = new NotFoundError('No.', { code: 'X' })
  await problem(await ask(), 404)
})

test('two claims to one method and path stop the start', async (t) => {
  const { hub, dir } = await startServer(t)
  const twice: readonly Route[] = [echoRoute(), echoRoute()]
  const server = serverOf({ hub, dir }, { routes: twice })
  await assert.rejects(server.start(), /Two routes claim POST \/v1\/messages/)
})

test('what states no permission that there is stops the start, with its path: a route and a socket', async (t) => {
  const { hub, dir } = await startServer(t)
  const permission = 'messages:wirte' as Route['permission'] & UpgradeRoute['permission']
  for (const change of [
    { routes: [echoRoute({ permission })] },
    { routes: [echoRoute({ permission: undefined as unknown as Route['permission'] })] },
    { upgrades: [{ ...upgradeRoute(() => undefined), permission }] },
    { upgrades: [{ ...upgradeRoute(() => undefined), permission: 'public' as UpgradeRoute['permission'] }] },
  ]) {
    await assert.rejects(serverOf({ hub, dir }, change).start(), { code: 'ROUTE_WITHOUT_PERMISSION', message: /\/v1\/(messages|ws)/ })
  }
})

test('requests are logged quietly when all is well, aloud when not, with trace and route, never the path', async (t) => {
  const { call, hub } = await startServer(t)
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await call('/v1/sessions/my-secret-name', { headers: { traceparent, 'x-request-id': 'r1' } })
  await call('/v1/channels')
  const [bad, good] = hub.log.lines
  assert.equal(bad?.level, 'info')
  assert.equal(bad?.fields['route'], '/v1/sessions/{id}')
  assert.equal(bad?.fields['trace_id'], '0af7651916cd43dd8448eb211c80319c')
  assert.equal(bad?.fields['span_id'], 'b7ad6b7169203331')
  assert.equal(bad?.fields['request_id'], 'r1')
  assert.deepEqual([bad?.fields['error.code'], bad?.fields['tenant'], bad?.fields['bytes_in']], ['SESSION_NOT_FOUND', 'default', 0])
  assert.ok(Number(bad?.fields['bytes_out']) > 100)
  assert.equal(bad?.fields['latency'], bad?.fields['latency_ms'])
  assert.equal(bad?.fields['principal'], 'tester')
  assert.equal(good?.level, 'debug')
  assert.ok(!JSON.stringify(hub.log.lines).includes('my-secret-name'))
  assert.equal(hub.metrics.value('http_requests_total GET 200'), 1)
  assert.equal(hub.metrics.value('http_request_duration_seconds GET /v1/channels 200'), 1)
})
