import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { bench } from './cli.ts'

const ID = 'msg-0123456789ABCDEFGHJKMNPQRS'
const at = (ago: number): string => new Date(Date.now() - ago).toISOString()
const page = (...data: unknown[]): object => ({ data, cursor: null })
const message = {
  message_id: ID,
  status: 'done',
  channel: 'http',
  sender_id: 'admin',
  agent: 'assistant',
  session: 'agent:assistant:http:admin:direct:main',
  attempts: 1,
  reason: null,
  due_at: null,
  accepted_at: at(300_000),
  done_at: at(299_000),
  payload: { text: `hello ${'long '.repeat(40)}` },
  metadata: {},
  replies: [{ id: 'dlv-1', seq: 1, text: 'hi \u001b[31mthere', index: 0, of: 1, status: 'sent' }],
  steps: [{ key: 'llm:1', kind: 'llm', name: 'builtin/echo', status: 'done', attempts: 2 }],
}

const widest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length))

test('lists fit 80 columns, ids whole, without colour in a pipe', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on(
    'GET /v1/messages',
    200,
    page(message, { ...message, payload: { json: { a: [1] } }, channel: '日本語のとても長いチャンネル名' }),
  )
  const { code, out } = await run(['messages'])
  assert.equal(code, 0)
  assert.match(out, /^ID +STATUS +AGE +CHANNEL +TEXT\n/)
  assert.match(out, new RegExp(`^${ID}  done +5m +http +hello long long.*…$`, 'm'))
  assert.match(out, /\{"a":\[1\]\}/)
  assert.ok(widest(out) <= 80)
  assert.ok(!out.includes('\u001b'))
  assert.equal(gateway.requests[0]?.authorization, 'Bearer secret-token')
  assert.deepEqual(gateway.requests[0]?.query, { limit: '20' })
})

test('filters and limits are handed on, and --json prints the document as it came', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('GET /v1/messages', 200, { data: [message], cursor: 'more' })
  const { out } = await run(['messages', 'list', '--status', 'done', '--agent=a', '--limit', '1', '--json'])
  assert.deepEqual(JSON.parse(out), { data: [message], cursor: 'more' })
  assert.deepEqual(gateway.requests[0]?.query, { agent: 'a', status: 'done', limit: '1' })
  assert.match((await run(['messages'])).err, /There are more/)
})

test('a message is shown with its steps and replies, safe for the terminal', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on(`GET /v1/messages/${ID}`, 200, message)
  const { code, out } = await run(['messages', 'show', ID])
  assert.equal(code, 0)
  assert.match(out, /^step +llm builtin\/echo done after 2 attempts$/m)
  assert.match(out, /^reply +hi there$/m)
})

test('a message is sent with a key of its own and its id printed', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('POST /v1/messages', 202, { message_id: ID, status: 'queued' })
  const { code, out } = await run(['messages', 'send', 'hello you', '--agent', 'support', '--channel', 'shop'])
  assert.deepEqual([code, out], [0, `${ID}\n`])
  const [request] = gateway.requests
  assert.deepEqual(request?.body, { channel_id: 'shop', payload: 'hello you', metadata: { agent_id: 'support' } })
  assert.match(String(request?.headers['idempotency-key']), /^[0-9a-f-]{36}$/)
})

test('send --wait prints the reply, or why there is none', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('POST /v1/messages', 202, { message_id: ID, status: 'queued' }).on(`GET /v1/messages/${ID}`, 200, message)
  const answered = await run(['messages', 'send', 'hello', '--wait', '--timeout', '5'])
  assert.deepEqual([answered.code, answered.out], [0, 'hi there\n'])
  assert.deepEqual(gateway.requests[1]?.query, { wait: '5' })
  const reason = { code: 'MODEL_REFUSED', message: 'no such model' }
  gateway.on(`GET /v1/messages/${ID}`, 200, { ...message, status: 'dead', replies: [], reason })
  const dead = await run(['messages', 'send', 'hello', '--wait'])
  assert.equal(dead.code, 1)
  assert.match(dead.err, /is dead \(MODEL_REFUSED: no such model\)/)
  assert.equal((await run(['messages', 'send', 'x', '--wait', '--timeout', '999'])).code, 2)
})

