import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { SkillErrorCode, SkillEvent } from '#contract'
import { QuickJsSandbox } from '../../../skills/sandbox/quickjs/quickjs.ts'
import { scriptJob } from '../../support/javascript.ts'
import { realClock } from '../../support/real-clock.ts'
import type { JobOptions } from '../../support/javascript.ts'
import { quietLog } from '../../support/quiet-log.ts'

const sandbox = new QuickJsSandbox({ clock: realClock, log: quietLog, fetch: null, limits: { maxThreads: 2 } })
after(() => sandbox.stop())

/** After the deadline: 200 ms of patience, ending the thread, and a busy machine. */
const OVERSHOOT_MS = 10_000

interface Attack {
  readonly what: string
  readonly code: string
  readonly ends: readonly SkillErrorCode[]
  readonly options?: JobOptions
}

const run = (body: string): string => `export function run(input, ctx) { ${body} }`
const attacks: readonly Attack[] = [
  { what: 'an endless loop', code: run('for (;;);'), ends: ['timeout'] },
  {
    what: 'a loop that catches its interruption',
    code: run('for (;;) try { for (;;); } catch {} finally { continue }'),
    ends: ['timeout'],
  },
  { what: 'a loop while it is loaded', code: 'for (;;);', ends: ['timeout'] },
  { what: 'an endless generator', code: run('const g = (function* () { for (;;) yield 1 })(); for (const x of g);'), ends: ['timeout'] },
  { what: 'a flood of microtasks', code: 'export async function run() { for (;;) await null }', ends: ['timeout'] },
  {
    what: 'a multiplying flood of microtasks',
    code: run('const f = () => { Promise.resolve().then(f); Promise.resolve().then(f) }; f(); return new Promise(() => {})'),
    ends: ['timeout', 'oom', 'crashed'],
  },
  { what: 'a promise that nothing settles', code: run('return new Promise(() => {})'), ends: ['crashed'] },
  { what: 'a thenable that never ends', code: run('return { then() { for (;;); } }'), ends: ['timeout'] },
  {
    what: 'a memory bomb of objects',
    code: run('const a = []; for (;;) a.push({ a: [1, 2, 3] })'),
    ends: ['oom', 'timeout'],
    options: { memoryMb: 16, timeoutMs: 10_000 },
  },
  {
    what: 'a memory bomb that stays reachable',
    code: run('globalThis.a = []; for (;;) a.push({ a: [1, 2, 3] })'),
    ends: ['oom', 'timeout'],
    options: { memoryMb: 16, timeoutMs: 10_000 },
  },
  {
    what: 'a bomb of typed arrays',
    code: run('globalThis.a = []; for (;;) a.push(new Uint8Array(1 << 20))'),
    ends: ['oom'],
    options: { memoryMb: 32, timeoutMs: 10_000 },
  },
  { what: 'one typed array beyond everything', code: run('return new Uint8Array(2 ** 31 - 1).length'), ends: ['oom', 'crashed'] },
  { what: 'a string that doubles', code: run('let s = "x"; for (;;) s += s'), ends: ['oom', 'crashed'] },
  {
    what: 'a bomb that catches its own failures',
    code: run('globalThis.a = []; for (;;) try { for (;;) a.push(new Uint8Array(1 << 20)) } catch {}'),
    ends: ['timeout', 'oom'],
    options: { memoryMb: 32 },
  },
  { what: 'native code that does not look up', code: run('return new Array(2 ** 31).join("ab")'), ends: ['timeout', 'oom'] },
  { what: 'a number without end', code: run('let n = 3n; for (;;) n *= n'), ends: ['timeout', 'oom', 'crashed'] },
  { what: 'a stack bomb', code: run('return run()'), ends: ['crashed'] },
  {
    what: 'a stack bomb through finally',
    code: 'function f() { try { f() } finally { f() } }\nexport const run = f',
    ends: ['timeout', 'crashed'],
  },
  {
    what: 'a stack bomb in native code',
    code: run('let a = []; for (let i = 0; i < 100000; i++) a = [a]; return String(a)'),
    ends: ['crashed', 'timeout'],
  },
  { what: 'a stack bomb for the reader of JSON', code: run('return JSON.parse("[".repeat(500000))'), ends: ['crashed'] },
  {
    what: 'a bomb of nested output',
    code: run('let a = []; for (let i = 0; i < 200000; i++) a = [a]; return a'),
    ends: ['invalid_output', 'crashed', 'timeout'],
  },
  { what: 'a regular expression bomb', code: run('return /^(a+)+$/.test("a".repeat(60) + "b")'), ends: ['timeout'] },
  { what: 'a proxy that answers itself', code: run('const p = new Proxy({}, { get: (t, k, r) => r[k] }); return p.x'), ends: ['crashed'] },
  { what: 'too large an output', code: run('return "x".repeat(1 << 21)'), ends: ['output_limit'], options: { timeoutMs: 10_000 } },
  {
    what: 'a flood of log',
    code: run('const line = "x".repeat(4096); for (;;) console.log(line)'),
    ends: ['output_limit'],
    options: { timeoutMs: 10_000 },
  },
  { what: 'a flood of single letters', code: run('for (;;) ctx.log("")'), ends: ['timeout', 'output_limit'] },
  {
    what: 'one line beyond everything',
    code: run('ctx.log("x".repeat(1 << 24)); for (;;);'),
    ends: ['output_limit', 'timeout'],
    options: { timeoutMs: 10_000 },
  },
  { what: 'a flood of progress', code: run('for (let n = 0; ; n++) ctx.progress(n)'), ends: ['timeout'] },
  { what: 'progress beyond its bound', code: run('ctx.progress("x".repeat(20000))'), ends: ['crashed'] },
  {
    what: 'a flood of calls',
    code: 'export async function run(input, ctx) { const all = []; for (;;) all.push(ctx.call("other", {})); }',
    ends: ['timeout', 'oom'],
  },
  {
    what: 'calls one after another without end',
    code: 'export async function run(input, ctx) { for (;;) await ctx.call("other", {}) }',
    ends: ['crashed'],
    options: { call: () => Promise.resolve({ status: 'ok', output: 1 }), timeoutMs: 10_000 },
  },
  {
    what: 'an error that cannot be shown',
    code: run('throw { get name() { for (;;); }, toString() { throw this } }'),
    ends: ['crashed', 'timeout'],
  },
  {
    what: 'an error with getters',
    code: run('const e = new Error("x"); Object.defineProperty(e, "stack", { get() { for (;;); } }); throw e'),
    ends: ['timeout'],
  },
  {
    what: 'an import that imports itself',
    code: 'import { run as other } from "./main.js"\nexport const run = () => other()',
    ends: ['crashed'],
  },
  {
    what: 'imports without end',
    code: 'export async function run() { for (let n = 0; ; n++) await import("./no" + n + ".js").catch(() => {}) }',
    ends: ['timeout', 'oom'],
  },
]

