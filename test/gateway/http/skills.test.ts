import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textOf } from '#contract'
import type { JsonObject } from '#contract'
import { problem, startServer } from './double.ts'
import type { Started } from './double.ts'

const DESCRIPTOR = { id: 'weather', version: '1.2.0', description: 'Tells the weather of a town.' }
const skillOf = (change: JsonObject = {}): JsonObject => ({ descriptor: { ...DESCRIPTOR, ...change }, files: { 'main.py': 'x = 1\n' } })
const register = (call: Started['call'], change: JsonObject = {}): Promise<Response> =>
  call('/v1/skills', { method: 'POST', json: skillOf(change) })
const json = async (response: Response): Promise<JsonObject> => (await response.json()) as JsonObject
const idsIn = (page: JsonObject): readonly unknown[] => (page['data'] as readonly JsonObject[]).map(({ id }) => id)

test('a skill is registered with its files inline, and once only', async (t) => {
  const { hub, call } = await startServer(t)
  const files = { 'main.py': 'x = "ä"\n', 'data.bin': { base64: 'AAH/' } }
  const body = { ...skillOf(), files, signature: 'a..b', skip_tests: true }
  const first = await call('/v1/skills', { method: 'POST', json: body })
  assert.equal(first.status, 201)
  assert.equal(first.headers.get('location'), '/v1/skills/weather/versions/1.2.0')
  const registered = await json(first)
  assert.deepEqual({ ...registered, digest: '' }, { id: 'weather', version: '1.2.0', digest: '', status: 'registered' })
  const taken = hub.skills.bundles.get('weather@1.2.0')
  assert.deepEqual(taken?.files['data.bin'], Buffer.from([0, 1, 255]))
  assert.deepEqual(taken?.files['main.py'], Buffer.from('x = "ä"\n'))
  assert.deepEqual([taken?.tenant, taken?.signature, taken?.skipTests, taken?.hold], ['default', 'a..b', true, false])
  const again = await call('/v1/skills', { method: 'POST', json: body })
  assert.equal(again.status, 200)
  assert.deepEqual(await json(again), { ...registered, status: 'unchanged' })
  assert.equal((await problem(await register(call), 409))['code'], 'SKILL_VERSION_TAKEN')
})

test('a skill is registered as an archive, and what is none is refused', async (t) => {
  const { hub, call } = await startServer(t)
  const archive = JSON.stringify({ descriptor: DESCRIPTOR, files: { 'main.py': 'x' } })
  for (const [type, status] of [
    ['application/gzip', 201],
    ['application/x-tar', 200],
  ] as const) {
    const response = await call('/v1/skills?skip_tests=true&hold=true&signature=a..b', {
      method: 'POST',
      body: archive,
      headers: { 'content-type': type },
    })
    assert.equal(response.status, status)
  }
  const taken = hub.skills.bundles.get('weather@1.2.0')
  assert.deepEqual([taken?.skipTests, taken?.hold, taken?.signature], [true, true, 'a..b'])
  const send = (type: string): Promise<Response> => call('/v1/skills', { method: 'POST', body: 'x', headers: { 'content-type': type } })
  assert.equal((await problem(await send('application/gzip'), 422))['code'], 'SKILL_INVALID')
  const refused = await send('application/zip')
  assert.equal((await problem(refused, 415))['code'], 'UNSUPPORTED_MEDIA_TYPE')
  assert.match(refused.headers.get('accept') ?? '', /application\/gzip/)
  const other = await call('/v1/agents', { method: 'POST', body: 'x', headers: { 'content-type': 'application/gzip' } })
  await problem(other, 415)
})

test('the document names the media types beside JSON', async (t) => {
  const { call } = await startServer(t)
  const { paths } = (await json(await call('/v1/openapi.json'))) as unknown as {
    readonly paths: { readonly [path: string]: { readonly post: { readonly requestBody: { readonly content: JsonObject } } } }
  }
  const types = Object.keys(paths['/v1/skills']?.post.requestBody.content ?? {})
  assert.deepEqual(types, ['application/json', 'application/gzip', 'application/x-gzip', 'application/x-tar'])
})