test('sessions are listed, shown oldest first, reset and erased by their key', async (t) => {
  const { gateway, run } = await bench(t)
  const id = 'agent:assistant:http:admin:direct:a%2Fb'
  const path = `/v1/sessions/${encodeURIComponent(id)}`
  gateway
    .on('GET /v1/sessions', 200, page({ id, status: 'idle', messages: 4, updated_at: at(7_200_000) }))
    .on(
      `GET ${path}/messages`,
      200,
      page({ seq: 2, at: at(1_000), role: 'assistant', text: 'two' }, { seq: 1, at: at(2_000), role: 'user', text: 'one' }),
    )
    .on(`POST ${path}/reset`, 200, { id, status: 'reset' })
    .on(`DELETE ${path}`, 204)
  assert.match((await run(['sessions'])).out, /idle +4 +2h +agent:assistant:http:admin:direct:a%2Fb\n/)
  assert.match((await run(['sessions', 'show', id])).out, /user\none\n.*assistant\ntwo\n$/s)
  assert.equal((await run(['sessions', 'reset', id])).code, 0)
  assert.deepEqual(JSON.parse((await run(['sessions', 'erase', id, '--json'])).out), { id, status: 'erased' })
})

test('dead letters are listed when open, shown whole, replayed with other words and discarded', async (t) => {
  const { gateway, run } = await bench(t)
  const letter = {
    id: 'dl-1',
    kind: 'message',
    ref: ID,
    status: 'open',
    channel: 'http',
    reason: { code: 'UNROUTABLE', message: 'no route' },
    attempts: 5,
    created_at: at(1_000),
  }
  gateway
    .on('GET /v1/dead-letters', 200, page(letter))
    .on('GET /v1/dead-letters/dl-1', 200, { ...letter, content: { payload: { text: 'x' } } })
    .on('POST /v1/dead-letters/dl-1/replay', 202, { id: 'dl-1', status: 'replayed', kind: 'message', message_id: ID })
    .on('DELETE /v1/dead-letters/dl-1', 204)
  assert.match((await run(['dead-letters'])).out, /dl-1 +message +\ds +http +UNROUTABLE/)
  const ofRun = {
    ...letter,
    id: 'dl-2',
    kind: 'run',
    channel: '',
    skill: 'weather',
    reason: { code: 'SKILL_CRASHED', message: 'It broke.' },
  }
  gateway
    .on('GET /v1/dead-letters', 200, page(ofRun))
    .on('GET /v1/dead-letters/dl-2', 200, { ...ofRun, content: {} })
    .on('POST /v1/dead-letters/dl-2/replay', 202, { id: 'dl-2', status: 'replayed', kind: 'run', message_id: null, run_id: 'run-1' })
  assert.match((await run(['dead-letters'])).out, /dl-2 +run +\ds +weather +SKILL_CRASHED/)
  assert.match((await run(['dead-letters', 'show', 'dl-2'])).out, /^skill +weather$/m)
  assert.match((await run(['dead-letters', 'replay', 'dl-2'])).err, /dl-2 is on its way again as run-1\./)
  assert.equal(gateway.requests[0]?.query['status'], 'open')
  assert.match((await run(['dead-letters', 'show', 'dl-1'])).out, /reason +UNROUTABLE: no route[\s\S]*"text": "x"/)
  assert.match((await run(['dead-letters', 'replay', 'dl-1', '--payload', '{"a":1}'])).err, /on its way again as msg-/)
  assert.deepEqual(gateway.requests.at(-1)?.body, { payload: { a: 1 } })
  await run(['dead-letters', 'replay', 'dl-1', '--payload', 'plain'])
  assert.deepEqual(gateway.requests.at(-1)?.body, { payload: 'plain' })
  assert.equal((await run(['dead-letters', 'replay', 'dl-1', '--payload', '{a'])).code, 2)
  gateway.on('POST /v1/dead-letters/replay', 202, { status: 'planned', count: 2, matched: 9, ids: [], first_at: at(0), last_at: at(0) })
  const many = ['dead-letters', 'replay', '--kind', 'delivery', '--since', '2026-01-01T00:00:00Z', '--limit', '2', '--rate', '0.5']
  assert.match((await run(many)).err, /2 of 9 are replayed\. The last of them goes out at .+ For the rest call it again\./)
  const filter = { kind: 'delivery', since: '2026-01-01T00:00:00.000Z' }
  assert.deepEqual(gateway.requests.at(-1)?.body, { filter, limit: 2, rate: 0.5 })
  assert.match((await run(['dead-letters', 'replay', '--all', '--dry-run'])).err, /2 of 9 would be replayed\./)
  assert.deepEqual(gateway.requests.at(-1)?.body, { filter: {}, dry_run: true })
  for (const wrong of [[], ['--limit', '5'], ['--all', '--payload', 'x'], ['--all', '--rate', 'fast'], ['--kind', 'run', '--limit', '0']])
    assert.equal((await run(['dead-letters', 'replay', ...wrong])).code, 2, wrong.join(' '))
  assert.deepEqual(JSON.parse((await run(['dead-letters', 'discard', 'dl-1', '--json'])).out), { id: 'dl-1', status: 'discarded' })
})

