import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetterView, JsonObject, SessionView } from '#contract'
import { DEFAULT_TENANT, asAgentId, asDeadLetterId, asSessionKey, asTurnId } from '#contract'
import { AGENT, channelView, problem, startServer } from './double.ts'

const SESSION: SessionView = {
  key: asSessionKey('agent:main:http:admin:direct:a%2Fb'),
  tenant: DEFAULT_TENANT,
  agent: 'main',
  channel: 'http',
  account: 'admin',
  peerKind: 'direct',
  peer: 'a/b',
  thread: null,
  seq: 1,
  status: 'idle',
  turn: null,
  messages: 2,
  createdAt: 0,
  updatedAt: 1_000,
}
const LETTER: DeadLetterView = {
  id: asDeadLetterId('dl-1'),
  seq: 1,
  kind: 'message',
  ref: 'msg-1',
  status: 'open',
  channel: 'http',
  session: null,
  reason: { code: 'NO_ROUTE', message: 'No route.' },
  attempts: 0,
  createdAt: 0,
  settledAt: null,
  replayAt: null,
  content: { payload: { text: 'hello' } },
}

test('sessions are listed, shown by their encoded key, read, reset and erased', async (t) => {
  const { hub, call } = await startServer(t)
  hub.sessions.push(SESSION)
  const document = {
    id: SESSION.key,
    agent: 'main',
    channel: 'http',
    account: 'admin',
    peer: { kind: 'direct', id: 'a/b', thread: null },
    status: 'idle',
    turn: null,
    messages: 2,
    created_at: '1970-01-01T00:00:00.000Z',
    updated_at: '1970-01-01T00:00:01.000Z',
  }
  assert.deepEqual(await (await call('/v1/sessions?agent=main&channel=http')).json(), { data: [document], cursor: null })
  const path = `/v1/sessions/${encodeURIComponent(SESSION.key)}`
  assert.deepEqual(await (await call(path)).json(), document)
  const turn = asTurnId('turn-1')
  hub.memory.push(
    { seq: 1, turn, at: 0, message: { role: 'user', text: 'q', sender: 'a' } },
    { seq: 2, turn, at: 0, message: { role: 'assistant', text: '', calls: [{ id: 'c', skill: 'clock', input: {} }] } },
    { seq: 3, turn, at: 0, message: { role: 'tool', call: 'c', skill: 'clock', text: 'noon' } },
    { seq: 4, turn, at: 0, message: { role: 'assistant', text: 'a' } },
    { seq: 5, turn, at: 0, message: { role: 'summary', text: 's' } },
  )
  const { data } = (await (await call(`${path}/messages`)).json()) as { data: readonly JsonObject[] }
  const known = { at: '1970-01-01T00:00:00.000Z', turn: 'turn-1' }
  assert.deepEqual(data, [
    { ...known, seq: 5, role: 'summary', text: 's' },
    { ...known, seq: 4, role: 'assistant', text: 'a' },
    { ...known, seq: 3, role: 'tool', text: 'noon', call: 'c', skill: 'clock' },
    { ...known, seq: 2, role: 'assistant', text: '', calls: [{ id: 'c', skill: 'clock', input: {} }] },
    { ...known, seq: 1, role: 'user', text: 'q', sender: 'a' },
  ])
  assert.deepEqual(await (await call(`${path}/reset`, { method: 'POST' })).json(), { id: SESSION.key, status: 'reset' })
  assert.equal((await call(path, { method: 'DELETE' })).status, 204)
  assert.equal((await problem(await call(path, { method: 'DELETE' }), 404))['code'], 'SESSION_NOT_FOUND')
  for (const [method, missing] of [
    ['GET', '/v1/sessions/x'],
    ['GET', '/v1/sessions/x/messages'],
    ['POST', '/v1/sessions/x/reset'],
  ] as const) {
    assert.equal((await problem(await call(missing, { method }), 404))['code'], 'SESSION_NOT_FOUND')
  }
})

test('a message is cancelled once, and not when it is over', async (t) => {
  const { hub, call, keyFor } = await startServer(t)
  hub.ends.set('msg-1', 'told').set('msg-2', 'over')
  const cancel = (id: string, headers = {}): Promise<Response> => call(`/v1/messages/${id}/cancel`, { method: 'POST', headers })
  const told = await cancel('msg-1')
  assert.deepEqual([told.status, await told.json()], [202, { message_id: 'msg-1', status: 'cancelling' }])
  assert.equal((await problem(await cancel('msg-2'), 409))['code'], 'MESSAGE_OVER')
  assert.equal((await problem(await cancel('msg-3'), 404))['code'], 'MESSAGE_NOT_FOUND')
  const { secret } = await keyFor(['messages:write', 'messages:read'])
  assert.equal((await cancel('msg-1', { authorization: `Bearer ${secret}` })).status, 403, 'whoever sends cancels nothing of others')
})