test('what is no skill is refused with each place', async (t) => {
  const { call } = await startServer(t)
  const send = (body: unknown): Promise<Response> => call('/v1/skills', { method: 'POST', json: body })
  const fault = async (body: unknown): Promise<unknown> => (await problem(await send(body), 422))['errors']
  assert.deepEqual(await fault({ descriptor: {}, files: {} }), [{ pointer: '#/id', detail: 'is missing' }])
  assert.deepEqual(await fault({ ...skillOf(), files: { 'a/b': { base64: '!' } } }), [
    { pointer: '#/files/a~1b/base64', detail: 'is not base64 (RFC 4648 §4, padded)' },
  ])
  for (const body of [
    {},
    { files: {} },
    { ...skillOf(), file: {} },
    { ...skillOf(), files: { a: 1 } },
    { ...skillOf(), files: { a: { base64: 'AA==', x: 1 } } },
  ])
    assert.equal((await problem(await send(body), 422))['code'], 'SCHEMA_VIOLATION')
})

test('a bundle may be larger than other bodies, and not boundless', async (t) => {
  const { call } = await startServer(t)
  const send = (bytes: number): Promise<Response> =>
    call('/v1/skills', { method: 'POST', json: { ...skillOf(), files: { a: 'a'.repeat(bytes) } } })
  assert.equal((await send(5 * 1_048_576)).status, 201)
  assert.equal((await problem(await send(8 * 1_048_576), 413))['code'], 'BODY_TOO_LARGE')
})

test('validating says what registering would, and stores nothing', async (t) => {
  const { hub, call } = await startServer(t)
  const validate = (body: unknown): Promise<Response> => call('/v1/skills/validate', { method: 'POST', json: body })
  const good = await json(await validate(skillOf()))
  assert.deepEqual([good['valid'], good['id'], good['language'], good['timeout_ms']], [true, 'weather', 'gateway', 1_000])
  await problem(await validate({ descriptor: {}, files: {} }), 422)
  assert.equal(hub.skills.records.length, 0)
})

test('skills are found by id, by version and by words, a page at a time', async (t) => {
  const { call } = await startServer(t)
  await register(call)
  await register(call, { version: '2.0.0' })
  for (const id of ['clock', 'tides']) await register(call, { id, version: '1.0.0', description: 'Tells of the SEA.' })
  const list = async (query: string): Promise<JsonObject> => json(await call(`/v1/skills${query}`))
  assert.deepEqual(idsIn(await list('')), ['clock', 'tides', 'weather'])
  assert.deepEqual(idsIn(await list('?id=tides')), ['tides'])
  assert.deepEqual(idsIn(await list('?q=sea%20tid')), ['tides'])
  assert.deepEqual(idsIn(await list('?q=moon')), [])
  const [found, ...others] = (await list('?version=^1.2'))['data'] as readonly JsonObject[]
  assert.deepEqual([found?.['id'], found?.['match'], found?.['versions'], others.length], ['weather', '1.2.0', ['2.0.0', '1.2.0'], 0])
  const first = await list('?limit=2')
  const second = await list(`?limit=2&cursor=${textOf(first['cursor'])}`)
  assert.deepEqual([idsIn(first), idsIn(second), second['cursor']], [['clock', 'tides'], ['weather'], null])
})

test('a skill and its versions are shown, with schemas, files and tracks', async (t) => {
  const { call } = await startServer(t)
  await register(call)
  const skill = await json(await call('/v1/skills/weather'))
  assert.deepEqual(skill['current'], {
    version: '1.2.0',
    description: DESCRIPTOR.description,
    language: 'gateway',
    effect: 'none',
    timeout_ms: 1_000,
    network: ['api.example.com'],
    secrets: ['TOKEN'],
    inputs: {},
    outputs: {},
  })
  const known = { id: 'weather', version: '1.2.0', status: 'enabled', deprecated: null, signed: false }
  const { data } = (await json(await call('/v1/skills/weather/versions'))) as { data: readonly JsonObject[] }
  assert.deepEqual({ ...data[0], ...known }, data[0])
  const version = await json(await call('/v1/skills/weather/versions/1.2.0'))
  assert.deepEqual([version['descriptor'], version['files']], [DESCRIPTOR, [{ path: 'main.py', bytes: 6 }]])
  for (const path of [
    '/v1/skills/none',
    '/v1/skills/none/versions',
    '/v1/skills/weather/versions/1.2',
    '/v1/skills/weather/versions/9.9.9/archive',
  ])
    assert.equal((await problem(await call(path), 404))['code'], 'SKILL_NOT_FOUND')
})

test('the archive of a version can be registered again', async (t) => {
  const { hub, call } = await startServer(t)
  await register(call)
  const response = await call('/v1/skills/weather/versions/1.2.0/archive')
  assert.equal(response.headers.get('content-disposition'), 'attachment; filename="weather-1.2.0.tar.gz"')
  const body = await response.arrayBuffer()
  hub.skills.records.length = 0
  const again = await call('/v1/skills', { method: 'POST', body, headers: { 'content-type': 'application/gzip' } })
  assert.equal(again.status, 201)
})