test('a key is made with scopes and an end, its secret alone on standard output', async (t) => {
  const { gateway, run } = await bench(t)
  gateway
    .on('POST /v1/keys', 201, { id: 'key-1', name: 'bot', scopes: ['messages:write'], secret: 'ock_live_x' })
    .on('GET /v1/keys', 200, page({ id: 'key-1', name: 'bot', scopes: ['messages:write'], revoked_at: at(1), last_used_at: null }))
    .on('DELETE /v1/keys/key-1', 204)
  const { out, err } = await run([
    'keys',
    'create',
    'bot',
    '--scopes',
    'messages:write,messages:read',
    '--scopes',
    'agents:read',
    '--expires',
    '90d',
  ])
  assert.equal(out, 'ock_live_x\n')
  assert.match(err, /shown nowhere again/)
  const body = gateway.requests[0]?.body
  assert.partialDeepStrictEqual(body, { name: 'bot', scopes: ['messages:write', 'messages:read', 'agents:read'] })
  const expires = Date.parse(JSON.parse(JSON.stringify(body)).expires_at)
  assert.ok(Math.abs(expires - Date.now() - 90 * 86_400_000) < 60_000)
  assert.match((await run(['keys'])).out, /key-1 +bot +revoked +- +messages:write/)
  assert.equal((await run(['keys', 'revoke', 'key-1'])).code, 0)
  assert.match((await run(['keys', 'create', 'bot'])).err, /--scopes is missing/)
  assert.equal((await run(['keys', 'create', 'bot', '--scopes', '*', '--expires', 'soon'])).code, 2)
})

test('agents and channels are listed', async (t) => {
  const { gateway, run } = await bench(t)
  gateway
    .on(
      'GET /v1/agents',
      200,
      page({ name: 'assistant', version: '1.0', running_turns: 2, models: ['builtin/echo'], description: 'helps' }),
    )
    .on(
      'GET /v1/channels',
      200,
      page({ name: 'http', kind: 'http', state: 'open', reason: null, last_inbound_at: at(5_000), last_sent_at: null }),
    )
  assert.match((await run(['agents', 'list'])).out, /assistant +1\.0 +2 +builtin\/echo +helps/)
  assert.match((await run(['channels'])).out, /http +http +open +\d+s +-/)
})

test('status tells how the gateway does and fails when it takes no messages', async (t) => {
  const { gateway, run } = await bench(t)
  gateway
    .on('GET /version', 200, { name: 'openclaw', version: '9.9.9' })
    .on('GET /readyz', 200, { status: 'ok', parts: [{ name: 'store', ok: true, detail: null }] })
    .on('GET /v1/agents', 200, page({ name: 'assistant', running_turns: 0, models: ['builtin/echo'] }))
    .on('GET /v1/channels', 200, page({ name: 'http', state: 'open', reason: null }))
    .on('GET /v1/dead-letters', 200, page({}, {}))
  const well = await run(['status'])
  assert.equal(well.code, 0)
  assert.match(well.out, /process 4242, for 1m\)/)
  assert.match(well.out, /^ready +yes$/m)
  assert.match(well.out, /^dead letters +2 open/m)
  gateway.on('GET /readyz', 503, { status: 'unavailable', parts: [{ name: 'store', ok: false, detail: 'database is locked' }] })
  const ill = await run(['status', '--json'])
  assert.equal(ill.code, 1)
  assert.partialDeepStrictEqual(JSON.parse(ill.out), {
    ready: false,
    version: '9.9.9',
    pid: 4242,
    dead_letters: 2,
    parts: [{ name: 'store', ok: false }],
  })
  assert.match((await run(['status'])).out, /^store +database is locked$/m)
})

