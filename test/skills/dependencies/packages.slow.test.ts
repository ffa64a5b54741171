import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { before, describe, test } from 'node:test'
import { Packages } from '../../../skills/dependencies/packages.ts'
import type { PackagesOptions } from '../../../skills/dependencies/packages.ts'
import { DockerodeEngine } from '../../../skills/sandbox/docker/dockerode-engine.ts'
import { termsOf } from '../../../skills/sandbox/docker/terms.ts'
import type { Job } from '../../../skills/sandbox/sandbox.ts'
import { jobFor, startSandbox } from '../../support/container.ts'
import { docker, startEngine, withoutDocker } from '../../support/docker.ts'
import { suiteScope } from '../../support/suite-scope.ts'
import type { TestEngine } from '../../support/docker.ts'
import { temporaryFolder } from '../../support/gateway-process.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { realClock } from '../../support/real-clock.ts'

/** A wheel, or any zip: name → content. Its SHA-256. */
function zip(path: string, files: { readonly [name: string]: string }, mode = 0o100644): string {
  const code = `import sys, json, zipfile
files, mode = json.loads(sys.argv[2]), int(sys.argv[3])
with zipfile.ZipFile(sys.argv[1], 'w') as z:
    for name, text in files.items():
        info = zipfile.ZipInfo(name); info.external_attr = mode << 16
        z.writestr(info, text)`
  execFileSync('python3', ['-c', code, path, JSON.stringify(files), String(mode)])
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/** An npm tarball; its integrity. */
function tgz(path: string, folder: string, files: { readonly [name: string]: string }, ...options: readonly string[]): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'package', name)), { recursive: true })
    writeFileSync(join(folder, 'package', name), text)
  }
  execFileSync('tar', ['-C', folder, ...options, '-czf', path, 'package'])
  return `sha512-${createHash('sha512').update(readFileSync(path)).digest('base64')}`
}

