/** The small parts of Docker sandboxes that need no engine: the breaker, the demultiplexer, the socket's place, the hardened body. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Breaker } from '../../../skills/sandbox/docker/breaker.ts'
import { Demux } from '../../../skills/sandbox/docker/demux.ts'
import { EngineAway, EngineRefusal } from '../../../skills/sandbox/docker/engine.ts'
import { containerBody, profileOf, uidOf } from '../../../skills/sandbox/docker/profile.ts'
import { engineSocket } from '../../../skills/sandbox/docker/socket.ts'
import { jobFor } from '../../support/container.ts'
import { FakeClock } from '../../support/fake-clock.ts'

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
  const bodyOf = (egressDir: string | null, deps: string | null, runtime: string | null = null): Record<string, unknown> => {
    const profile = profileOf(descriptor, { deps, hasEgress: egressDir !== null })
    assert.ok(profile !== null)
    return containerBody(profile, { image: 'i', runtime, seccomp: '{}', uid: 20_001, labels: {}, egressDir })
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
