/** Skills over HTTP: invoked by all names, as events, or later; what goes wrong is a problem with its reason; runs are read and cancelled. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConflictError, asRunId } from '#contract'
import type { Invocation, JsonObject, RunRecord, SkillErrorCode, SkillEvent, SkillOutcome, SkillRuns } from '#contract'
import { skillDescriptor } from '../../support/skill.ts'
import { Hub, problem, startServer } from './double.ts'
import type { Started } from './double.ts'

const RUN = asRunId('run-1')
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const TIMES = { queueMs: 1, startMs: 2.4, runMs: 3 }
const record = (change: Partial<RunRecord> = {}): RunRecord => ({
  id: RUN,
  seq: 1,
  tenant: 'default',
  key: 'k',
  skill: 'adder',
  asked: null,
  version: '1.0.0',
  caller: { is: 'client', principal: 'tester' },
  effect: 'once',
  status: 'done',
  attempts: 1,
  input: { a: 1 },
  outcome: { status: 'ok', output: { sum: 3 }, times: TIMES },
  logs: 'hello\n',
  timeoutMs: null,
  traceparent: null,
  createdAt: 0,
  startedAt: 1,
  endedAt: 2,
  ...change,
})

interface Scripted {
  readonly runs?: Partial<SkillRuns>
  readonly outcome?: SkillOutcome
}

/** A server whose skills answer as scripted, and what they were asked. */
async function serverWith(
  t: Parameters<typeof startServer>[0],
  { runs, outcome }: Scripted = {},
): Promise<Started & { readonly asked: Invocation[] }> {
  const hub = new Hub()
  const asked: Invocation[] = []
  hub.skills.runs = {
    ...hub.skills.runs,
    invoke: async (invocation) => {
      asked.push(invocation)
      return { id: RUN, outcome: outcome ?? { status: 'ok', output: { sum: 3 }, times: TIMES }, version: '1.0.0' }
    },
    submit: async (invocation) => {
      asked.push(invocation)
      return record({ status: 'queued', outcome: null })
    },
    get: async (tenant, id) => (tenant === 'default' && id === RUN ? record() : null),
    ...runs,
  }
  return { ...(await startServer(t, { hub })), asked }
}
const failing = (code: SkillErrorCode): SkillOutcome => ({ status: 'error', code, message: `It is ${code}.`, times: TIMES })

test('a skill is invoked by all its names, and a path with a major keeps to it', async (t) => {
  const { call, asked } = await serverWith(t)
  const response = await call('/v1/skills/adder/invoke', { method: 'POST', json: { input: { a: 1 }, version: '^1.2', timeout_ms: 50 } })
  assert.equal(response.status, 200)
  const body = { output: { sum: 3 }, run_id: RUN, skill: 'adder', version: '1.0.0', times: { queue_ms: 1, start_ms: 2, run_ms: 3 } }
  assert.deepEqual(await response.json(), body)
  for (const path of ['/v1/skills/adder/v2/invoke', '/api/v1/skills/adder/v2/invoke', '/skills/adder/v2/invoke', '/skills/adder/invoke'])
    assert.equal((await call(path, { method: 'POST', headers: { 'idempotency-key': '"k 1"' } })).status, 200)
  const who = { tenant: 'default', principal: 'tester', skill: 'adder' }
  const major = { ...who, input: {}, key: 'k 1', version: '2' }
  assert.deepEqual(asked, [
    { ...who, input: { a: 1 }, key: null, version: '^1.2', timeoutMs: 50 },
    major,
    major,
    major,
    { ...who, input: {}, key: 'k 1' },
  ])
  assert.equal((await call('/skills/adder/v2/invoke', { method: 'POST', json: { version: '^2.1' } })).status, 200)
  await problem(await call('/skills/adder/v2/invoke', { method: 'POST', json: { version: '^1.1' } }), 422)
  await problem(await call('/skills/adder/vx/invoke', { method: 'POST' }), 422)
  await problem(await call('/skills/adder/invoke', { method: 'POST', json: { timeout_ms: 0 } }), 422)
  await problem(await call('/skills/adder/invoke', { method: 'POST', headers: { 'idempotency-key': '' } }), 400)
})

test('a run has the trace of its request, if that is one', async (t) => {
  const { call, asked } = await serverWith(t)
  for (const traceparent of [TRACEPARENT, 'none']) await call('/skills/adder/invoke', { method: 'POST', headers: { traceparent } })
  assert.deepEqual(
    asked.map((invocation) => invocation.traceparent),
    [TRACEPARENT, undefined],
  )
})