describe('a hostile JavaScript skill', () => {
  for (const { what, code, ends, options } of attacks) {
    test(`is held: ${what}`, async () => {
      const events: SkillEvent[] = []
      const timeoutMs = options?.timeoutMs ?? 400
      const before = process.memoryUsage.rss()
      const began = performance.now()
      const { outcome } = await sandbox.run(scriptJob(code, { ...options, timeoutMs, tell: (event) => events.push(event) }))
      const took = performance.now() - began
      assert.ok(outcome.status === 'error' && ends.includes(outcome.code), JSON.stringify(outcome).slice(0, 300))
      assert.ok(outcome.message.length <= 501)
      assert.ok((outcome.times?.runMs ?? 0) <= timeoutMs + OVERSHOOT_MS && took < timeoutMs + OVERSHOOT_MS + 3_000, `it took ${took} ms`)
      assert.ok(process.memoryUsage.rss() - before < 256 * 1_048_576, 'the gateway grew')
      const logged = events.reduce((sum, event) => sum + (event.is === 'log' ? event.text.length : 0), 0)
      assert.ok(logged <= 3 * 65_536 + 200, `${logged} letters of log`)
      assert.ok(events.filter(({ is }) => is === 'progress').length <= 12 + took / 100)
      const next = await sandbox.run(scriptJob('export const run = () => Object.keys(globalThis)'))
      assert.deepEqual(next.outcome.status === 'ok' && next.outcome.output, ['console'])
    })
  }
  test('holds nobody else up', async () => {
    const bombs = ['for (;;);', 'globalThis.a = []; for (;;) try { for (;;) a.push(new Uint8Array(1 << 20)) } catch {}'].map((body) =>
      sandbox.run(scriptJob(run(body), { timeoutMs: 500, memoryMb: 32 })),
    )
    const others = Array.from({ length: 10 }, (_, n) => sandbox.run(scriptJob('export const run = ({ n }) => n', { input: { n } })))
    const outcomes = await Promise.all(others)
    assert.deepEqual(
      outcomes.map(({ outcome }) => outcome.status === 'ok' && outcome.output),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
    for (const { outcome } of await Promise.all(bombs)) assert.equal(outcome.status, 'error')
  })
})

describe('without its defences', () => {
  test('the same code gets what it wants: a loop of bounded length runs to its end', async () => {
    const { outcome } = await sandbox.run(scriptJob(run('let n = 0; while (n < 1e5) n++; return n')))
    assert.equal(outcome.status === 'ok' && outcome.output, 100_000)
  })
  test('the same code gets what it wants: memory within its bound is given', async () => {
    const code = run('const a = []; for (let n = 0; n < 48; n++) a.push(new Uint8Array(1 << 20)); return a.length')
    const { outcome } = await sandbox.run(scriptJob(code, { memoryMb: 64, timeoutMs: 10_000 }))
    assert.equal(outcome.status === 'ok' && outcome.output, 48)
    const { outcome: less } = await sandbox.run(scriptJob(code, { memoryMb: 32, timeoutMs: 10_000 }))
    assert.equal(less.status === 'error' && less.code, 'oom')
  })
})