test('agents are listed and found by name or id, without their prompt', async (t) => {
  const { hub, call } = await startServer(t)
  hub.agents.push({ ...AGENT, name: 'second', id: asAgentId('agent-9') })
  const list = await (await call('/v1/agents')).text()
  assert.ok(!list.includes('Be brief.'))
  assert.equal((JSON.parse(list) as { data: readonly unknown[] }).data.length, 2)
  assert.equal(await (await call('/api/agents')).text(), list)
  const { running_turns, status } = (await (await call('/v1/agents/main')).json()) as JsonObject
  assert.deepEqual([running_turns, status], [0, 'idle'])
  assert.equal(((await (await call('/v1/agents/agent-9')).json()) as JsonObject)['name'], 'second')
  assert.equal((await problem(await call('/v1/agents/none'), 404))['code'], 'AGENT_UNKNOWN')
})

test('who may make agents may not by that replace one, nor take its name or its id; who may change them may', async (t) => {
  const { call, keyFor, hub } = await startServer(t)
  const make = async (name: string, secret: string): Promise<number> => {
    const headers = { authorization: `Bearer ${secret}` }
    return (await call('/v1/agents', { method: 'POST', json: { name }, headers })).status
  }
  const [maker, developer] = [await keyFor(['agents:create'], 'maker'), await keyFor(['agents:create', 'agents:update'], 'developer')]
  assert.equal(await make('mine', maker.secret), 201)
  for (const taken of ['mine', 'agent-1', 'main']) assert.equal(await make(taken, maker.secret), 403, taken)
  assert.equal(hub.registrations, 1)
  assert.equal(await make('mine', developer.secret), 201)
})

test('an agent is registered as the guide says', async (t) => {
  const { call } = await startServer(t)
  const response = await call('/v1/agents', {
    method: 'POST',
    json: { name: 'my-agent', version: '1.0', capabilities: ['process', 'scale'] },
  })
  assert.equal(response.status, 201)
  assert.equal(response.headers.get('location'), '/v1/agents/agent-1')
  assert.deepEqual(await response.json(), { id: 'agent-1', name: 'my-agent', status: 'registered' })
  await problem(await call('/v1/agents', { method: 'POST', json: { name: '../x' } }), 422)
})

test('dead letters are listed without content, shown whole, replayed and discarded', async (t) => {
  const { hub, call } = await startServer(t)
  hub.letters.push(LETTER, { ...LETTER, id: asDeadLetterId('dl-2'), seq: 2, status: 'replayed', settledAt: 5 })
  const { data } = (await (await call('/v1/dead-letters?kind=message&status=open&channel=http&reason=NO_ROUTE')).json()) as {
    data: readonly JsonObject[]
  }
  assert.deepEqual(
    data.map((each) => each['id']),
    ['dl-2', 'dl-1'],
  )
  assert.ok(data.every((each) => !('content' in each)))
  assert.deepEqual(((await (await call('/v1/dead-letters/dl-1')).json()) as JsonObject)['content'], LETTER.content)
  const replay = (id: string, json?: unknown) =>
    call(`/v1/dead-letters/${id}/replay`, { method: 'POST', ...(json !== undefined && { json }) })
  const done = await replay('dl-1')
  assert.equal(done.status, 202)
  assert.deepEqual(await done.json(), { id: 'dl-1', status: 'replayed', kind: 'message', message_id: 'msg-1', run_id: null })
  for (const payload of ['words', { text: 'words' }, { binary: 'AA==', media_type: 'x/y' }, { a: 1 }, { text: 'x', more: 1 }, [1]])
    await replay('dl-1', { payload })
  assert.deepEqual(
    hub.replays.map(({ edit }) => edit),
    [
      null,
      { text: 'words' },
      { text: 'words' },
      { binary: 'AA==', media_type: 'x/y' },
      { json: { a: 1 } },
      { json: { text: 'x', more: 1 } },
      { json: [1] },
    ],
  )
  assert.equal((await problem(await replay('dl-2'), 409))['code'], 'DEAD_LETTER_SETTLED')
  await problem(await replay('dl-3'), 404)
  await problem(await replay('dl-1', { payload: 'x', more: 1 }), 422)
  await problem(await replay('dl-1', { payload: { binary: '?', media_type: 'x/y' } }), 422)
  assert.equal((await call('/v1/dead-letters/dl-1', { method: 'DELETE' })).status, 204)
  await problem(await call('/v1/dead-letters/dl-3', { method: 'DELETE' }), 404)
})

