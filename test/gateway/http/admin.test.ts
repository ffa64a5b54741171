/** The configuration changed over the API: the whole gateway in this process, over its real store and its real HTTP server. */
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { textOf } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import { run } from '../../../gateway/run.ts'
import type { Running } from '../../../gateway/run.ts'
import { FakeOpenAI } from '../../fakes/openai.ts'
import { folder } from '../config/folder.ts'

const YAML = `agents:
  first: { model: builtin/echo, prompt: from the file, limits: { max_steps: 7 } }
  second: { model: builtin/echo }
routes:
  - match: { channel: http, metadata: { team: red } }
    agent: second
fallback: first
`

/** Nothing is there: it tries to connect all along. */
const TELEGRAM = `channels:
  tg: { kind: telegram, token: "1:${'x'.repeat(35)}", api_root: "http://127.0.0.1:9", access: allowlist, allow: [ann] }
`

interface Answer {
  readonly status: number
  readonly etag: string
  readonly body: JsonObject
}
interface World {
  readonly dir: string
  readonly url: string
  readonly running: Running
  readonly key: string
  readonly call: (method: string, path: string, body?: JsonValue, headers?: { readonly [name: string]: string }) => Promise<Answer>
}

async function world(
  t: TestContext,
  options: { readonly yaml?: string; readonly env?: { readonly [name: string]: string } } = {},
): Promise<World> {
  return start(t, await folder(t, { 'openclaw.yaml': options.yaml ?? YAML }), options.env)
}

async function start(t: TestContext, dir: string, env: { readonly [name: string]: string } = {}): Promise<World> {
  const running = await run({
    env: { OPENCLAW_DIR: dir, OPENCLAW_PORT: '0', OPENCLAW_METRICS_PORT: '0', OPENCLAW_LOG_LEVEL: 'silent', ...env },
    print: () => undefined,
  })
  t.after(() => running.stop())
  const key = (await readFile(join(dir, '.openclaw', 'admin.key'), 'utf8')).trim()
  const { url } = running
  const call: World['call'] = async (method, path, body, headers = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, etag: response.headers.get('etag') ?? '', body: text === '' ? {} : (JSON.parse(text) as JsonObject) }
  }
  return { dir, url, running, key, call }
}

const faultsOf = ({ body }: Answer): readonly string[] =>
  (body['errors'] as readonly { pointer: string; detail: string }[]).map(({ pointer, detail }) => `${pointer} ${detail}`)
const originOf = async ({ call }: World, path: string): Promise<JsonObject | undefined> =>
  ((await call('GET', '/v1/config')).body['values'] as readonly JsonObject[]).find((value) => value['path'] === path)
const tried = async ({ call }: World, message: JsonObject): Promise<JsonObject> => (await call('POST', '/v1/routes/test', message)).body

test('routes are replaced for the next message, tell where they come from, and are the file’s again when that is taken back', async (t) => {
  const gateway = await world(t)
  const before = await gateway.call('GET', '/v1/routes')
  assert.deepEqual([before.status, before.body['fallback'], before.body['changed_by']], [200, 'first', null])
  assert.match(before.etag, /^"[\w-]{27}"$/)
  const routes = [{ match: { sender: 'ann' }, agent: 'second' }]
  const put = await gateway.call('PUT', '/v1/routes', { routes, fallback: 'first' }, { 'if-match': before.etag })
  assert.deepEqual([put.status, put.body['changed_by']], [200, 'admin'])
  assert.notEqual(put.etag, before.etag)
  assert.equal((await gateway.call('GET', '/v1/routes')).etag, put.etag)
  assert.equal((await tried(gateway, { channel: 'http', sender: 'ann' }))['agent'], 'second')
  assert.equal((await tried(gateway, { channel: 'http', metadata: { team: 'red' } }))['agent'], 'first', 'no rule of the file is left')
  assert.match(textOf((await originOf(gateway, 'routes[0].agent'))?.['origin']), /^overlay by admin at \d{4}-/)
  // What one gets can be sent back as it is.
  const { routes: same, fallback } = put.body
  const again = await gateway.call('PUT', '/v1/routes', { routes: same ?? null, fallback: fallback ?? null }, { 'if-match': put.etag })
  assert.deepEqual([again.status, again.etag], [200, put.etag])

  const gone = await gateway.call('DELETE', '/v1/routes', undefined, { 'if-match': put.etag })
  assert.deepEqual([gone.status, gone.etag], [204, before.etag])
  assert.equal((await originOf(gateway, 'routes[0].agent'))?.['origin'], 'openclaw.yaml:6')
  assert.equal((await gateway.call('DELETE', '/v1/routes')).body['code'], 'OVERLAY_NOT_FOUND')
  assert.equal(await readFile(join(gateway.dir, 'openclaw.yaml'), 'utf8'), YAML)
})

