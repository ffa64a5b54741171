/** What holds for every route there is, read off the OpenAPI document as a client would, and then asked of each route. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { PERMISSIONS, isJsonObject } from '#contract'
import type { JsonObject, JsonValue, Route } from '#contract'
import { chatRoute, responsesRoute } from '../../../channels/completions/route.ts'
import { invokeRoute } from '../../../channels/http/invoke.ts'
import { messagesRoute } from '../../../channels/http/messages.ts'
import { websocket } from '../../../channels/websocket/websocket.ts'
import { PAGING } from '../../../gateway/http/cursor.ts'
import { Schemas } from '../../../gateway/http/schema.ts'
import { echoRoute, problem, startServer } from './double.ts'
import { OPERATOR_ONLY, PERMISSION_OF, UNAUDITED_CHANGES } from './permissions.ts'
import type { Started } from './double.ts'

/** Bodies that take members nobody knows, and why. */
const OPEN_BODIES: { readonly [route: string]: string } = {
  'POST /v1/agents': 'where agents are made the declaration is checked, each unknown member by name',
  'PATCH /v1/agents/{id}': 'the same',
  'PATCH /v1/channels/{name}': 'the same, by the rules of the configuration',
  'POST /v1/chat/completions': 'clients of the OpenAI API send what later versions know',
  'POST /v1/responses': 'the same',
}
/** What is sent twice does no harm, or cannot be answered twice, and why. */
const WITHOUT_KEY: { readonly [route: string]: string } = {
  'POST /v1/skills/validate': 'does nothing',
  'POST /v1/routes/test': 'does nothing',
  'POST /v1/console/session': 'a cookie must not lie in the store; a code counts once by itself',
  'POST /v1/channels/{name}/link': 'a stream; a second one takes over from the first',
}
interface Operation {
  /** `GET /v1/keys` */
  readonly name: string
  readonly method: string
  readonly path: string
  /** As `permissions.ts` says it. */
  readonly permission: string
  readonly document: JsonObject
  readonly parameters: readonly JsonObject[]
  /** Of the JSON body; null: it takes none. */
  readonly body: JsonObject | null
}

const socket = websocket.create('websocket', {})

const lent: readonly Route[] = [messagesRoute, invokeRoute, chatRoute, responsesRoute].map((route) => ({
  ...route,
  handle: () => ({ status: 200, body: {} }),
}))

async function world(t: TestContext): Promise<Started & { readonly operations: readonly Operation[] }> {
  const started = await startServer(t, { routes: lent, upgrades: socket.upgrades ?? [] })
  const { paths } = (await (await fetch(`${started.url}/v1/openapi.json`)).json()) as { readonly paths: JsonObject }
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(objectOf(methods)).map(([method, operation]): Operation => {
      const document = objectOf(operation)
      const content = objectOf(objectOf(document['requestBody'])['content'])
      return {
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        path: path.replaceAll(/\{\w+\}/g, 'x'),
        permission: PERMISSION_OF.get(`${method.toUpperCase()} ${path}`) ?? '',
        document,
        parameters: listOf(document['parameters']).map(objectOf),
        body: isJsonObject(content['application/json']) ? objectOf(content['application/json']['schema']) : null,
      }
    }),
  )
  return { ...started, operations: operations.filter(({ path }) => path !== '/v1/ws') }
}

const objectOf = (value: JsonValue | undefined): JsonObject => (isJsonObject(value) ? value : {})
const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')
const listOf = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? value : [])
const successes = ({ document }: Operation): readonly (readonly [status: string, content: JsonObject])[] =>
  Object.entries(objectOf(document['responses']))
    .filter(([status]) => status.startsWith('2'))
    .map(([status, response]) => [status, objectOf(objectOf(response)['content'])])
const names = (operation: Operation, place: string): readonly JsonValue[] =>
  operation.parameters.filter((parameter) => parameter['in'] === place).map((parameter) => parameter['name'] ?? '')