describe('packages of a lock file', { skip: withoutDocker() }, () => {
  const scope = suiteScope()
  const instance = randomUUID()
  let engine: TestEngine
  let dir: string
  let shelf: { readonly wheelhouse: string; readonly npmCache: string }
  let client: DockerodeEngine

  before(async () => {
    engine = await startEngine(scope)
    dir = temporaryFolder(scope)
    shelf = { wheelhouse: join(dir, 'wheelhouse'), npmCache: join(dir, 'npm-cache') }
    mkdirSync(shelf.wheelhouse)
    mkdirSync(shelf.npmCache)
    client = new DockerodeEngine({ socket: engine.socket, clock: realClock })
    scope.after(async () => {
      for (const name of await volumes()) await docker(engine.socket, 'volume', 'rm', name)
      client.stop()
    })
  })
  const volumes = async (): Promise<readonly string[]> =>
    (await docker(engine.socket, 'volume', 'ls', '--quiet', '--filter', `label=openclaw.instance=${instance}`)).split('\n').filter(Boolean)
  const made = (more: Partial<PackagesOptions> = {}): Packages =>
    new Packages({
      engine: client,
      image: engine.image,
      runtime: null,
      instance: () => Promise.resolve(instance),
      terms: () => termsOf(client),
      dir,
      shelf,
      clock: realClock,
      log: quietLog,
      ...more,
    })
  const withLock = (job: Job, path: string, text: string): Job => ({
    ...job,
    bundle: {
      ...job.bundle,
      descriptor: { ...job.bundle.descriptor, dependencies: path },
      files: { ...job.bundle.files, [path]: Buffer.from(text) },
    },
  })
  const pythonJob = (lock: string, code = 'def run(input, ctx):\n    return 1\n'): Job =>
    withLock(jobFor({ language: 'python', code }), 'requirements.txt', lock)
  const refused = async (job: Job): Promise<string> => {
    const before = await volumes()
    let said = ''
    await assert.rejects(made().volume(job.bundle), (error: Error & { code: string }) => {
      said = error.message
      return error.code === 'DEPS_FAILED'
    })
    assert.deepEqual(await volumes(), before)
    return said
  }

  test('are built from wheels and imported by a Python skill, once for all who have the same', async () => {
    const greeter = zip(join(shelf.wheelhouse, 'greeter-1.0.0-py3-none-any.whl'), {
      'greeter/__init__.py': 'def greet(name):\n    return "hello " + name\n',
      'greeter-1.0.0.dist-info/METADATA': 'Name: greeter\n',
      'greeter-1.0.0.data/purelib/greeter_more.py': 'MORE = 1\n',
      'greeter-1.0.0.data/scripts/greet': '#!/bin/sh\n',
    })
    zip(join(shelf.wheelhouse, 'greeter-1.0.0-cp27-cp27m-win32.whl'), { 'greeter/__init__.py': 'never' })
    const code = `import greeter, greeter_more, os\ndef run(input, ctx):\n    try:\n        open('/deps/x', 'w')\n        return 'written'\n    except OSError:\n        return greeter.greet(input['name']) + str(greeter_more.MORE) + str(os.path.exists('/deps/greet'))\n`
    const packages = made()
    const { sandbox } = await startSandbox(scope, engine, { volumes: packages })
    const job = { ...pythonJob(`greeter==1.0.0 --hash=sha256:${greeter}`, code), input: { name: 'you' } }
    const { outcome } = await sandbox.run(job)
    assert.deepEqual({ ...outcome, times: undefined }, { status: 'ok', output: 'hello you1False', times: undefined })
    const names = await Promise.all([1, 2, 3].map(() => packages.volume(job.bundle)))
    assert.equal(new Set(names).size, 1)
    await packages.stop()
    assert.equal(await made().volume(job.bundle), names[0])
    assert.equal((await volumes()).length, 1)
    await sandbox.stop()
  })

  test("are built from npm's cache and imported by a Node skill", async () => {
    const folder = temporaryFolder(scope)
    const adder = join(folder, 'adder.tgz')
    const integrity = tgz(adder, folder, {
      'package.json': JSON.stringify({
        name: '@calc/adder',
        version: '1.2.3',
        main: 'index.js',
        scripts: { postinstall: 'touch /deps/ran' },
      }),
      'index.js': 'exports.add = (a, b) => a + b + require("unit")',
    })
    const hex = Buffer.from(integrity.slice(7), 'base64').toString('hex')
    const place = join(shelf.npmCache, '_cacache/content-v2/sha512', hex.slice(0, 2), hex.slice(2, 4), hex.slice(4))
    mkdirSync(dirname(place), { recursive: true })
    writeFileSync(place, readFileSync(adder))
    const unit = tgz(join(shelf.npmCache, 'unit-1.0.0.tgz'), temporaryFolder(scope), {
      'package.json': '{"name":"unit","version":"1.0.0"}',
      'index.js': 'module.exports = 0.5',
    })
    const lock = JSON.stringify({
      lockfileVersion: 3,
      packages: {
        '': {},
        'node_modules/@calc/adder': { version: '1.2.3', resolved: 'https://registry.example/adder.tgz', integrity },
        'node_modules/@calc/adder/node_modules/unit': { version: '1.0.0', integrity: unit },
        'node_modules/elsewhere': { version: '1.0.0', integrity, optional: true, os: ['darwin'] },
      },
    })
    const code = `import adder from '@calc/adder'\nexport const run = ({ a, b }) => adder.add(a, b)\n`
    const { sandbox } = await startSandbox(scope, engine, { volumes: made() })
    const { outcome } = await sandbox.run({
      ...withLock(jobFor({ language: 'node', code }), 'package-lock.json', lock),
      input: { a: 1, b: 2 },
    })
    assert.deepEqual({ ...outcome, times: undefined }, { status: 'ok', output: 3.5, times: undefined })
    await sandbox.stop()
  })

  test('that the store does not have, or has with other bytes, are named, and how to get them', async () => {
    const lock = `absent==1.0 --hash=sha256:${'0'.repeat(64)}`
    assert.match(await refused(pythonJob(lock)), /does not have absent 1\.0, by the digest.*pip download/)
    zip(join(shelf.wheelhouse, 'absent-1.0-py3-none-any.whl'), { 'absent.py': 'other bytes' })
    assert.match(await refused(pythonJob(lock)), /does not have absent 1\.0/)
    const { sandbox } = await startSandbox(scope, engine, { volumes: made() })
    const { outcome } = await sandbox.run(pythonJob(lock))
    assert.equal(outcome.status === 'error' && outcome.code, 'deps_failed')
    await sandbox.stop()
  })

  test('in archives that climb, link or are damaged are refused, and nothing is left', async () => {
    const hostile: readonly (readonly [name: string, said: RegExp, make: (path: string) => string])[] = [
      ['climber', /holds a file with the name/, (path) => zip(path, { '../../etc/evil.py': 'x' })],
      ['sidestepper', /holds a file with the name/, (path) => zip(path, { 'a/../../deps/evil.py': 'x' })],
      ['absolute', /holds a file with the name/, (path) => zip(path, { '/deps/evil.py': 'x' })],
      ['linker', /holds what is no plain file/, (path) => zip(path, { 'linker/a': '/etc/passwd' }, 0o120777)],
      ['damaged', /cannot be read/, (path) => (writeFileSync(path, 'no zip'), createHash('sha256').update('no zip').digest('hex'))],
      ['twice', /another package brings too/, (path) => zip(path, { 'a.py': 'x', 'twice-1.0.data/purelib/a.py': 'y' })],
      ['foreign', /no wheel of foreign fits/, (path) => zip(path.replace('py3-none-any', 'cp39-cp39-win32'), { 'a.py': 'x' })],
    ]
    for (const [name, said, make] of hostile) {
      const digest = make(join(shelf.wheelhouse, `${name}-1.0-py3-none-any.whl`))
      assert.match(await refused(pythonJob(`${name}==1.0 --hash=sha256:${digest}`)), said, name)
    }
    const folder = temporaryFolder(scope)
    mkdirSync(join(folder, 'package'))
    execFileSync('ln', ['-s', '/etc', join(folder, 'package', 'etc')])
    const integrity = tgz(join(shelf.npmCache, 'linked-1.0.0.tgz'), folder, {})
    const lock = JSON.stringify({ lockfileVersion: 3, packages: { 'node_modules/linked': { version: '1.0.0', integrity } } })
    assert.match(await refused(withLock(jobFor({ language: 'node', code: '' }), 'package-lock.json', lock)), /no plain file/)
  })

  test('that are unused for longest go when there is too much, and what nobody knows of goes at the first use', async () => {
    const locks = ['one', 'two'].map((name) => {
      const digest = zip(join(shelf.wheelhouse, `${name}-1.0-py3-none-any.whl`), { [`${name}.py`]: 'x'.repeat(10_000) })
      return pythonJob(`${name}==1.0 --hash=sha256:${digest}`).bundle
    })
    const packages = made({ maxBytes: 15_000 })
    const [first, second] = locks
    assert.ok(first && second)
    const [older, newer] = [await packages.volume(first), await packages.volume(second)]
    assert.deepEqual(await volumes(), [newer])
    assert.equal(await packages.volume(first), older)
    assert.deepEqual(await volumes(), [older])
    await packages.stop()
    await docker(engine.socket, 'volume', 'create', '--label', `openclaw.instance=${instance}`, `openclaw-deps-stray-${instance}`)
    rmSync(join(dir, 'dependencies.json'))
    await made().volume(second)
    assert.deepEqual(await volumes(), [newer])
  })
})