test('what goes wrong is a problem that says whose fault it is, which run it was, and how long it took', async (t) => {
  const statuses: { readonly [code in SkillErrorCode]: number } = {
    invalid_input: 422,
    invalid_output: 502,
    timeout: 504,
    cancelled: 409,
    oom: 502,
    pids_exhausted: 502,
    output_limit: 502,
    crashed: 502,
    protocol: 502,
    deps_failed: 502,
    egress_denied: 502,
    unavailable: 503,
    busy: 503,
    not_found: 404,
    refused: 403,
    unknown: 502,
    skipped: 409,
  }
  let outcome = failing('crashed')
  const invoke: SkillRuns['invoke'] = async () => ({ id: RUN, outcome, version: '1.0.0' })
  const { call } = await serverWith(t, { runs: { invoke } })
  for (const code of Object.keys(statuses) as SkillErrorCode[]) {
    outcome = failing(code)
    const response = await call('/skills/adder/invoke', { method: 'POST' })
    const body = await problem(response, statuses[code])
    const named = [422, 502, 504].includes(statuses[code]) ? 'Skill "adder": ' : ''
    assert.deepEqual(
      [body['detail'], body['run_id'], body['times']],
      [`${named}It is ${code}.`, RUN, { queue_ms: 1, start_ms: 2, run_ms: 3 }],
    )
    assert.match(JSON.stringify(body['code']).slice(1, -1), /^(SKILL|SKILLS|SANDBOX)_[A-Z_]+$/)
    assert.equal(response.headers.has('retry-after'), response.status === 503)
  }
})

test('what nothing here can run is 501', async (t) => {
  const { call, hub } = await serverWith(t, { outcome: failing('unavailable') })
  const current = skillDescriptor({ id: 'adder', runtime: { language: 'python', entrypoint: 'x.py' } })
  hub.skills.catalogue.find = () => ({ id: 'adder', tracks: [], versions: [], current })
  const body = await problem(await call('/skills/adder/invoke', { method: 'POST' }), 501)
  assert.equal(body['code'], 'SANDBOX_UNAVAILABLE')
  const report = {
    name: 'docker',
    languages: ['python'],
    isAvailable: true,
    reason: null,
    isolates: [],
    leaves: [],
    warnings: [],
    facts: {},
  } as const
  hub.skills.reports = [report]
  await problem(await call('/skills/adder/invoke', { method: 'POST' }), 503)
})

test('a client that can wait gets 202 and where to look', async (t) => {
  const { call, asked } = await serverWith(t)
  const response = await call('/v1/skills/adder/invoke', {
    method: 'POST',
    headers: { prefer: 'wait=5, respond-async', 'idempotency-key': 'k' },
    json: { input: 1 },
  })
  assert.deepEqual(
    [response.status, response.headers.get('location'), response.headers.get('preference-applied'), await response.json()],
    [202, `/v1/runs/${RUN}`, 'respond-async', { run_id: RUN, status: 'queued' }],
  )
  assert.equal(asked[0]?.key, 'k')
})

const PROGRESS: readonly SkillEvent[] = [
  { is: 'started' },
  { is: 'progress', data: { done: 1 } },
  { is: 'log', stream: 'stdout', text: 'hi' },
]
const EVENTS = ['event: skill.progress\ndata: {"data":{"done":1}}', 'event: skill.log\ndata: {"stream":"stdout","text":"hi"}'] as const

