import assert from 'node:assert/strict'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { bench } from './cli.ts'

const at = (ago: number): string => new Date(Date.now() - ago).toISOString()
const page = (...data: unknown[]): object => ({ data, cursor: null })
const track = { major: 1, stable: '1.2.0', previous: '1.1.0', canary: '1.3.0', weight: 0.25, note: null, updated_at: at(0) }
const weather = {
  id: 'weather',
  current: {
    version: '1.2.0',
    description: 'Tells the weather of a town.',
    language: 'python',
    effect: 'none',
    timeout_ms: 5_000,
    network: ['api.example.com'],
    secrets: [],
    inputs: { type: 'object', properties: { town: { type: 'string' } } },
    outputs: {},
  },
  match: null,
  versions: ['1.3.0', '1.2.0', '1.1.0'],
  tracks: [track],
}

test('skills are listed with what a call gets, and searched by words and version', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on(
    'GET /v1/skills',
    200,
    page(weather, { ...weather, id: 'off', current: null, match: '1.1.0' }, { ...weather, id: 'gone', current: null }),
  )
  const { out } = await run(['skills', 'list', 'town weather', '--version', '^1.1'])
  assert.match(out, /^weather +1\.2\.0 +python +none +Tells the weather of a to/m)
  assert.match(out, /^off +1\.1\.0 +- +-$/m)
  assert.match(out, /^gone +disabled/m)
  assert.deepEqual(gateway.requests[0]?.query, { q: 'town weather', version: '^1.1', limit: '20' })
})

test('a skill is shown with its schemas and how each major is rolled out', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('GET /v1/skills/weather', 200, weather)
  const { out } = await run(['skills', 'show', 'weather'])
  assert.match(out, /^network +api\.example\.com$/m)
  assert.match(out, /^major 1 +1\.2\.0 stable, 1\.3\.0 gets 25 %$/m)
  assert.match(out, /"town": \{/)
  assert.deepEqual(JSON.parse((await run(['skills', 'show', 'weather', '--json'])).out), weather)
  assert.equal((await run(['skills', 'show', 'none'])).code, 5)
  gateway.on('GET /v1/skills/weather', 200, { ...weather, current: null })
  assert.match((await run(['skills', 'show', 'weather'])).out, /^version +none is enabled$/m)
})

test('versions are listed, switched, deprecated and removed', async (t) => {
  const { gateway, run } = await bench(t)
  const version = { version: '1.2.0', status: 'enabled', signed: true, created_at: at(60_000), created_by: 'admin', deprecated: null }
  const path = '/v1/skills/weather/versions'
  gateway.on(`GET ${path}`, 200, page(version))
  for (const verb of ['enable', 'disable', 'deprecate']) gateway.on(`POST ${path}/1.2.0/${verb}`, 200, version)
  gateway.on(`DELETE ${path}/1.2.0`, 204).on('DELETE /v1/skills/weather', 204)
  assert.match((await run(['skills', 'versions', 'weather'])).out, /^1\.2\.0 +enabled +yes +1m +admin +-$/m)
  assert.match((await run(['skills', 'disable', 'weather', '1.2.0'])).err, /weather 1\.2\.0 can be called no more/)
  assert.match((await run(['skills', 'enable', 'weather', '1.2.0'])).err, /can be called again/)
  await run(['skills', 'deprecate', 'weather', '1.2.0', 'use 2'])
  assert.deepEqual(gateway.requests.at(-1)?.body, { note: 'use 2' })
  assert.match((await run(['skills', 'remove', 'weather', '1.2.0'])).err, /weather 1\.2\.0 is removed/)
  assert.match((await run(['skills', 'remove', 'weather'])).err, /weather is removed/)
  assert.equal((await run(['skills', 'remove', 'none'])).code, 5)
})

test('majors are rolled out and back', async (t) => {
  const { gateway, run } = await bench(t)
  gateway
    .on('PUT /v1/skills/weather/canary', 200, track)
    .on('POST /v1/skills/weather/versions/1.3.0/promote', 200, { ...track, canary: null })
    .on('POST /v1/skills/weather/rollback', 200, { ...track, canary: null, note: 'asked for' })
  assert.match((await run(['skills', 'canary', 'weather', '1.3.0', '25%'])).err, /major 1: 1\.2\.0 stable, 1\.3\.0 gets 25 %/)
  assert.deepEqual(gateway.requests.at(-1)?.body, { version: '1.3.0', weight: 0.25 })
  assert.match((await run(['skills', 'rollback', 'weather', '1'])).err, /rolled back: asked for/)
  assert.deepEqual(gateway.requests.at(-1)?.body, { major: 1 })
  assert.equal((await run(['skills', 'promote', 'weather', '1.3.0'])).code, 0)
  for (const args of [
    ['canary', 'weather', '1.3.0', '2'],
    ['canary', 'weather', '1.3.0', 'much'],
    ['rollback', 'weather', 'v1'],
    ['promote', 'weather'],
  ])
    assert.equal((await run(['skills', ...args])).code, 2, args.join(' '))
})

