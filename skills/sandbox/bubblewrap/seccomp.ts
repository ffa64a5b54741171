/**
 * The filter of system calls as the kernel takes it: the same allow list that containers get (`../docker/seccomp.json`, in Docker's format),
 * compiled to a classic BPF program (seccomp(2), bpf(4)). Rules it does not understand are an error, never a gap.
 */
import type { JsonObject, JsonValue } from '#contract'
import { isJsonObject } from '#contract'
import { syscallNumbers } from './syscalls.ts'

export type Machine = 'x64' | 'arm64'

type Instruction = readonly [code: number, jumpIf: number, jumpElse: number, value: number]

const LOAD = 0x20
const AND = 0x54
const JUMP_EQUAL = 0x15
const JUMP_AT_LEAST = 0x35
const RETURN = 0x06
const ALLOW = 0x7fff_0000
const KILL_PROCESS = 0x8000_0000
const REFUSE = 0x0005_0000
const EPERM = 1
/** `struct seccomp_data`: nr, arch, instruction pointer, six arguments of 64 bits. */
const AT_NUMBER = 0
const AT_ARCH = 4
const AT_ARGUMENTS = 16
const ARCH: { readonly [machine in Machine]: number } = { x64: 0xc000_003e, arm64: 0xc000_00b7 }
/** On x86_64, numbers from here on belong to another calling convention, with numbers of its own. */
const X32 = 0x4000_0000

/** @throws TypeError when the profile says something that is not understood */
export function compileSeccomp(profile: JsonObject, machine: Machine): Buffer {
  if (profile['defaultAction'] !== 'SCMP_ACT_ERRNO') throw new TypeError('a profile that does not refuse by default')
  const numbers = syscallNumbers(machine)
  const program: Instruction[] = [
    [LOAD, 0, 0, AT_ARCH],
    [JUMP_EQUAL, 1, 0, ARCH[machine]],
    [RETURN, 0, 0, KILL_PROCESS],
    [LOAD, 0, 0, AT_NUMBER],
    ...(machine === 'x64'
      ? ([
          [JUMP_AT_LEAST, 0, 1, X32],
          [RETURN, 0, 0, REFUSE | EPERM],
        ] satisfies Instruction[])
      : []),
  ]
  const allowed: number[] = []
  const special: Instruction[] = []
  for (const rule of list(profile['syscalls'])) {
    const action = actionOf(rule)
    const conditions = list(rule['args'] ?? []).map(condition)
    for (const name of strings(rule['names'])) {
      const number = numbers[name]
      if (number === undefined) continue
      if (conditions.length === 0 && action === ALLOW) allowed.push(number)
      else special.push(...guarded(number, conditions, action))
    }
  }
  program.push(...ranges(allowed), ...special, [RETURN, 0, 0, REFUSE | EPERM])
  const bytes = Buffer.alloc(program.length * 8)
  for (const [at, [code, jumpIf, jumpElse, value]] of program.entries()) {
    bytes.writeUInt16LE(code, at * 8)
    bytes.writeUInt8(jumpIf, at * 8 + 2)
    bytes.writeUInt8(jumpElse, at * 8 + 3)
    bytes.writeUInt32LE(value >>> 0, at * 8 + 4)
  }
  return bytes
}

/** Neighbouring numbers in one comparison. */
function ranges(numbers: readonly number[]): Instruction[] {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b)
  const firsts = sorted.filter((number, at) => sorted[at - 1] !== number - 1)
  return firsts.flatMap((first, at): Instruction[] => {
    const last = sorted.findLast((number) => number < (firsts[at + 1] ?? Infinity)) ?? first
    return [
      [JUMP_AT_LEAST, 0, 2, first],
      [JUMP_AT_LEAST, 1, 0, last + 1],
      [RETURN, 0, 0, ALLOW],
    ]
  })
}

/** All conditions hold: the action. Otherwise on to the next rule, with the number loaded again. */
function guarded(number: number, conditions: readonly (readonly Instruction[])[], action: number): Instruction[] {
  const body = conditions.flat()
  // After the body: the action, then the load of the number.
  const checks = body.map(([code, jumpIf, jumpElse, value], at): Instruction => {
    return code === JUMP_EQUAL ? [code, 0, body.length - at, value] : [code, jumpIf, jumpElse, value]
  })
  return [[JUMP_EQUAL, 0, body.length + 2, number], ...checks, [RETURN, 0, 0, action], [LOAD, 0, 0, AT_NUMBER]]
}

function condition(rule: JsonObject): Instruction[] {
  const { index, op } = rule
  const value = unsigned(rule['value'])
  const two = unsigned(rule['valueTwo'] ?? 0)
  if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index > 5)
    throw new TypeError('an argument that is none of six')
  const low = AT_ARGUMENTS + 8 * index
  const equal = (at: number, wanted: number): Instruction[] => [
    [LOAD, 0, 0, at],
    [JUMP_EQUAL, 0, 0, wanted],
  ]
  if (op === 'SCMP_CMP_EQ') return [...equal(low, value), ...equal(low + 4, 0)]
  if (op === 'SCMP_CMP_MASKED_EQ')
    return [
      [LOAD, 0, 0, low],
      [AND, 0, 0, value],
      [JUMP_EQUAL, 0, 0, two],
    ]
  throw new TypeError(`the comparison ${JSON.stringify(op)} is not understood`)
}

function actionOf(rule: JsonObject): number {
  const { action, errnoRet } = rule
  if (rule['includes'] !== undefined || rule['excludes'] !== undefined) throw new TypeError('a rule with conditions of its own')
  if (action === 'SCMP_ACT_ALLOW') return ALLOW
  if (action === 'SCMP_ACT_ERRNO') return REFUSE | unsigned(errnoRet ?? EPERM)
  throw new TypeError(`the action ${JSON.stringify(action)} is not understood`)
}

function list(value: JsonValue | undefined): readonly JsonObject[] {
  if (!Array.isArray(value) || !value.every((each) => isJsonObject(each))) throw new TypeError('a profile without rules')
  return value
}

function strings(value: JsonValue | undefined): readonly string[] {
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string')) throw new TypeError('a rule without names')
  return value
}

function unsigned(value: JsonValue | undefined): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw new TypeError('a value beyond 32 bits')
  return value
}