test('the dry run tells the rule that matched and why each other did not', async (t) => {
  const gateway = await world(t)
  await gateway.call('PUT', '/v1/routes', {
    routes: [
      { match: { channel: 'http' }, agent: 'first' },
      { match: { channel: 'http', topic: 'orders.*' }, agent: 'second' },
      { match: { sender: 'ann', header: { 'X-Team': 'a*' } }, agent: 'second' },
    ],
  })
  const verdict = await tried(gateway, { channel: 'http', sender: 'ann', topic: 'orders.new', headers: { 'x-team': 'blue' } })
  assert.deepEqual(verdict, {
    tenant: 'default',
    agent: 'second',
    agent_id: null,
    rule: 'routes[1]',
    rules: [
      { rule: 'routes[2]', agent: 'second', matches: false, failed: [{ condition: 'header.x-team', expected: 'a*' }] },
      { rule: 'routes[1]', agent: 'second', matches: true, failed: [] },
      { rule: 'routes[0]', agent: 'first', matches: true, failed: [] },
    ],
  })
  const asked = await tried(gateway, { channel: 'http', agent_id: 'first' })
  assert.deepEqual([asked['agent'], asked['rule']], ['first', 'agent_id'])
  const nobody = await tried(gateway, { channel: 'elsewhere' })
  assert.deepEqual([nobody['agent'], nobody['rule']], [null, null], 'without a fallback it would be a dead letter')
  const { entries } = await auditOf(gateway)
  assert.deepEqual(
    entries.map((entry) => entry['action']),
    ['routes.replace'],
    'looking is no change',
  )
})

test('of two who saw the same, exactly one changes it', async (t) => {
  const gateway = await world(t)
  const { call } = gateway
  const { id } = (await call('POST', '/v1/agents', { name: 'guest', prompt: 'x' })).body
  for (const [path, method, bodies] of [
    [
      '/v1/routes',
      'PUT',
      [
        { routes: [], fallback: 'first' },
        { routes: [], fallback: 'second' },
      ],
    ],
    [
      '/v1/limits',
      'PUT',
      [
        { per_ip: 1_000, per_key: 50_000 },
        { per_ip: 2_000, per_key: 50_000 },
      ],
    ],
    ['/v1/agents/first', 'PATCH', [{ prompt: 'one' }, { prompt: 'two' }]],
    [`/v1/agents/${textOf(id)}`, 'PATCH', [{ prompt: 'one' }, { prompt: 'two' }]],
  ] as const) {
    const { etag } = await call('GET', path)
    const answers = await Promise.all(bodies.map((body) => call(method, path, body, { 'if-match': etag })))
    assert.deepEqual(
      answers.map(({ status }) => status).sort((a, b) => a - b),
      [200, 412],
      path,
    )
    const [winner] = answers.filter(({ status }) => status === 200)
    const [loser] = answers.filter(({ status }) => status === 412)
    assert.equal(loser?.body['code'], 'PRECONDITION_FAILED')
    assert.equal(loser?.body['type'], 'https://openclaw.dev/problems/precondition-failed')
    assert.equal((await call('GET', path)).etag, winner?.etag, path)
  }
  for (const tag of ['W/"x"', '"other"']) assert.equal((await call('DELETE', '/v1/limits', undefined, { 'if-match': tag })).status, 412)
  assert.equal((await call('DELETE', '/v1/limits', undefined, { 'if-match': '*' })).status, 204)
})