test('many dead letters are planned by one call, which says how many there were', async (t) => {
  const { hub, call } = await startServer(t)
  hub.letters.push(LETTER, { ...LETTER, id: asDeadLetterId('dl-2'), seq: 2, replayAt: 500 })
  const many = (json: object, headers = {}) => call('/v1/dead-letters/replay', { method: 'POST', json, headers })
  const filter = { kind: 'delivery', channel: 'http', reason: 'X', since: '2030-01-01T00:00:00Z', until: '2030-01-01T01:00:00+01:00' }
  const planned = await many({ filter, limit: 2, rate: 0.5 }, { 'idempotency-key': 'k' })
  assert.equal(planned.status, 202)
  const body = { status: 'planned', count: 2, matched: 7, ids: ['dl-1', 'dl-2'] }
  const times = { first_at: '1970-01-01T00:00:00.000Z', last_at: '1970-01-01T00:00:02.000Z' }
  assert.deepEqual(await planned.json(), { ...body, ...times })
  const again = await many({ filter, limit: 2, rate: 0.5 }, { 'idempotency-key': 'k' })
  assert.deepEqual([again.headers.get('idempotency-replayed'), await again.json(), hub.orders.length], ['true', { ...body, ...times }, 1])
  const dry = await many({ dry_run: true })
  assert.deepEqual([dry.status, ((await dry.json()) as JsonObject)['status']], [200, 'dry_run'])
  await many({ filter: { ids: ['dl-2', 'dl-9'] } })
  const at = Date.UTC(2030, 0, 1)
  const tenant = 'default'
  assert.deepEqual(hub.orders, [
    { filter: { tenant, ...filter, since: at, until: at }, limit: 2, everyMs: 2_000, isDry: false },
    { filter: { tenant }, limit: 100, everyMs: 0, isDry: true },
    { filter: { tenant, ids: ['dl-2', 'dl-9'] }, limit: 2, everyMs: 0, isDry: false },
  ])
  await many({ filter: { ids: Array.from({ length: 1_000 }, (_, index) => `dl-${index}`) } })
  assert.equal(hub.orders.at(-1)?.limit, 1_000)
  for (const wrong of [
    { limit: 0 },
    { limit: 1_001 },
    { rate: 0 },
    { rate: 1e4 },
    { filter: { ids: [] } },
    { filter: { since: 'yesterday' } },
    { filter: { status: 'open' } },
  ])
    await problem(await many(wrong), 422)
  const { data } = (await (await call('/v1/dead-letters?since=2030-01-01T00:00:00Z')).json()) as { data: readonly JsonObject[] }
  assert.deepEqual(
    data.map((each) => each['replay_at']),
    ['1970-01-01T00:00:00.500Z', null],
  )
  await problem(await call('/v1/dead-letters?since=yesterday'), 400)
})

test('probes tell strangers the word and the part, and operators why', async (t) => {
  const { hub, call, keyFor } = await startServer(t)
  const parts = [
    { name: 'store', ok: false, detail: 'STORE_LOCKED' },
    { name: 'draining', ok: true, detail: null },
  ]
  hub.readiness = {
    live: true,
    started: true,
    ready: false,
    parts,
    channels: [channelView('phone', { state: 'stopped', reason: 'refused' })],
  }
  const ask = (path: string, authorization: string) => call(path, { headers: { authorization } })
  for (const path of ['/healthz', '/startupz', '/api/health', '/v1/health']) {
    const response = await ask(path, 'none')
    assert.equal(response.status, 200)
    assert.deepEqual(await response.json(), { status: 'ok' })
  }
  const stranger = await ask('/readyz', 'none')
  assert.equal(stranger.status, 503)
  const named = { status: 'unavailable', failing: ['store'] }
  assert.deepEqual(await stranger.json(), named)
  assert.deepEqual(await (await ask('/readyz', 'Bearer wrong')).json(), named)
  const { secret } = await keyFor(['logs:read'])
  assert.deepEqual(await (await ask('/readyz', `Bearer ${secret}`)).json(), {
    ...named,
    parts,
    channels: [{ name: 'phone', state: 'stopped', reason: 'refused', paused: false }],
  })
  const health = (await (await ask('/api/health', `Bearer ${secret}`)).json()) as { readonly dead_letters: unknown }
  assert.deepEqual(health.dead_letters, { open: 2, oldest_at: '1970-01-01T00:00:05.000Z' })
  assert.deepEqual(await (await ask('/version', 'none')).json(), { name: 'openclaw', version: '1.2.3' })
})

test('metrics are text', async (t) => {
  const { call } = await startServer(t)
  const response = await call('/api/metrics')
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  assert.equal(await response.text(), 'up 1\n')
})
