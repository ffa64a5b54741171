import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { before } from 'node:test'
import { Workbench } from '../../cli/skill/workbench.ts'
import { LABELS } from '../../skills/sandbox/docker/box.ts'
import { readInstance } from '../../skills/sandbox/docker/instance.ts'
import { judge } from '../../skills/bundle/signature.ts'
import { defaultSettings } from '../../skills/settings.ts'
import { startChild } from '../support/child.ts'
import { docker, dockerPath, startEngine } from '../support/docker.ts'
import { temporaryFolder } from '../support/gateway-process.ts'
import { bench } from './cli.ts'

/** What something here can run. */
let able: ReadonlySet<string>
before(async () => {
  const reports = await Workbench.with({ settings: defaultSettings, env: process.env }, (workbench) => workbench.reports())
  able = new Set(reports.flatMap(({ isAvailable, languages }) => (isAvailable ? languages : [])))
})

const edit = async (folder: string, change: (descriptor: Record<string, unknown>) => void): Promise<void> => {
  const file = join(folder, 'skill.json')
  const descriptor = JSON.parse(await readFile(file, 'utf8'))
  change(descriptor)
  await writeFile(file, JSON.stringify(descriptor))
}

for (const language of ['python', 'node', 'javascript', 'shell']) {
  test(`the template for ${language} passes its own tests, without a gateway`, async (t) => {
    if (!able.has(language) && !process.env['CI']) return t.skip(`nothing here runs ${language}`)
    const { dir, gateway, run } = await bench(t)
    const folder = join(dir, 'words')
    await run(['skills', 'init', folder, '--language', language])
    assert.match((await run(['skills', 'validate', folder])).err, /^words 1\.0\.0 is without fault\.$/m)
    const tested = await run(['skills', 'test', folder])
    assert.deepEqual([tested.code, tested.err], [0, '3 of 3 passed.\n'], tested.out)
    assert.match(tested.out, /^ok {4}counts words \(\d+ ms\)$/m)
    assert.equal(gateway.requests.length, 0)
  })
}

test('a test that fails is shown with what came instead, and with the log', async (t) => {
  const { dir, run } = await bench(t)
  const folder = join(dir, 'words')
  await run(['skills', 'init', folder, '--language', 'javascript'])
  await edit(folder, (descriptor) => (descriptor['tests'] = [{ name: 'counts wrong', input: { text: 'a b' }, output: { words: 3 } }]))
  const { code, out, err } = await run(['skills', 'test', folder])
  assert.equal(code, 1)
  assert.match(out, /^FAIL  counts wrong \(\d+ ms\)\n {6}expected \{"words":3\}, got \{"words":2\}\n {6}\| counted 2$/m)
  assert.equal(err, '0 of 1 passed.\n')
  const json = JSON.parse((await run(['skills', 'test', folder, '--json'])).out)
  assert.deepEqual([json.passed, json.failed, json.tests[0].fault], [0, 1, 'expected {"words":3}, got {"words":2}'])
})

test('a folder that is none of a skill is told so, whatever else is in it', async (t) => {
  const { dir, run } = await bench(t)
  const folder = join(dir, 'else')
  await mkdir(folder)
  await Promise.all(Array.from({ length: 300 }, (_, at) => writeFile(join(folder, `${at}.txt`), '')))
  for (const verb of ['validate', 'test', 'register']) {
    const { code, err } = await run(['skills', verb, folder])
    assert.equal(code, 5)
    assert.match(err, /There is no skill\.json in .*else\. "openclaw skills init <folder>" begins a skill\./)
  }
})

test('every fault of a skill is told at once, with its place and the nearest word', async (t) => {
  const { dir, run } = await bench(t)
  const folder = join(dir, 'words')
  await run(['skills', 'init', folder, '--language', 'javascript'])
  await edit(folder, (descriptor) => Object.assign(descriptor, { timout_ms: 5, privileged: true, version: 'one' }))
  for (const verb of ['validate', 'test']) {
    const { code, err } = await run(['skills', verb, folder])
    assert.equal(code, 1)
    assert.match(err, /timout_ms.*timeout_ms/)
    assert.match(err, /privileged/)
  }
})

test('what nothing here can run fails with what to install', async (t) => {
  const { dir, run } = await bench(t)
  await writeFile(join(dir, 'openclaw.yaml'), 'skills: { sandbox: none }\n')
  const folder = join(dir, 'words')
  await run(['skills', 'init', folder])
  const { code, out } = await run(['skills', 'test', folder])
  assert.equal(code, 1)
  assert.match(out, /expected an output, got unavailable: .*skills\.sandbox/)
})