test('every route has a summary, a tag, a permission that there is, and says what it answers', async (t) => {
  const { operations } = await world(t)
  assert.ok(operations.length > 80)
  for (const operation of operations) {
    const { name, document, permission } = operation
    assert.match(textOf(document['summary']), /^[A-Z].*[^.]$/, name)
    assert.equal(listOf(document['tags']).length, 1, name)
    assert.ok(['public', ...PERMISSIONS].includes(permission), `${name}: ${permission}`)
    assert.equal(listOf(document['security']).length === 0, permission === 'public', name)
    assert.ok(successes(operation).length > 0, name)
    for (const [status, content] of successes(operation)) {
      assert.ok(Object.keys(content).length > 0 || status === '204', `${name} ${status}: with what?`)
      for (const [type, { schema }] of Object.entries(content).map(([type, each]) => [type, objectOf(each)] as const))
        assert.ok(isJsonObject(schema) || type !== 'application/json', `${name} ${status}: no schema`)
    }
  }
})

test('every route takes the permission that somebody wrote down for it, and none is left out', async (t) => {
  const { call } = await world(t)
  const { paths } = (await (await call('/v1/openapi.json')).json()) as { readonly paths: JsonObject }
  const told = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(objectOf(methods)).map(([method, operation]) => [
      `${method.toUpperCase()} ${path}`,
      objectOf(operation)['x-openclaw-permission'],
    ]),
  )
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(PERMISSION_OF))
  assert.equal(socket.dialogue?.permission, PERMISSION_OF.get('GET /v1/ws'), 'the same conversation, by another door')
})

test('what is the operator’s alone is refused to whoever may do everything in another tenant, and nothing else is', async (t) => {
  const { operations, call, hub } = await world(t)
  const { secret } = await hub.keys.create({ tenant: 'acme', name: 'admin', scopes: ['*'], expiresAt: null })
  for (const { name, method, path } of operations) {
    // Refused for its query by those that let it in, so that nothing is done.
    const response = await call(`${path}?nobody_knows=1`, { method, headers: { authorization: `Bearer ${secret}` } })
    assert.equal(response.status, OPERATOR_ONLY.includes(name) ? 403 : 400, name)
  }
})

test('every route that changes something leaves an entry of the audit, and whoever is refused there leaves one too', async (t) => {
  const { operations, call, hub, keyFor } = await world(t)
  const { secret } = await keyFor(['logs:read'], 'nobody')
  for (const { name, method, path, permission, body } of operations) {
    const isAudited = method !== 'GET' && !UNAUDITED_CHANGES.includes(name)
    const json = body === null ? {} : { json: listOf(body['examples'])[0] }
    hub.deeds.length = 0
    if (permission !== 'public') {
      assert.equal((await call(path, { method, headers: { authorization: `Bearer ${secret}` } })).status, 403, name)
      assert.equal(hub.deeds.length, isAudited ? 1 : 0, `refused: ${name}`)
    }
    if (!isAudited) continue
    hub.deeds.length = 0
    await (await call(path, { method, ...json })).text()
    assert.equal(hub.deeds.length, 1, name)
  }
})

test('every list comes in pages, by the same two parameters and in the same form', async (t) => {
  const { operations } = await world(t)
  const lists = operations.filter((operation) =>
    successes(operation).some(([, content]) => {
      const { data, cursor } = objectOf(objectOf(objectOf(content['application/json'])['schema'])['properties'])
      return operation.method === 'GET' && data !== undefined && cursor !== undefined
    }),
  )
  assert.ok(lists.length > 12, `${lists.length}`)
  for (const list of lists) {
    for (const [parameter, schema] of Object.entries(PAGING))
      assert.deepEqual(list.parameters.find((each) => each['name'] === parameter)?.['schema'], schema, `${list.name} ${parameter}`)
  }
})

test('of every list a cursor of another is refused', async (t) => {
  const { operations, call } = await world(t)
  for (const { name, path, parameters } of operations.filter((operation) => names(operation, 'query').includes('cursor'))) {
    if (parameters.some((parameter) => parameter['in'] === 'path')) continue
    assert.equal((await problem(await call(`${path}?cursor=bm9uZQ.bm9uZQ`), 400))['code'], 'INVALID_CURSOR', name)
  }
})

test('every POST that makes or does something takes an Idempotency-Key', async (t) => {
  const { operations } = await world(t)
  const posts = operations.filter(({ method }) => method === 'POST')
  assert.deepEqual(
    posts
      .filter((operation) => !names(operation, 'header').includes('Idempotency-Key'))
      .map(({ name }) => name)
      .sort(),
    Object.keys(WITHOUT_KEY).sort(),
  )
})

