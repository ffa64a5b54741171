import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { JsonObject } from '#contract'
import { compileSeccomp } from '../../../skills/sandbox/bubblewrap/seccomp.ts'
import { syscallNumbers } from '../../../skills/sandbox/bubblewrap/syscalls.ts'

const profile = JSON.parse(readFileSync(join(import.meta.dirname, '../../../skills/sandbox/docker/seccomp.json'), 'utf8')) as JsonObject
const ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 }

/** Runs a program as the kernel would, over one call. */
function verdict(program: Buffer, arch: number, number: number, args: readonly bigint[] = []): string {
  const data = Buffer.alloc(64)
  data.writeUInt32LE(number, 0)
  data.writeUInt32LE(arch, 4)
  for (const [at, value] of args.entries()) data.writeBigUInt64LE(value, 16 + at * 8)
  let held = 0
  for (let at = 0; at < program.length / 8; at += 1) {
    const code = program.readUInt16LE(at * 8)
    const value = program.readUInt32LE(at * 8 + 4)
    const jump = (holds: boolean): number => program.readUInt8(at * 8 + (holds ? 2 : 3))
    if (code === 0x20) held = data.readUInt32LE(value)
    else if (code === 0x54) held = (held & value) >>> 0
    else if (code === 0x15) at += jump(held === value)
    else if (code === 0x35) at += jump(held >= value)
    else if (code === 0x06) return value === 0x7fff0000 ? 'allow' : value === 0x80000000 ? 'kill' : `errno ${value & 0xffff}`
    else throw new Error(`instruction ${code}`)
  }
  throw new Error('it runs off its end')
}

for (const machine of ['x64', 'arm64'] as const) {
  describe(`the filter for ${machine}`, () => {
    const program = compileSeccomp(profile, machine)
    const numbers = syscallNumbers(machine)
    const judge = (name: string, ...args: readonly bigint[]): string => {
      const number = numbers[name]
      assert.ok(number !== undefined, name)
      return verdict(program, ARCH[machine], number, args)
    }

    test('allows every call that the list allows, and no other number', () => {
      const rules = profile['syscalls'] as readonly { names: readonly string[]; args?: unknown; action: string }[]
      const plain = new Set(
        rules.filter(({ args, action }) => args === undefined && action === 'SCMP_ACT_ALLOW').flatMap(({ names }) => names),
      )
      const allowed = new Set([...plain].map((name) => numbers[name]).filter((number) => number !== undefined))
      assert.ok(allowed.size > 150)
      const judgedByArguments = new Set(['clone', 'clone3', 'socket', 'personality', 'mknod', 'mknodat'].map((name) => numbers[name]))
      for (let number = 0; number < 600; number += 1) {
        if (judgedByArguments.has(number)) continue
        assert.equal(verdict(program, ARCH[machine], number), allowed.has(number) ? 'allow' : 'errno 1', String(number))
      }
    })

    test('looks at arguments where the list does', () => {
      assert.deepEqual(
        [1n, 2n, 10n, 16n].map((family) => judge('socket', family)),
        ['allow', 'allow', 'allow', 'allow'],
      )
      // AF_ALG, AF_PACKET, AF_VSOCK; and AF_UNIX with something in the upper half.
      assert.deepEqual(
        [38n, 17n, 40n, 0x1_0000_0001n].map((family) => judge('socket', family)),
        Array(4).fill('errno 1'),
      )
      assert.equal(judge('clone', 0x11n), 'allow')
      assert.equal(judge('clone', 0x1000_0011n), 'errno 1', 'a new user namespace')
      assert.equal(judge('clone3'), 'errno 38')
      assert.equal(judge('personality', 0n), 'allow')
      assert.equal(judge('personality', 0x20000n), 'errno 1')
    })

    test('kills what comes by another convention', () => {
      assert.equal(verdict(program, 0x40000003, 0), 'kill')
      if (machine === 'x64') assert.equal(verdict(program, ARCH.x64, 0x40000000), 'errno 1')
    })
  })
}

test('a profile that is not understood is no filter', () => {
  const rule = { names: ['read'], action: 'SCMP_ACT_ALLOW' }
  for (const bad of [
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [rule] },
    { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ ...rule, action: 'SCMP_ACT_TRACE' }] },
    { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ ...rule, args: [{ index: 0, value: 1, op: 'SCMP_CMP_GT' }] }] },
    { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ ...rule, includes: { caps: ['CAP_SYS_ADMIN'] } }] },
    { defaultAction: 'SCMP_ACT_ERRNO' },
  ]) {
    assert.throws(() => compileSeccomp(bad, 'x64'), TypeError)
  }
})