const noDocker = dockerPath() === null && process.env['CI'] !== 'true' && 'Docker is not here'
test('what a killed run leaves is swept by the next one', { skip: noDocker, timeout: 120_000 }, async (t) => {
  const dir = temporaryFolder(t)
  const { socket, image } = await startEngine(t)
  const temporary = join(dir, 'tmp')
  const folder = join(dir, 'sleeper')
  await mkdir(temporary)
  await mkdir(folder)
  await writeFile(join(dir, 'openclaw.yaml'), JSON.stringify({ skills: { sandbox: 'docker', docker: { socket, image } } }))
  const tests = [0, 60].map((s) => ({ name: `sleeps ${s}`, input: { s }, output: { s } }))
  const runtime = { language: 'shell', entrypoint: 'sleep.sh' }
  const shape = { s: { type: 'number', description: 'Seconds' } }
  const descriptor = { id: 'sleeper', version: '1.0.0', inputs: shape, outputs: shape, runtime, timeout_ms: 90_000, tests }
  await writeFile(join(folder, 'skill.json'), JSON.stringify(descriptor))
  await writeFile(join(folder, 'sleep.sh'), 'input=$(cat)\nsleep "$(echo "$input" | tr -dc 0-9)"\necho "$input" >&3\n')
  const start = (verb: string): ReturnType<typeof startChild> =>
    startChild([join(import.meta.dirname, '..', '..', 'cli', 'openclaw.ts'), 'skills', verb, folder], {
      env: { PATH: process.env['PATH'], TMPDIR: temporary, OPENCLAW_DIR: dir },
      cwd: dir,
    })
  const killed = start('test')
  await killed.said(/ok {4}sleeps 0/, 60_000)
  await killed.kill9()
  const [left, ...others] = (await readdir(temporary)).filter((name) => name.startsWith('openclaw-skills-'))
  assert.ok(left !== undefined && others.length === 0)
  const instance = await readInstance(join(temporary, left, '.openclaw'))
  assert.ok(instance !== null)
  const containers = async (): Promise<readonly string[]> =>
    (await docker(socket, 'ps', '--all', '--quiet', '--filter', `label=${LABELS.instance}=${instance}`)).split('\n').filter(Boolean)
  t.after(async () => {
    for (const id of await containers()) await docker(socket, 'rm', '--force', id)
  })
  assert.ok((await containers()).length > 0, 'there is something to be swept')
  const next = start('validate')
  assert.deepEqual((await next.ended).code, 0, next.output())
  assert.deepEqual(await containers(), [])
  assert.deepEqual(await readdir(temporary), [])
})

test('a folder is signed over descriptor and files, alone or when it is registered', async (t) => {
  const { dir, gateway, run } = await bench(t)
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  await writeFile(join(dir, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }))
  const folder = join(dir, 'words')
  await run(['skills', 'init', folder, '--language', 'javascript'])
  const key = ['--sign', join(dir, 'key.pem'), '--kid', 'release']
  const { code, out } = await run(['skills', 'sign', folder, ...key])
  assert.equal(code, 0)
  const descriptor = JSON.parse(await readFile(join(folder, 'skill.json'), 'utf8'))
  const names = ['README.md', 'main.js']
  const files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)))
  const keys = { release: publicKey.export({ type: 'spki', format: 'pem' }).toString() }
  assert.deepEqual(await judge({ descriptor, files, signature: out.trim() }, keys), { is: 'good', kid: 'release' })
  gateway.on('POST /v1/skills', 201, { id: 'words', version: '1.0.0', digest: 'd', status: 'registered' })
  await run(['skills', 'register', folder, ...key, '--hold'])
  const { signature, hold } = (gateway.requests[0]?.body ?? {}) as { readonly signature: string; readonly hold: boolean }
  assert.deepEqual([await judge({ descriptor, files, signature }, keys), hold], [{ is: 'good', kid: 'release' }, true])
  assert.equal((await run(['skills', 'sign', folder])).code, 2)
  assert.equal((await run(['skills', 'sign', folder, '--sign', 'none', '--kid', 'x'])).code, 5)
  assert.match(
    (await run(['skills', 'sign', folder, '--sign', join(folder, 'README.md'), '--kid', 'x'])).err,
    /no private key to sign with/,
  )
})