const answer = {
  output: { sky: 'blue' },
  run_id: 'run-1',
  skill: 'weather',
  version: '1.2.0',
  times: { queue_ms: 0, start_ms: 4, run_ms: 2 },
}

test('a skill is called with input of the line or of a pipe, its output alone on standard output', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('POST /v1/skills/weather/invoke', 200, answer)
  const called = await run(['skills', 'invoke', 'weather', '--input', '{"town":"Ulm"}', '--key', 'k1', '--timeout', '2', '--version', '^1'])
  assert.deepEqual([called.code, called.out, called.err], [0, '{"sky":"blue"}\n', ''])
  assert.deepEqual(gateway.requests[0]?.body, { input: { town: 'Ulm' }, version: '^1', timeout_ms: 2_000 })
  assert.equal(gateway.requests[0]?.headers['idempotency-key'], 'k1')
  for (const args of [['-'], ['--input', '-']]) {
    await run(['skills', 'invoke', 'weather', ...args], { stdin: '{"town":"Bern"}' })
    assert.deepEqual(gateway.requests.at(-1)?.body, { input: { town: 'Bern' } })
  }
  assert.deepEqual(JSON.parse((await run(['skills', 'invoke', 'weather', '--json'])).out), answer)
  for (const args of [['--input', '{town'], ['--timeout', '999'], ['Ulm']])
    assert.equal((await run(['skills', 'invoke', 'weather', ...args])).code, 2)
})

test('a call that fails says why and ends with 1', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('POST /v1/skills/weather/invoke', 422, {
    detail: 'The input does not fit.',
    errors: [{ pointer: '#/town', detail: 'is missing' }],
  })
  const { code, err } = await run(['skills', 'invoke', 'weather'])
  assert.deepEqual([code, err], [1, 'openclaw: The input does not fit.\n  town: is missing\n'])
  const errors = [{ pointer: '#/id', detail: 'is missing' }]
  gateway.on('POST /v1/skills/weather/invoke', 422, { detail: 'The skill has 1 fault: #/id is missing.', errors })
  const once = await run(['skills', 'invoke', 'weather'])
  assert.equal(once.err, 'openclaw: The skill has 1 fault: #/id is missing.\n', 'faults are not told twice')
  for (const kind of ['skill-failed', 'skill-timeout']) {
    const type = `https://openclaw.dev/problems/${kind}`
    gateway.on('POST /v1/skills/weather/invoke', 502, { type, detail: 'It broke.', code: 'SKILL_CRASHED', run_id: 'run-1' })
    const failed = await run(['skills', 'invoke', 'weather'])
    assert.equal(failed.err, 'openclaw: It broke.\n  SKILL_CRASHED. What it wrote: openclaw skills logs run-1\n')
  }
})

test('a call is left to the gateway, or followed to its end', async (t) => {
  const { gateway, run } = await bench(t)
  gateway.on('POST /v1/skills/weather/invoke', 202, { run_id: 'run-1', status: 'queued' })
  const left = await run(['skills', 'invoke', 'weather', '--async'])
  assert.deepEqual([left.code, left.out], [0, 'run-1\n'])
  assert.equal(gateway.requests[0]?.headers['prefer'], 'respond-async')
  gateway.streams.set('POST /v1/skills/weather/invoke', [
    ['skill.progress', { data: { done: 1 } }],
    ['skill.log', { stream: 'stdout', text: 'half \u001b[31mway\n' }],
    ['skill.result', { run_id: 'run-1', output: { sky: 'blue' } }],
  ])
  const followed = await run(['skills', 'invoke', 'weather', '--follow'])
  assert.deepEqual([followed.code, followed.out, followed.err], [0, '{"sky":"blue"}\n', '{"done":1}\nhalf way\n'])
  gateway.streams.set('GET /v1/runs/run-1/events', [['skill.result', { run_id: 'run-1', error: { code: 'timeout', message: 'too slow' } }]])
  const failed = await run(['skills', 'logs', 'run-1', '--follow'])
  assert.deepEqual([failed.code, failed.out, failed.err], [1, '', 'It failed: timeout: too slow\n'])
})

test('runs are listed and shown, with their logs', async (t) => {
  const { gateway, run } = await bench(t)
  const done = {
    id: 'run-1',
    skill: 'weather',
    version: '1.2.0',
    status: 'failed',
    attempts: 3,
    input: { town: 'Ulm' },
    error: { code: 'timeout', message: 'too slow' },
    times: { queue_ms: 0, start_ms: 4, run_ms: 2 },
    created_at: at(5_000),
    started_at: at(5_000),
    ended_at: at(4_000),
  }
  gateway.on('GET /v1/runs', 200, page(done)).on('GET /v1/runs/run-1', 200, done).on('GET /v1/runs/run-1/logs', 200, 'hello\n')
  gateway.on('POST /v1/runs/run-1/cancel', 202, { run_id: 'run-1', status: 'cancelling' })
  assert.match((await run(['skills', 'runs', 'weather', '--status', 'failed'])).out, /^run-1 +failed +\ds +weather 1\.2\.0 +timeout$/m)
  assert.deepEqual(gateway.requests[0]?.query, { skill: 'weather', status: 'failed', limit: '20' })
  assert.match((await run(['skills', 'run', 'run-1'])).out, /^status +failed \(timeout: too slow\)$/m)
  assert.equal((await run(['skills', 'logs', 'run-1'])).out, 'hello\n')
  assert.match((await run(['skills', 'cancel', 'run-1'])).err, /run-1 is told to stop/)
})