test('a run is told as events, and ends with what came of it', async (t) => {
  const { call } = await serverWith(t, {
    runs: {
      invoke: async (_invocation, { watch }) => {
        for (const event of PROGRESS) watch?.(event)
        return { id: RUN, outcome: failing('timeout'), version: '1.0.0' }
      },
      watch: async (_tenant, _id, { listen }) => {
        for (const event of PROGRESS) listen?.(event)
        return record()
      },
    },
  })
  const invoked = await call('/skills/adder/invoke', { method: 'POST', headers: { accept: 'text/event-stream' } })
  const failure = '"error":{"code":"timeout","message":"It is timeout."},"times":{"queue_ms":1,"start_ms":2,"run_ms":3}'
  const result = `event: skill.result\ndata: {"run_id":"${RUN}","skill":"adder","version":"1.0.0",${failure}}`
  assert.deepEqual((await invoked.text()).trim().split('\n\n'), ['retry: 3000', ...EVENTS, result])
  const followed = await (await call(`/v1/runs/${RUN}/events`)).text()
  assert.deepEqual(followed.trim().split('\n\n').slice(1, 3), [...EVENTS])
  assert.match(followed, /skill\.result\ndata: \{"run_id":"run-1","status":"done".*"output":\{"sum":3\}/)
  await problem(await call('/v1/runs/run-2/events'), 404)
})

test('a client that goes away takes its patience with it', async (t) => {
  const gone = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const { call } = await serverWith(t, {
    runs: {
      invoke: (_invocation, { signal }) => {
        begun.resolve()
        return new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            gone.resolve()
            resolve({ id: RUN, outcome: failing('cancelled'), version: null })
          })
        })
      },
    },
  })
  const controller = new AbortController()
  const response = call('/skills/adder/invoke', { method: 'POST', signal: controller.signal })
  await begun.promise
  controller.abort()
  await assert.rejects(response)
  await gone.promise
})

test('runs are listed, shown, waited for, and cancelled', async (t) => {
  const waited: string[] = []
  const { call, hub } = await serverWith(t, {
    runs: {
      watch: async (tenant, id) => {
        waited.push(`${tenant} ${id}`)
        return record({ status: 'running', outcome: null, endedAt: null })
      },
      cancel: async (_tenant, id) => id === 'run-3',
    },
  })
  Object.defineProperty(hub.services.store, 'runs', {
    value: {
      list: async (filter: { readonly tenant: string; readonly skill: string; readonly status: string }) => [
        record({ skill: `${filter.tenant} ${filter.skill} ${filter.status}` }),
      ],
    },
  })
  const list = (await (await call('/v1/runs?skill=adder&status=dead')).json()) as { data: JsonObject[]; cursor: null }
  assert.deepEqual([list.data[0]?.['skill'], list.data[0]?.['output'], list.cursor], ['default adder dead', { sum: 3 }, null])
  const shown = (await (await call(`/v1/runs/${RUN}`)).json()) as JsonObject
  assert.deepEqual(
    [shown['status'], shown['times'], shown['ended_at']],
    ['done', { queue_ms: 1, start_ms: 2, run_ms: 3 }, '1970-01-01T00:00:00.002Z'],
  )
  const later = (await (await call(`/v1/runs/${RUN}?wait=5`)).json()) as JsonObject
  assert.deepEqual([later['status'], later['output'], later['error'], waited], ['running', null, null, [`default ${RUN}`]])
  const logs = await call(`/v1/runs/${RUN}/logs`)
  assert.deepEqual([await logs.text(), logs.headers.get('content-type')], ['hello\n', 'text/plain; charset=utf-8'])
  assert.equal((await call('/v1/runs/run-3/cancel', { method: 'POST' })).status, 202)
  assert.equal((await problem(await call(`/v1/runs/${RUN}/cancel`, { method: 'POST' }), 409))['code'], 'RUN_OVER')
  for (const path of ['/v1/runs/run-2', '/v1/runs/run-2/logs'])
    assert.equal((await problem(await call(path), 404))['code'], 'RUN_NOT_FOUND')
  await problem(await call('/v1/runs/run-2/cancel', { method: 'POST' }), 404)
})

test('reading needs one scope and running another', async (t) => {
  const { call, keyFor } = await serverWith(t)
  const reader = { headers: { authorization: `Bearer ${(await keyFor(['skills:read'])).secret}` } }
  assert.equal((await call(`/v1/runs/${RUN}`, reader)).status, 200)
  await problem(await call('/skills/adder/invoke', { ...reader, method: 'POST' }), 403)
  const runner = { headers: { authorization: `Bearer ${(await keyFor(['skills:execute'], 'runner')).secret}` } }
  assert.equal((await call('/skills/adder/invoke', { ...runner, method: 'POST' })).status, 200)
  await problem(await call('/v1/runs', runner), 403)
})

test('a key that belongs to another call is refused', async (t) => {
  const invoke: SkillRuns['invoke'] = () => Promise.reject(new ConflictError('Used.', { code: 'IDEMPOTENCY_KEY_REUSED' }))
  const { call } = await serverWith(t, { runs: { invoke } })
  assert.equal((await problem(await call('/skills/adder/invoke', { method: 'POST' }), 422))['code'], 'IDEMPOTENCY_KEY_REUSED')
})