test('exit codes tell failures apart', async (t) => {
  const { gateway, run, dir } = await bench(t)
  assert.equal((await run(['messages', 'show', 'msg-x'])).code, 5)
  gateway.on('GET /v1/agents', 500, { title: 'Internal error', detail: 'Something went wrong here.' })
  assert.equal((await run(['agents'])).code, 1)
  const wrongKey = await run(['agents'], { env: { OPENCLAW_TOKEN: 'other' } })
  assert.equal(wrongKey.code, 4)
  assert.match(wrongKey.err, /The key is not valid\. Set OPENCLAW_TOKEN/)
  gateway.on('POST /v1/messages', 400, { detail: 'Two members are wrong.', errors: [{ pointer: '#/payload', detail: 'is too long' }] })
  const refused = await run(['messages', 'send', 'x'])
  assert.equal(refused.code, 1)
  assert.match(refused.err, /^openclaw: Two members are wrong\.\n {2}payload: is too long\n$/)
  await gateway.stop()
  const gone = await run(['agents'])
  assert.equal(gone.code, 3)
  assert.match(gone.err, /cannot be reached\. It was process 4242; start it again/)
  const none = await run(['agents'], { env: { OPENCLAW_DIR: join(dir, 'none') } })
  assert.equal(none.code, 3)
  assert.match(none.err, /No gateway runs in .*none\. Start one with "openclaw start"/)
})

test('OPENCLAW_URL and OPENCLAW_TOKEN lead elsewhere, and the key of this folder stays here', async (t) => {
  const { gateway, run, dir } = await bench(t)
  gateway.on('GET /v1/agents', 200, page())
  const elsewhere = join(dir, 'none')
  assert.equal(
    (await run(['agents'], { env: { OPENCLAW_DIR: elsewhere, OPENCLAW_URL: `${gateway.url}/`, OPENCLAW_TOKEN: gateway.token } })).code,
    0,
  )
  assert.equal((await run(['agents'], { env: { OPENCLAW_URL: gateway.url } })).code, 4)
  assert.equal(gateway.requests.at(-1)?.authorization, undefined)
  assert.equal((await run(['agents'], { env: { OPENCLAW_URL: 'localhost:8400' } })).code, 2)
})

test('a misspelt command, verb or option is answered with the nearest', async (t) => {
  const { run } = await bench(t)
  const cases: readonly (readonly [args: readonly string[], answer: RegExp])[] = [
    [['statsu'], /no command "statsu"\. Did you mean status\?/],
    [['dead-leters'], /Did you mean dead-letters\?/],
    [['keys', 'crate'], /Did you mean create\?/],
    [['messages', '--jsno'], /no option --jsno\. Did you mean --json\?/],
    [['messages', '--zzzzzzzz'], /It has --json, --help, --channel/],
    [['messages', 'show'], /<id> is missing\. Usage: openclaw messages show <id>/],
    [['status', 'now'], /"now" is one word too many/],
    [['messages', '--limit'], /--limit/],
    [['help', 'chta'], /Did you mean chat\?/],
  ]
  for (const [args, answer] of cases) {
    const { code, err } = await run(args)
    assert.equal(code, 2, args.join(' '))
    assert.match(err, answer)
  }
})