test('versions are switched off and on, deprecated and removed', async (t) => {
  const { call } = await startServer(t)
  await register(call)
  const path = '/v1/skills/weather/versions/1.2.0'
  const post = (verb: string, body?: unknown): Promise<Response> => call(`${path}/${verb}`, { method: 'POST', json: body })
  assert.equal((await json(await post('disable')))['status'], 'disabled')
  assert.equal((await json(await call('/v1/skills/weather')))['current'], null)
  assert.equal((await json(await post('enable')))['status'], 'enabled')
  assert.equal((await json(await post('deprecate', { note: 'use 2.0.0' })))['deprecated'], 'use 2.0.0')
  assert.equal((await json(await post('deprecate')))['deprecated'], 'deprecated')
  assert.equal((await json(await post('deprecate', { note: null })))['deprecated'], null)
  assert.equal((await call(path, { method: 'DELETE' })).status, 204)
  for (const verb of ['enable', 'disable', 'deprecate', 'promote']) await problem(await post(verb), 404)
  await register(call)
  assert.equal((await call('/v1/skills/weather', { method: 'DELETE' })).status, 204)
  await problem(await call('/v1/skills/weather', { method: 'DELETE' }), 404)
})

test('majors are rolled out and back', async (t) => {
  const { hub, call } = await startServer(t)
  await register(call)
  await register(call, { version: '1.3.0' })
  const canary = (body: unknown): Promise<Response> => call('/v1/skills/weather/canary', { method: 'PUT', json: body })
  const track = await json(await canary({ version: '1.3.0', weight: 0.25 }))
  assert.deepEqual([track['canary'], track['weight'], hub.skills.tracks[0]?.weight], ['1.3.0', 0.25, 2_500])
  assert.deepEqual((await json(await call('/v1/skills/weather')))['tracks'], [track])
  for (const body of [{ version: '1.3.0' }, { version: '1.3.0', weight: 1.5 }, { weight: 1 }]) await problem(await canary(body), 422)
  const promoted = await json(await call('/v1/skills/weather/versions/1.3.0/promote', { method: 'POST' }))
  assert.equal(promoted['stable'], '1.3.0')
  const back = await json(await call('/v1/skills/weather/rollback', { method: 'POST', json: { major: 1 } }))
  assert.deepEqual([back['major'], back['note']], [1, 'asked for'])
  await problem(await call('/v1/skills/weather/rollback', { method: 'POST' }), 422)
})

test('what isolates is told, also that nothing does', async (t) => {
  const { hub, call } = await startServer(t)
  assert.deepEqual(await json(await call('/v1/skills/runtime')), { data: [] })
  const report = {
    name: 'docker',
    languages: ['python'],
    reason: 'no engine answers',
    isolates: ['a'],
    leaves: ['b'],
    warnings: [],
    facts: {},
  } as const
  hub.skills.reports = [{ ...report, isAvailable: false }]
  assert.deepEqual(await json(await call('/v1/skills/runtime')), { data: [{ ...report, available: false }] })
})

test('who may read skills may not change them, and another tenant sees none of them', async (t) => {
  const { hub, call, keyFor } = await startServer(t)
  await register(call)
  const { secret } = await keyFor(['skills:read'])
  const headers = { authorization: `Bearer ${secret}` }
  assert.deepEqual(idsIn(await json(await call('/v1/skills', { headers }))), ['weather'])
  const changes: readonly (readonly [method: string, path: string, json?: unknown])[] = [
    ['POST', '', skillOf()],
    ['POST', '/validate', skillOf()],
    ['PUT', '/weather/canary', { version: '1.2.0', weight: 0 }],
    ['POST', '/weather/rollback', { major: 1 }],
    ['POST', '/weather/versions/1.2.0/promote'],
    ['POST', '/weather/versions/1.2.0/disable'],
    ['DELETE', '/weather'],
    ['DELETE', '/weather/versions/1.2.0'],
  ]
  for (const [method, path, body] of changes)
    assert.equal((await problem(await call(`/v1/skills${path}`, { method, json: body, headers }), 403))['code'], 'INSUFFICIENT_SCOPE')
  const foreign = hub.skills.records[0]
  if (foreign !== undefined) hub.skills.records[0] = { ...foreign, tenant: 'other' }
  assert.deepEqual(idsIn(await json(await call('/v1/skills'))), [])
  await problem(await call('/v1/skills/weather'), 404)
})