test('every change of what is configured can be made only if nobody else made one', async (t) => {
  const { operations } = await world(t)
  const changes = operations.filter(({ method, name }) => (method === 'PUT' || method === 'PATCH') && name !== 'PUT /v1/skills/{id}/canary')
  assert.ok(changes.length >= 4, `${changes.length}`)
  for (const { name, document } of changes) assert.ok(objectOf(document['responses'])['412'] !== undefined, name)
})

test('every body is closed, has an example, and its examples fit', async (t) => {
  const { operations } = await world(t)
  const schemas = new Schemas()
  const open: string[] = []
  for (const { name, body } of operations) {
    if (body === null) continue
    const examples = listOf(body['examples'])
    assert.ok(examples.length > 0, `${name} has no example`)
    const check = await schemas.compile(body, 'body')
    for (const example of examples) assert.deepEqual(check(example), [], name)
    const branches = body['oneOf'] ?? body['anyOf']
    const closed = body['properties'] === undefined ? listOf(branches).map(objectOf) : [body]
    if (closed.length === 0 || !closed.every((branch) => branch['additionalProperties'] === false)) open.push(name)
    for (const branch of closed) for (const inner of listOf(branch['examples'])) assert.deepEqual(check(inner), [], name)
  }
  assert.deepEqual(open.sort(), Object.keys(OPEN_BODIES).sort())
})

test('every route that does not do something for anybody is 401 without a credential, with a challenge', async (t) => {
  const { operations, call } = await world(t)
  for (const { name, method, path, permission } of operations) {
    if (permission === 'public') continue
    const response = await call(path, { method, headers: { authorization: 'none' } })
    assert.equal(response.status, 401, name)
    assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer /, name)
  }
})

test('every route refuses a query it does not know, and says where', async (t) => {
  const { operations, call } = await world(t)
  for (const operation of operations) {
    const response = await call(`${operation.path}?nobody_knows=1`, { method: operation.method })
    const errors = listOf(objectOf(await refusal(response, 400, operation))['errors'])
    if (!isPlain(operation)) assert.equal(objectOf(errors[0])['pointer'], '#/query/nobody_knows', operation.name)
  }
})

test('every route refuses bodies of another type, of more bytes than it takes, and where it takes none', async (t) => {
  const { operations, call } = await world(t)
  for (const operation of operations) {
    const { method, path, body } = operation
    if (method === 'GET') continue
    const text = await call(path, { method, body: 'x', headers: { 'content-type': 'text/plain' } })
    await refusal(text, body === null ? 400 : 415, operation)
    if (body === null) continue
    const many = await call(path, { method, body: ' '.repeat(8_388_609), headers: { 'content-type': 'application/json' } })
    await refusal(many, 413, operation)
    const broken = await call(path, { method, body: '{"a":', headers: { 'content-type': 'application/json' } })
    await refusal(broken, 400, operation)
  }
})

test('every body that is closed refuses a member that nobody knows', async (t) => {
  const { operations, call } = await world(t)
  for (const operation of operations) {
    const { name, method, path, body } = operation
    // Those that lend their routes check it themselves: test/channels.
    if (body === null || OPEN_BODIES[name] !== undefined || lent.some((route) => `${route.method} ${route.path}` === name)) continue
    const example = objectOf(listOf(body['examples'])[0])
    await refusal(await call(path, { method, json: { ...example, nobody_knows: 1 } }), 422, operation)
  }
})

