/** The small parts of Docker sandboxes that need no engine: the breaker, the demultiplexer, the socket's place, the hardened body. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { SandboxReport } from '#contract'
import { Breaker } from '../../../skills/sandbox/docker/breaker.ts'
import { Demux } from '../../../skills/sandbox/docker/demux.ts'
import { EngineAway, EngineRefusal, type Engine, type EngineFacts } from '../../../skills/sandbox/docker/engine.ts'
import { containerBody, profileOf, uidOf } from '../../../skills/sandbox/docker/profile.ts'
import { report } from '../../../skills/sandbox/docker/report.ts'
import { engineSocket } from '../../../skills/sandbox/docker/socket.ts'
import { termsOf } from '../../../skills/sandbox/docker/terms.ts'
import { jobFor } from '../../support/container.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const FACTS: EngineFacts = {
  name: 'Docker',
  version: '28.0.0',
  runtimes: { runc: 'runc', runsc: 'runsc' },
  defaultRuntime: 'runc',
  runcVersion: '',
  cgroupVersion: '2',
  securityOptions: ['name=seccomp'],
  hasPidsLimit: true,
  hasMemoryLimit: true,
  cpus: 2,
  memoryBytes: 1,
}

describe('the report', () => {
  const reportOf = async (
    name: EngineFacts['name'],
    runtime: string | null,
    securityOptions = FACTS.securityOptions,
  ): Promise<SandboxReport> => {
    const nothing = (): never => assert.fail('a report changes nothing')
    const engine: Engine = {
      socket: '/nowhere.sock',
      isStopped: false,
      name: () => Promise.resolve(name),
      facts: () => Promise.resolve({ ...FACTS, name, securityOptions }),
      image: () => Promise.resolve({ id: 'i', labels: {} }),
      create: nothing,
      attach: nothing,
      start: nothing,
      state: nothing,
      remove: nothing,
      list: nothing,
      stop: nothing,
    }
    const settings = { socket: null, image: 'i', runtime, maxContainers: 1, parked: 0 }
    const census = { starting: 0, parked: 0, leased: 0, busy: 0, ending: 0, queued: 0 }
    return report({ engine, settings, languages: ['python'], census })
  }
  const reasonOf = async (name: EngineFacts['name'], runtime: string | null): Promise<string | null> =>
    (await reportOf(name, runtime)).reason

  test('refuses a runtime that the engine would not use: one it does not know, and on Podman any but its own', async () => {
    assert.deepEqual([await reasonOf('Docker', null), await reasonOf('Docker', 'runsc')], [null, null])
    assert.match((await reasonOf('Docker', 'kata')) ?? '', /knows no runtime kata/)
    assert.deepEqual([await reasonOf('Podman', null), await reasonOf('Podman', 'runc')], [null, null])
    assert.match((await reasonOf('Podman', 'runsc')) ?? '', /would run skills in runc/)
  })

  test('warns of an engine that is root here, whichever it is, and tells what Podman leaves open', async () => {
    for (const name of ['Docker', 'Podman'] as const) {
      assert.match((await reportOf(name, null)).warnings.join(), /runs as root without user namespaces/)
      assert.doesNotMatch((await reportOf(name, null, ['name=seccomp', 'name=rootless'])).warnings.join(), /runs as root/)
      assert.equal((await reportOf(name, null)).leaves.join().includes('no run outlives it'), name === 'Podman')
    }
  })
})

describe('the breaker', () => {
  const away = (): Promise<never> => Promise.reject(new EngineAway('nobody there'))

  test('opens after three failures in a row, and lets one call a second look', async () => {
    const clock = new FakeClock()
    const breaker = new Breaker(clock)
    let calls = 0
    const fail = (): Promise<never> => {
      calls += 1
      return away()
    }
    for (let at = 0; at < 5; at++) await assert.rejects(breaker.run(fail), /nobody there/)
    assert.equal(calls, 3)
    clock.advance(1_000)
    await assert.rejects(breaker.run(fail), /nobody there/)
    await assert.rejects(breaker.run(fail), /nobody there/)
    assert.equal(calls, 4)
    clock.advance(1_000)
    assert.equal(await breaker.run(() => Promise.resolve('back')), 'back')
    assert.equal(breaker.reason, null)
  })

  test('while one looks the others go on failing at once', async () => {
    const clock = new FakeClock()
    const breaker = new Breaker(clock)
    for (let at = 0; at < 3; at++) await assert.rejects(breaker.run(away))
    clock.advance(1_000)
    const looking = Promise.withResolvers<string>()
    const look = breaker.run(() => looking.promise)
    await assert.rejects(
      breaker.run(() => Promise.resolve('let through')),
      EngineAway,
    )
    looking.resolve('back')
    assert.equal(await look, 'back')
  })

  test('an engine that refuses is there', async () => {
    const breaker = new Breaker(new FakeClock())
    for (let at = 0; at < 5; at++)
      await assert.rejects(
        breaker.run(() => Promise.reject(new EngineRefusal('no such image', 404))),
        EngineRefusal,
      )
    assert.equal(breaker.reason, null)
  })
})

describe('the demultiplexer', () => {
  const piece = (stream: number, text: string): Buffer => {
    const header = Buffer.alloc(8)
    header[0] = stream
    header.writeUInt32BE(Buffer.byteLength(text), 4)
    return Buffer.concat([header, Buffer.from(text)])
  }
  const whole = Buffer.concat([piece(1, 'one '), piece(2, 'wrong'), piece(1, ''), piece(1, 'two')])

  test('puts pieces together wherever they were cut', async () => {
    for (let size = 1; size <= whole.length; size++) {
      const demux = new Demux()
      for (let at = 0; at < whole.length; at += size) demux.write(whole.subarray(at, at + size))
      demux.end()
      assert.equal(Buffer.concat(await demux.toArray()).toString(), 'one two', `${size}`)
      assert.equal(demux.complaints, 'wrong')
    }
  })

  test('keeps no more than the end of what goes to standard error', async () => {
    const demux = new Demux()
    for (let at = 0; at < 100; at++) demux.write(piece(2, 'x'.repeat(1_000)))
    demux.end(piece(2, 'the end'))
    await demux.toArray()
    assert.ok(demux.complaints.length <= 4_096 && demux.complaints.endsWith('the end'))
  })

  test('refuses what no engine sends', async () => {
    const demux = new Demux()
    demux.write(piece(7, 'x'))
    await assert.rejects(demux.toArray(), /unknown stream/)
  })
})

test('the socket is the one of the settings, of the environment, or of the usual places', () => {
  assert.equal(engineSocket('/a.sock', { DOCKER_HOST: 'unix:///b.sock' }), '/a.sock')
  assert.equal(engineSocket('unix:///a.sock', {}), '/a.sock')
  assert.equal(engineSocket(null, { DOCKER_HOST: 'unix:///b.sock' }), '/b.sock')
  assert.match(engineSocket(null, { DOCKER_HOST: 'tcp://10.0.0.1:2375' }), /\.sock$/)
})

describe('the hardened container', () => {
  const { descriptor } = jobFor({ language: 'python', code: '' }).bundle
  const bodyOf = (
    egressDir: string | null,
    deps: string | null,
    runtime: string | null = null,
    isPodman = false,
  ): Record<string, unknown> => {
    const profile = profileOf(descriptor, { deps, hasEgress: egressDir !== null })
    assert.ok(profile !== null)
    return containerBody(profile, { image: 'i', runtime, terms: { isPodman, seccomp: '{}' }, uid: 20_001, labels: {}, egressDir })
  }
  const hostOf = (body: Record<string, unknown>): Record<string, unknown> => body['HostConfig'] as Record<string, unknown>

  test('has no network, no rights, no place to write but /tmp, and a limit on everything', () => {
    const body = bodyOf(null, null)
    const host = hostOf(body)
    assert.deepEqual(
      [host['NetworkMode'], host['ReadonlyRootfs'], host['CapDrop'], host['Privileged'], host['IpcMode']],
      ['none', true, ['ALL'], false, 'none'],
    )
    assert.deepEqual(host['SecurityOpt'], ['no-new-privileges', 'seccomp={}'])
    assert.equal(host['Memory'], host['MemorySwap'])
    assert.deepEqual([host['PidsLimit'], host['CpuQuota'], host['CpuPeriod']], [64, 100_000, 100_000])
    assert.match(JSON.stringify(host['Tmpfs']), /noexec,nosuid,nodev,size=16m,nr_inodes=/)
    assert.deepEqual(host['Mounts'], [])
    assert.equal(host['Binds'], undefined)
    assert.deepEqual([body['User'], body['StdinOnce'], body['OpenStdin']], ['20001:20001', false, true])
    assert.ok(!JSON.stringify(body).includes('docker.sock'))
  })

  test('mounts a way out and packages read-only, and only where they are needed', () => {
    const mounts = hostOf(bodyOf('/run/door', 'volume-1'))['Mounts'] as readonly { readonly Target: string; readonly ReadOnly: boolean }[]
    assert.deepEqual(
      mounts.map(({ Target, ReadOnly }) => [Target, ReadOnly]),
      [
        ['/deps', true],
        ['/run/egress', true],
      ],
    )
  })

  test('is told to Podman in its own words, with the same limits', () => {
    const [docker, podman] = [hostOf(bodyOf(null, null)), hostOf(bodyOf(null, null, null, true))]
    assert.doesNotMatch(JSON.stringify(podman['Tmpfs']), /nr_inodes/)
    const names = (host: Record<string, unknown>): readonly string[] =>
      (host['Ulimits'] as readonly { readonly Name: string }[]).map(({ Name }) => Name)
    assert.deepEqual(names(podman), [...names(docker), 'nproc'])
    const { Tmpfs: _tmpfs, Ulimits: _ulimits, ...rest } = docker
    assert.deepEqual({ ...podman, Tmpfs: undefined, Ulimits: undefined }, { ...rest, Tmpfs: undefined, Ulimits: undefined })
  })

  test('has its filter of system calls named to Podman by a path, and to Docker as it is', async () => {
    const [docker, podman] = [
      await termsOf({ name: () => Promise.resolve('Docker') }),
      await termsOf({ name: () => Promise.resolve('Podman') }),
    ]
    assert.deepEqual([docker.isPodman, podman.isPodman], [false, true])
    assert.deepEqual(JSON.parse(docker.seccomp), JSON.parse(readFileSync(podman.seccomp, 'utf8')))
  })

  test('leaves gVisor room for its own threads', () => {
    assert.deepEqual([hostOf(bodyOf(null, null, 'runsc'))['PidsLimit'], hostOf(bodyOf(null, null, 'runsc'))['Runtime']], [320, 'runsc'])
  })

  test('has a user that no other slot has, and that a remapped namespace has', () => {
    const uids = Array.from({ length: 64 }, (_, slot) => uidOf('some instance', slot))
    assert.equal(new Set(uids).size, 64)
    assert.ok(uids.every((uid) => uid >= 20_000 && uid < 65_536))
    assert.notEqual(uidOf('another', 0), uids[0])
  })
})