test('help lists the commands and exit codes, and shows each command', async (t) => {
  const { run } = await bench(t)
  const { code, out } = await run([])
  assert.equal(code, 0)
  assert.match(out, /dead-letters/)
  assert.match(out, /3 {2}no gateway can be reached/)
  assert.ok(widest(out) <= 80)
  for (const args of [
    ['help', 'keys'],
    ['keys', '--help'],
    ['keys', '-h'],
  ])
    assert.match((await run(args)).out, /openclaw keys create <name> \[options\]/)
  assert.match((await run(['--version'])).out, /^openclaw \d+\.\d+\.\d+ \(Node v24/)
  assert.equal(JSON.parse((await run(['version', '--json'])).out).name, 'openclaw')
  assert.equal(Object.keys(JSON.parse((await run(['help', '--json'])).out)).includes('chat'), true)
})

test('config checks, prints and knows its schema', async (t) => {
  const { run, dir } = await bench(t)
  assert.equal((await run(['config', 'check'])).code, 0)
  await writeFile(join(dir, 'openclaw.yaml'), 'llm:\n  providers:\n    openai: {api_key: "${K}"}\n')
  const printed = await run(['config', 'print'], { env: { K: 'hidden99' } })
  assert.match(printed.out, /api_key: "\*\*\*" +# openclaw\.yaml:3 \(env K\)/)
  assert.doesNotMatch(printed.out, /hidden99/)
  const values = JSON.parse((await run(['config', 'print', '--json'], { env: { K: 'hidden99' } })).out)
  assert.ok(values.some((value: { path: string; origin: string }) => value.path === 'server.port' && value.origin === 'default'))
  const faulty = await run(['config', 'check'])
  assert.equal(faulty.code, 1)
  assert.match(faulty.err, /^openclaw\.yaml:3:24 llm\.providers\.openai\.api_key: the environment variable K is not set/)
  assert.equal(JSON.parse((await run(['config', 'check', '--json'])).out).faults[0].line, 3)
  assert.match(JSON.parse((await run(['config', 'schema'])).out).$schema, /2020-12/)
})

test('doctor finds what is wrong and says what to do', async (t) => {
  const { run, dir, gateway } = await bench(t)
  gateway.on('GET /readyz', 200, { status: 'ok' }).on('GET /v1/whoami', 200, { principal: 'admin', scopes: ['*'] })
  const well = await run(['doctor'])
  assert.equal(well.code, 0, well.out)
  assert.match(well.out, /^ok +gateway: runs at .* and takes messages$/m)
  assert.match(well.out, /^ok +access: as admin$/m)
  assert.match(well.out, /^warn +model: none chosen/m)
  await chmod(join(dir, '.openclaw', 'admin.key'), 0o644)
  await writeFile(join(dir, 'openclaw.yaml'), 'agents: {a: {}, b: {}}\n')
  await gateway.stop()
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.after(() => taken.close())
  const port = String((taken.address() as AddressInfo).port)
  const ill = await run(['doctor', '--json'], { env: { OPENCLAW_PORT: port, OPENAI_API_KEY: 'k' } })
  assert.equal(ill.code, 1)
  const findings: { name: string; state: string; detail: string; fix?: string }[] = JSON.parse(ill.out).findings
  const found = (name: string): (typeof findings)[number] => findings.find((finding) => finding.name === name) ?? assert.fail(name)
  assert.match(found('key').fix ?? '', /chmod 600/)
  assert.match(found('port').detail, /EADDRINUSE/)
  assert.match(found('config').detail, /no route leads to the agents a, b/)
  assert.match(found('model').detail, /picks one of openai/)
  assert.equal(found('gateway').detail, 'does not run here')
})

test('what the audit follows is printed where it can be read on, and steers no terminal', async (t) => {
  const { gateway, run } = await bench(t)
  const entry = { at: at(1_000), actor: { id: 'eve' }, action: 'channels.pause', object: 'x\u001b[2J', outcome: 'failed' }
  gateway.streams.set('GET /v1/audit/stream', [['entry', entry]])
  gateway.on('GET /v1/audit', 200, page())
  assert.match((await run(['audit', 'follow'])).out, /eve {2}channels\.pause {2}x {2}failed\n/)
  await run(['audit', 'list', '--since', '6h', '--until', '2026-01-31T12:00:00Z'])
  const { query } = gateway.requests.at(-1) ?? assert.fail()
  assert.ok(Math.abs(Date.parse(query['since'] ?? '') - Date.now() + 6 * 3_600_000) < 60_000)
  assert.equal(query['until'], '2026-01-31T12:00:00.000Z')
  const { code, err } = await run(['audit', 'list', '--since', 'yesterday'])
  assert.deepEqual([code, err], [2, 'openclaw: --since yesterday is no time like 2026-01-31T12:00:00Z, and no duration ago like 6h.\n'])
})

test('what the gateway refuses is told in the words of the command: no pointers, no paths of the API', async (t) => {
  const { gateway, run } = await bench(t)
  const faults = [{ pointer: '#/query/limit', detail: 'must be >= 1' }]
  gateway.on('GET /v1/messages', 400, { detail: 'The query does not fit; see `errors`.', errors: faults })
  gateway.on('POST /v1/channels/nope/pause', 404, { detail: 'There is no channel of this name. GET /v1/channels lists those there are.' })
  assert.equal((await run(['messages', '--limit', '0'])).err, 'openclaw: The query does not fit:\n  limit: must be >= 1\n')
  const missing = await run(['channels', 'pause', 'nope'])
  assert.equal(missing.err, 'openclaw: There is no channel of this name. "openclaw channels" lists those there are.\n')
  assert.equal(missing.code, 5)
  const unread = await run(['routes', 'set', 'no-such-file'])
  assert.deepEqual([unread.code, unread.err], [5, 'openclaw: The file no-such-file cannot be read.\n'])
})

test('Ctrl-C is how following the audit ends, and no failure', async (t) => {
  const { gateway, spawn } = await bench(t)
  gateway.streams.set('GET /v1/audit/stream', [['entry', { at: at(0), actor: { id: 'eve' }, action: 'keys.create', outcome: 'ok' }]])
  gateway.endsStreams = false
  const child = spawn(['audit', 'follow'])
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  const { code, err } = await child.done
  assert.deepEqual([code, err], [0, ''])
})