test('what would be faulty is refused whole, each fault where it was sent, and nothing is stored', async (t) => {
  const gateway = await world(t)
  const { call } = gateway
  const put = await call('PUT', '/v1/routes', {
    routes: [
      { match: { chanel: 'http' }, agent: 'first' },
      { match: {}, agent: 'frist' },
    ],
    fallback: 'first',
  })
  assert.deepEqual([put.status, put.body['code']], [422, 'CONFIG_CHANGE_INVALID'])
  assert.match(faultsOf(put).join('\n'), /^#\/routes\/0\/match\/chanel unknown key.*did you mean "channel"/)
  const unknown = await call('PUT', '/v1/routes', { routes: [{ match: {}, agent: 'frist' }] })
  assert.match(faultsOf(unknown).join('\n'), /^#\/routes\/0\/agent no agent is called "frist".*did you mean "first"/)
  const steps = await call('PATCH', '/v1/agents/first', { limits: { max_steps: 0 }, prompt: 'new' })
  assert.match(faultsOf(steps).join('\n'), /^#\/limits\/max_steps the number 0, expected at least 1$/)
  const tenant = await call('PATCH', '/v1/agents/first', { tenant: 'other' })
  assert.match(faultsOf(tenant).join('\n'), /^#\/tenant cannot be changed while the gateway runs; edit openclaw\.yaml/)
  const half = await call('PATCH', '/v1/agents/first', { model: null, fallback: ['builtin/echo'] })
  assert.match(faultsOf(half).join('\n'), /^#\/fallback models without `model`/)
  const secret = await call('PUT', '/v1/routes', { routes: [{ match: { header: { authorization: 'Bearer abc' } }, agent: 'first' }] })
  assert.match(faultsOf(secret).join('\n'), /a secret, which is kept in no database/)
  assert.equal((await call('PATCH', '/v1/agents/nobody', { prompt: 'x' })).status, 404)
  assert.deepEqual((await auditOf(gateway)).rows, [])
  assert.equal((await call('GET', '/v1/agents/first')).body['limits'] !== undefined, true)
  assert.equal((await originOf(gateway, 'agents.first.prompt'))?.['value'], 'from the file')
})

test('a change and its entry in the audit are one transaction, and people’s words are not in the audit', async (t) => {
  const gateway = await world(t)
  await gateway.call('PATCH', '/v1/agents/first', { prompt: 'be secretive', limits: { max_steps: 3 } })
  await gateway.call('DELETE', '/v1/agents/first')
  await gateway.call('PUT', '/v1/limits', { per_ip: 5, per_key: 50_000 })
  const { rows, entries } = await auditOf(gateway)
  assert.deepEqual(rows, ['/server/rate_limits'])
  assert.deepEqual(
    entries.map((entry) => [entry['action'], entry['object'], entry['outcome'], JSON.stringify(entry['detail'])]),
    [
      ['agents.update', 'first', 'ok', '{"body":{"limits":{"max_steps":3}}}'],
      ['agents.delete', 'first', 'ok', '{}'],
      ['limits.replace', null, 'ok', '{"body":{"per_ip":5,"per_key":50000}}'],
    ],
  )
  // Where the entry cannot be written, neither is the change.
  const database = new DatabaseSync(join(gateway.dir, 'sessions.db'))
  database.exec(`CREATE TRIGGER no_entry BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END`)
  database.close()
  assert.ok((await gateway.call('PUT', '/v1/routes', { routes: [] })).status >= 500)
  assert.deepEqual((await auditOf(gateway)).rows, ['/server/rate_limits'])
  assert.equal((await gateway.call('GET', '/v1/routes')).body['changed_by'], null)
})

test('patches of an agent add up, null is the default again, and the file’s other members stay its own', async (t) => {
  const gateway = await world(t)
  const { call, dir } = gateway
  assert.equal((await call('PATCH', '/v1/agents/first', { description: 'changed' })).body['description'], 'changed')
  const patch = { 'content-type': 'application/merge-patch+json; charset=utf-8' }
  assert.equal((await call('PATCH', '/v1/agents/first', { limits: { max_steps: 4 } }, patch)).status, 200)
  await call('PATCH', '/v1/agents/first', { limits: null })
  const after = await call('PATCH', '/v1/agents/first', { limits: { max_output_tokens: 99 } })
  const limits = after.body['limits'] as JsonObject
  assert.deepEqual([after.body['description'], limits['max_steps'], limits['max_output_tokens']], ['changed', 20, 99])
  await writeFile(join(dir, 'openclaw.yaml'), YAML.replace('from the file', 'edited'))
  await gateway.running.reload()
  assert.equal((await originOf(gateway, 'agents.first.prompt'))?.['value'], 'edited')
  assert.equal((await call('GET', '/v1/agents/first')).body['description'], 'changed')
  assert.equal((await call('DELETE', '/v1/agents/first')).status, 204)
  assert.equal((await call('GET', '/v1/agents/first')).body['description'], '')
  assert.deepEqual((await call('DELETE', '/v1/agents/first')).body['code'], 'AGENT_IN_CONFIG')
})

test('an agent that was registered is changed and removed as it was declared, also across a restart', async (t) => {
  const gateway = await world(t)
  const { id } = (await gateway.call('POST', '/v1/agents', { name: 'guest', description: 'a', limits: { max_steps: 2 } })).body
  const patched = await gateway.call('PATCH', '/v1/agents/guest', { description: 'b', limits: { max_output_tokens: 9 } })
  assert.deepEqual([patched.status, patched.body['id'], patched.body['description']], [200, id, 'b'])
  const faulty = await gateway.call('PATCH', `/v1/agents/${textOf(id)}`, { limits: { max_steps: 'many' } })
  assert.deepEqual([faulty.status, faulty.body['code']], [422, 'AGENT_INVALID'])
  await gateway.running.stop()
  const next = await start(t, gateway.dir)
  const limits = (await next.call('GET', `/v1/agents/${textOf(id)}`)).body['limits'] as JsonObject
  assert.deepEqual([limits['max_steps'], limits['max_output_tokens']], [2, 9])
  assert.equal((await next.call('DELETE', '/v1/agents/guest')).status, 204)
  assert.equal((await next.call('GET', `/v1/agents/${textOf(id)}`)).status, 404)
  assert.equal((await next.call('DELETE', '/v1/agents/guest')).status, 404)
})

test('who may write to a channel is changed at once; what else a channel is, is the file’s', async (t) => {
  const gateway = await world(t, { yaml: `${YAML}${TELEGRAM}` })
  const { call } = gateway
  const before = await call('GET', '/v1/channels/tg')
  const patched = await call('PATCH', '/v1/channels/tg', { allow: ['bob'], require_mention: false }, { 'if-match': before.etag })
  const access = patched.body['access'] as JsonObject
  assert.deepEqual([patched.status, access['access'], access['allow'], access['require_mention']], [200, 'allowlist', ['bob'], false])
  const refused = await call('PATCH', '/v1/channels/tg', { token: '2:abc', allow: ['eve'] })
  assert.match(faultsOf(refused).join('\n'), /^#\/token cannot be changed while the gateway runs; edit openclaw\.yaml/)
  assert.deepEqual(((await call('GET', '/v1/channels/tg')).body['access'] as JsonObject)['allow'], ['bob'])
  assert.equal((await call('PATCH', '/v1/channels/http', { access: 'open' })).status, 422)
  const back = await call('DELETE', '/v1/channels/tg')
  assert.deepEqual([back.status, back.etag], [204, before.etag])
  assert.deepEqual(((await call('GET', '/v1/channels/tg')).body['access'] as JsonObject)['allow'], ['ann'])
})

test('rate limits are in force from the next request on, and the environment still comes before them', async (t) => {
  const gateway = await world(t, { env: { OPENCLAW_RATE_PER_KEY: '50000' } })
  const put = await gateway.call('PUT', '/v1/limits', { per_ip: 2, per_key: 1 })
  assert.deepEqual([put.body['per_ip'], put.body['per_key']], [2, 50_000])
  assert.equal((await originOf(gateway, 'server.rate_limits.per_key'))?.['origin'], 'env OPENCLAW_RATE_PER_KEY')
  const stranger = async (): Promise<number> => (await fetch(`${gateway.url}/v1/routes`)).status
  assert.deepEqual([await stranger(), await stranger(), await stranger()], [401, 401, 429])
  await gateway.call('DELETE', '/v1/limits')
  assert.equal((await gateway.call('GET', '/v1/limits')).body['per_ip'], 100)
})

test('what has become impossible is told as vain and stops nothing; it is in force again when the file allows it', async (t) => {
  const gateway = await world(t)
  const { call, dir } = gateway
  await call('PUT', '/v1/routes', { routes: [{ match: {}, agent: 'second' }] })
  await call('PATCH', '/v1/agents/second', { prompt: 'over' })
  await gateway.running.stop()
  await writeFile(join(dir, 'openclaw.yaml'), 'agents: { first: { model: builtin/echo } }\n')
  const next = await start(t, dir)
  const vain = (await next.call('GET', '/v1/config')).body['vain'] as readonly JsonObject[]
  assert.deepEqual(vain.map((row) => textOf(row['path'])).sort(), ['/agents/second', '/routes'])
  assert.match(JSON.stringify(vain), /no agent is called \\"second\\"/)
  assert.equal((await tried(next, { channel: 'http' }))['agent'], 'first')
  assert.equal((await next.call('PATCH', '/v1/agents/first', { prompt: 'goes on' })).status, 200)
  assert.equal((await next.call('DELETE', '/v1/agents/second')).status, 204, 'and can be taken away')
  await writeFile(join(dir, 'openclaw.yaml'), YAML)
  await next.running.reload()
  assert.deepEqual((await next.call('GET', '/v1/config')).body['vain'], [])
  assert.equal((await tried(next, { channel: 'http' }))['agent'], 'second')
})

test('nothing is changed over a file that is faulty now', async (t) => {
  const gateway = await world(t)
  await writeFile(join(gateway.dir, 'openclaw.yaml'), 'agents: { first: { modle: x } }\n')
  const answer = await gateway.call('PUT', '/v1/routes', { routes: [] })
  assert.deepEqual([answer.status, answer.body['code']], [409, 'CONFIG_FILE_FAULTY'])
  assert.equal((await tried(gateway, { channel: 'x' }))['agent'], 'first', 'what was read before goes on')
})

test('no secret is told, and another tenant sees and changes nothing', async (t) => {
  const key = `ock_live_${'a'.repeat(8)}_${'b'.repeat(43)}`
  const theirs = `keys: [{ name: theirs, sha256: ${hash('sha256', key)}, scopes: ["*"], tenant: other }]\n`
  const agents = YAML.replace('agents:\n', 'agents:\n  stranger: { model: builtin/echo, tenant: other }\n')
  const gateway = await world(t, { yaml: `${agents}${TELEGRAM}llm: { providers: { openai: { api_key: hunter2hunter2 } } }\n${theirs}` })
  const { call } = gateway
  const config = await call('GET', '/v1/config')
  assert.doesNotMatch(JSON.stringify(config.body), /hunter2/)
  assert.equal((await originOf(gateway, 'llm.providers.openai.api_key'))?.['value'], '***')
  const headers = { authorization: `Bearer ${key}` }
  for (const [method, path, body] of [
    ['GET', '/v1/config', undefined],
    ['GET', '/v1/routes', undefined],
    ['PUT', '/v1/routes', { routes: [] }],
    ['DELETE', '/v1/routes', undefined],
    ['POST', '/v1/routes/test', { channel: 'http' }],
    ['GET', '/v1/limits', undefined],
    ['PUT', '/v1/limits', { per_ip: 0, per_key: 0 }],
    ['DELETE', '/v1/limits', undefined],
  ] as const) {
    const answer = await call(method, path, body, headers)
    assert.deepEqual([answer.status, answer.body['code']], [403, 'OPERATOR_ONLY'], `${method} ${path}`)
  }
  const tries = ((await call('GET', '/v1/audit?outcome=denied', undefined, headers)).body['data'] as readonly JsonObject[]).map(
    (entry) => entry['action'],
  )
  assert.deepEqual(tries, ['limits.delete', 'limits.replace', 'routes.delete', 'routes.replace'])
  for (const [path, status] of [
    ['/v1/agents/first', 404],
    ['/v1/channels/tg', 404],
    ['/v1/channels/http', 403],
  ] as const) {
    assert.equal((await call('PATCH', path, { access: 'open' }, headers)).status, status, path)
    assert.equal((await call('DELETE', path, undefined, headers)).status, status, path)
  }
  // What is theirs in the file they change, and nothing else of it.
  assert.equal((await call('PATCH', '/v1/agents/stranger', { prompt: 'ours' }, headers)).status, 200)
  assert.equal((await call('PATCH', '/v1/agents/stranger', { tenant: 'default' }, headers)).status, 422)
  assert.equal((await call('DELETE', '/v1/agents/stranger', undefined, headers)).status, 204)
  assert.deepEqual((await auditOf(gateway)).rows, [])
})

test('an edit of the file is in the audit, by the settings that it changed and without their values', async (t) => {
  const gateway = await world(t, { yaml: `${YAML}llm: { providers: { openai: { api_key: hunter2hunter2 } } }\n` })
  const edited = YAML.replace('from the file', 'be secretive')
  await writeFile(join(gateway.dir, 'openclaw.yaml'), `${edited}llm: { providers: { openai: { api_key: hunter3hunter3 } } }\n`)
  await gateway.running.reload()
  // The watch of the file may have been first; a file that says the same as before is no change.
  await gateway.running.reload()
  const { entries } = await auditOf(gateway)
  assert.deepEqual(entries, [
    {
      action: 'config.reloaded',
      object: null,
      outcome: 'ok',
      detail: { changed: ['agents.first.prompt', 'llm.providers.openai.api_key'], settings: 2 },
    },
  ])
  // Where it cannot be written down, it is not in force.
  const database = new DatabaseSync(join(gateway.dir, 'sessions.db'))
  database.exec(`CREATE TRIGGER no_entry BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END`)
  database.close()
  await writeFile(join(gateway.dir, 'openclaw.yaml'), YAML)
  await gateway.running.reload()
  assert.equal((await originOf(gateway, 'agents.first.prompt'))?.['value'], 'be secretive')
})

test('a secret that is another by now is in force also when a change over the API is the first to read it', async (t) => {
  const model = new FakeOpenAI()
  const base = await model.start()
  t.after(() => model.stop())
  const yaml = `agents: { first: { model: fake/m } }
llm: { providers: { fake: { api: chat, base_url: "${base}", api_key: "\${file:./key}" } } }\n`
  const dir = await folder(t, { 'openclaw.yaml': yaml, key: 'key-of-yesterday' })
  const gateway = await start(t, dir)
  const ask = async (): Promise<string | undefined> => {
    assert.equal((await gateway.call('POST', '/v1/agents/first/invoke', { input: { query: 'hello' } })).status, 200)
    return model.requests.at(-1)?.headers.authorization
  }
  assert.equal(await ask(), 'Bearer key-of-yesterday')
  await writeFile(join(dir, 'key'), 'key-of-today')
  assert.equal((await gateway.call('PUT', '/v1/limits', { per_ip: 100, per_key: 10_000 })).status, 200)
  assert.equal(await ask(), 'Bearer key-of-today')
})

test('what is sent over the API is no reference: neither environment nor files can be read through it, also after a restart', async (t) => {
  const secret = 'value-of-the-environment'
  const dir = await folder(t, { 'openclaw.yaml': YAML, token: 'value-of-a-file' })
  const gateway = await start(t, dir, { OUR_SECRET: secret })
  const text = '${OUR_SECRET} ${file:./token} ${vault:a/b#c}'
  const channel = await gateway.call('PUT', '/v1/routes', { routes: [{ match: { channel: 'http', sender: text }, agent: 'first' }] })
  assert.equal(channel.status, 200)
  const read = async ({ call }: World): Promise<void> => {
    const { body } = await call('PATCH', '/v1/agents/first', { description: text })
    assert.equal(body['description'], text)
    const [rule] = (await call('GET', '/v1/routes')).body['routes'] as readonly { readonly match: JsonObject }[]
    assert.equal(rule?.match['sender'], text)
    assert.doesNotMatch(JSON.stringify((await call('GET', '/v1/config')).body), /value-of/)
  }
  await read(gateway)
  await gateway.running.stop()
  await read(await start(t, dir, { OUR_SECRET: secret }))
})

/** Beside the running gateway: rows of the overlay, entries of its audit without those of keys and agents that tests need. */
async function auditOf({ dir }: World): Promise<{ readonly rows: readonly string[]; readonly entries: readonly JsonObject[] }> {
  const database = new DatabaseSync(join(dir, 'sessions.db'), { readOnly: true })
  try {
    const rows = database.prepare('SELECT path FROM overlay ORDER BY path').all()
    const entries = database.prepare(`SELECT action, object, outcome, detail FROM audit WHERE tenant = 'default' ORDER BY seq`).all()
    return {
      rows: rows.map((row) => String(row['path'])),
      entries: entries.map((entry) => ({
        action: String(entry['action']),
        object: entry['object'] === null ? null : String(entry['object']),
        outcome: String(entry['outcome']),
        detail: JSON.parse(String(entry['detail'])) as JsonValue,
      })),
    }
  } finally {
    database.close()
  }
}