test('every path tells by OPTIONS and by 405 what it takes', async (t) => {
  const { operations, call } = await world(t)
  for (const path of new Set(operations.map((operation) => operation.path))) {
    const allowed = operations.filter((operation) => operation.path === path).map(({ method }) => method)
    const expected = [...allowed, ...(allowed.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort().join(', ')
    const options = await call(path, { method: 'OPTIONS' })
    assert.equal(options.status, 204, path)
    assert.equal(options.headers.get('allow'), expected, path)
    const other = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].find((method) => !allowed.includes(method)) ?? 'PUT'
    const refused = await call(path, { method: other })
    assert.equal(refused.headers.get('allow'), expected, path)
    assert.equal((await problem(refused, 405))['code'], 'METHOD_NOT_ALLOWED', path)
  }
  const socket = await call('/v1/ws')
  assert.equal(socket.headers.get('upgrade'), 'websocket')
  assert.equal((await problem(socket, 426))['code'], 'UPGRADE_REQUIRED')
})

test('every route whose answers are kept reads the key before it does anything', async (t) => {
  const { operations, call } = await world(t)
  const kept = operations.filter((operation) => names(operation, 'header').includes('Idempotency-Key'))
  let count = 0
  for (const operation of kept) {
    const { name, method, path, body } = operation
    // `own`: test/channels and skill-runs.test.ts.
    if (lent.some((route) => `${route.method} ${route.path}` === name) || name === 'POST /v1/skills/{id}/invoke') continue
    const json = body === null ? {} : { json: listOf(body['examples'])[0] }
    const response = await call(path, { method, headers: { 'idempotency-key': '""' }, ...json })
    assert.equal((await problem(response, 400))['code'], 'INVALID_IDEMPOTENCY_KEY', name)
    count += 1
  }
  assert.ok(count > 18, `${count}`)
})

test('a permission opens its routes and no others, whatever else the caller says of itself', async (t) => {
  const { operations, call, keyFor } = await world(t)
  const claims = {
    'x-openclaw-scopes': '*',
    'x-openclaw-roles': 'admin',
    'x-openclaw-principal': 'admin',
    'x-openclaw-tenant': 'default',
    'x-forwarded-user': 'admin',
    'x-forwarded-for': '127.0.0.1',
    'tailscale-user-login': 'admin',
  }
  for (const [index, permission] of PERMISSIONS.entries()) {
    const { secret } = await keyFor([permission], `only-${index}`)
    for (const operation of operations) {
      // Refused for its query by those that let it in, so that nothing is done.
      const response = await call(`${operation.path}?nobody_knows=1`, {
        method: operation.method,
        headers: { ...claims, authorization: `Bearer ${secret}` },
      })
      const isOpen = operation.permission === permission || operation.permission === 'public'
      assert.equal(response.status, isOpen ? 400 : 403, `${permission}: ${operation.name}`)
      if (!isOpen && !isPlain(operation)) assert.equal((await problem(response, 403))['code'], 'INSUFFICIENT_SCOPE')
    }
  }
})

test('a secret is in the first answer and in no repetition', async (t) => {
  const { call, hub } = await world(t)
  const make = () =>
    call('/v1/keys', { method: 'POST', json: { name: 'ci', scopes: ['agents:read'] }, headers: { 'idempotency-key': 'k1' } })
  const [first, again] = [await make(), await make()]
  const [made, repeated] = [(await first.json()) as JsonObject, (await again.json()) as JsonObject]
  assert.match(textOf(made['secret']), /^ock_live_/)
  assert.deepEqual([again.status, again.headers.get('idempotency-replayed'), repeated['secret']], [201, 'true', null])
  assert.deepEqual({ ...repeated, secret: null }, { ...made, secret: null })
  assert.ok(!JSON.stringify([...hub.kept.values()]).includes(textOf(made['secret'])))
})

test('5xx is never kept, what came back is not taken for another request’s, and two at once are one', async (t) => {
  let status = 503
  const { call, hub } = await startServer(t, {
    routes: [echoRoute({ idempotency: 'kept', handle: () => ({ status, body: { status } }) })],
  })
  const send = (json: object) => call('/v1/messages', { method: 'POST', headers: { 'idempotency-key': 'k' }, json })
  assert.equal((await send({})).status, 503)
  assert.equal(hub.kept.size, 0)
  status = 202
  assert.equal((await send({})).headers.get('idempotency-replayed'), null)
  assert.equal((await send({})).headers.get('idempotency-replayed'), 'true')
  assert.equal((await problem(await send({ other: 1 }), 422))['code'], 'IDEMPOTENCY_KEY_REUSED')
})

/** Its errors are not ours to shape. */
const isPlain = ({ document }: Operation): boolean => JSON.stringify(document['responses']).includes('plain-error')

/** What it says: a problem document, or what clients of the OpenAI API read. */
async function refusal(response: Response, status: number, operation: Operation): Promise<JsonObject> {
  assert.equal(response.status, status, `${operation.name}: ${response.status}`)
  if (!isPlain(operation)) return problem(response, status)
  const body = objectOf((await response.json()) as JsonObject)
  assert.equal(typeof objectOf(body['error'])['message'], 'string', operation.name)
  return body
}