test('what isolates is told in sentences', async (t) => {
  const { gateway, run } = await bench(t)
  const docker = {
    name: 'docker',
    languages: ['python', 'node'],
    available: true,
    reason: null,
    isolates: ['No network.'],
    leaves: ['The kernel is shared.'],
    warnings: ['Old engine.'],
    facts: { engine: '20.10' },
  }
  gateway.on('GET /v1/skills/runtime', 200, {
    data: [docker, { ...docker, name: 'bubblewrap', available: false, reason: 'Install bubblewrap.' }],
  })
  const { out } = await run(['skills', 'runtime'])
  assert.match(
    out,
    /^docker \(python, node\): available\n  holds off:\n    No network\.\n  does not hold off:\n    The kernel is shared\.\n  beware:\n    Old engine\.\n  engine 20\.10$/m,
  )
  assert.match(out, /^bubblewrap \(python, node\): not available\n  Install bubblewrap\.\n$/m)
})

test('a folder is registered with its files, text as text, and without what is no part of it', async (t) => {
  const { dir, gateway, run } = await bench(t)
  gateway.on('POST /v1/skills', 201, { id: 'hello', version: '1.0.0', digest: 'sha256-x', status: 'registered' })
  const folder = join(dir, 'hello')
  assert.equal((await run(['skills', 'init', folder, '--language', 'node'])).code, 0)
  for (const name of ['.git', '__pycache__', 'lib']) await mkdir(join(folder, name))
  for (const name of ['.git/config', '__pycache__/a.pyc', 'lib/b.mjs']) await writeFile(join(folder, name), '1')
  await writeFile(join(folder, 'raw.bin'), Buffer.from([0xff]))
  assert.match((await run(['skills', 'register', folder])).err, /^hello 1\.0\.0 is registered \(sha256-x\)\.$/m)
  const { descriptor, files } = (gateway.requests[0]?.body ?? {}) as {
    readonly descriptor: { readonly id: string }
    readonly files: object
  }
  assert.equal(descriptor.id, 'hello')
  assert.deepEqual(Object.keys(files), ['README.md', 'lib/b.mjs', 'main.mjs', 'raw.bin'])
  assert.deepEqual((files as { readonly [name: string]: unknown })['raw.bin'], { base64: '/w==' })
  await symlink('/etc/passwd', join(folder, 'link'))
  const linked = await run(['skills', 'register', folder])
  assert.equal(linked.code, 1)
  assert.match(linked.err, /a skill has no links/)
  assert.equal((await run(['skills', 'register', join(dir, 'none')])).code, 5)
})

test('init begins a skill in each language, and writes over nothing', async (t) => {
  const { dir, run } = await bench(t)
  for (const language of ['python', 'node', 'javascript', 'shell']) {
    const folder = join(dir, `my-${language}`)
    assert.equal((await run(['skills', 'init', folder, '--language', language])).code, 0)
    const descriptor = JSON.parse(await readFile(join(folder, 'skill.json'), 'utf8'))
    assert.deepEqual([descriptor.id, descriptor.runtime.language], [`my-${language}`, language])
    await readFile(join(folder, descriptor.runtime.entrypoint))
    assert.ok(!(await readFile(join(folder, 'README.md'), 'utf8')).includes('{{'))
    assert.equal((await run(['skills', 'init', folder])).code, 1)
  }
  const misspelt = await run(['skills', 'init', join(dir, 'x'), '--language', 'pyton'])
  assert.deepEqual([misspelt.code, /Did you mean python\?/.test(misspelt.err)], [2, true])
  assert.equal((await run(['skills', 'init', join(dir, '-bad name')])).code, 2)
})

test('an agent skill is registered as any other', async (t) => {
  const { dir, gateway, run } = await bench(t)
  gateway.on('POST /v1/skills', 201, { id: 'pdf-help', version: '1.0.0', digest: 'd', status: 'registered' })
  const folder = join(dir, 'pdf-help')
  await mkdir(folder)
  await writeFile(join(folder, 'SKILL.md'), '---\nname: pdf-help\ndescription: Helps with PDF.\n---\nRead it.\n')
  assert.equal((await run(['skills', 'register', folder])).code, 0)
  const { descriptor } = (gateway.requests[0]?.body ?? {}) as { readonly descriptor: { readonly id: string } }
  assert.equal(descriptor.id, 'pdf-help')
  await writeFile(join(folder, 'SKILL.md'), '---\nname: other\ndescription: x\n---\n')
  const refused = await run(['skills', 'register', folder])
  assert.equal(refused.code, 1)
  assert.match(refused.err, /SKILL\.md in .* has faults\.\n.*must be the same/)
})
