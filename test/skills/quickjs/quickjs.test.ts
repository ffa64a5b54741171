import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { DeniedError } from '#contract'
import type { JsonValue, SkillEvent, SkillOutcome } from '#contract'
import type { EgressFetch } from '../../../skills/egress/egress.ts'
import { QuickJsSandbox } from '../../../skills/sandbox/quickjs/quickjs.ts'
import { scriptJob } from '../../support/javascript.ts'
import { realClock } from '../../support/real-clock.ts'
import type { JobOptions } from '../../support/javascript.ts'
import { quietLog } from '../../support/quiet-log.ts'

/** The way out as a test has it: `allowed.test` is the server of the test, everything else is denied. */
const asked: { readonly url: string; readonly method: string }[] = []
const server = createServer((request, response) => {
  if (request.url === '/never') return
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    response.setHeader('content-type', 'application/json')
    response.statusCode = request.url === '/teapot' ? 418 : 200
    response.end(
      JSON.stringify({ method: request.method, body: Buffer.concat(chunks).toString(), token: request.headers['x-token'] ?? null }),
    )
  })
})
const listening = new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const way: EgressFetch = async (request) => {
  asked.push({ url: request.url, method: request.method })
  const url = new URL(request.url)
  if (url.hostname !== 'allowed.test')
    throw new DeniedError(`${url.hostname} is not among the hosts of the skill.`, { code: 'EGRESS_DENIED', reason: 'forbidden' })
  await listening
  const { port } = server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}${url.pathname}`, {
    method: request.method,
    headers: request.headers,
    signal: request.signal,
    ...(request.body === null ? {} : { body: Buffer.from(request.body) }),
  })
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: new Uint8Array(await answer.arrayBuffer()) }
}

const sandbox = new QuickJsSandbox({ clock: realClock, log: quietLog, fetch: way })
after(async () => {
  await sandbox.stop()
  server.closeAllConnections()
  server.close()
})

async function outcomeOf(code: string, options?: JobOptions): Promise<SkillOutcome> {
  return (await sandbox.run(scriptJob(code, options))).outcome
}

async function output(code: string, options?: JobOptions): Promise<JsonValue> {
  const outcome = await outcomeOf(code, options)
  assert.equal(outcome.status, 'ok', JSON.stringify(outcome))
  return outcome.status === 'ok' ? outcome.output : null
}

async function failure(code: string, options?: JobOptions): Promise<string> {
  const outcome = await outcomeOf(code, options)
  return outcome.status === 'error' ? `${outcome.code}: ${outcome.message}` : JSON.stringify(outcome.output)
}

describe('a JavaScript skill', () => {
  test('answers with what run() returns, and tells its times', async () => {
    const ended = await sandbox.run(scriptJob('export const run = ({ n }) => ({ n: n + 1 })', { input: { n: 1 } }))
    assert.equal(ended.hasStarted, true)
    assert.deepEqual(ended.outcome.status === 'ok' && ended.outcome.output, { n: 2 })
    assert.ok(ended.outcome.times !== undefined && Object.values(ended.outcome.times).every((ms) => ms >= 0))
  })
  test('may be asynchronous, and of several files', async () => {
    const files = {
      'lib/twice.mjs': 'import { by } from "../by.json.js"; export const twice = (n) => n * by',
      'by.json.js': 'import by from "./lib/by.json"; export { by }',
      'lib/by.json': '2',
    }
    const code = 'import { twice } from "./lib/twice.mjs"\nexport async function run({ n }) { await null; return twice(n) }'
    assert.equal(await output(code, { files, input: { n: 21 } }), 42)
  })
  test('has its key, its secrets and a signal, and what it prints is a log', async () => {
    const events: SkillEvent[] = []
    const code = `export function run(input, ctx) {
      console.log('out', { a: 1 }); console.error(new TypeError('err')); ctx.log('own')
      ctx.progress({ done: 1 })
      return [ctx.key, ctx.secrets, ctx.signal.aborted]
    }`
    assert.deepEqual(await output(code, { secrets: { TOKEN: 's3' }, tell: (event) => events.push(event) }), [
      'key-1',
      { TOKEN: 's3' },
      false,
    ])
    const told = (stream: string): string =>
      events.flatMap((event) => (event.is === 'log' && event.stream === stream ? [event.text] : [])).join('')
    assert.equal(told('stdout'), 'out {"a":1}\n')
    assert.match(told('stderr'), /^TypeError: err\n +at run \(main.js:2/)
    assert.equal(told('log'), 'own\n')
    assert.deepEqual(
      events.filter(({ is }) => is === 'progress'),
      [{ is: 'progress', data: { done: 1 } }],
    )
    assert.deepEqual(events[0], { is: 'started' })
  })
  test('calls another skill, and is told how that failed', async () => {
    const call = (skill: string, input: JsonValue): Promise<SkillOutcome> =>
      Promise.resolve(
        skill === 'other' ? { status: 'ok', output: { was: input } } : { status: 'error', code: 'not_found', message: `no ${skill}` },
      )
    const code = `export async function run(input, ctx) {
      const failed = await ctx.call('none', {}).catch((error) => [error instanceof Error, error.code, error.message])
      return [await ctx.call('other', { n: 1 }), failed]
    }`
    assert.deepEqual(await output(code, { call }), [{ was: { n: 1 } }, [true, 'not_found', 'no none']])
  })
  test('says what it lacks when it cannot be loaded', async () => {
    assert.match(await failure('export const x = 1'), /^crashed: TypeError: main.js has to export a function run\(input, ctx\)/)
    assert.match(await failure('export const run = ('), /^crashed: SyntaxError: .* \(main.js:1:21\)/)
    assert.match(
      await failure('import fs from "node:fs"; export const run = () => 1'),
      /^crashed: .*only files of the skill can be imported/,
    )
    assert.match(await failure('import "./no.js"; export const run = () => 1'), /^crashed: .*there is no file "\.\/no\.js" in the skill/)
    assert.match(
      await failure('export const run = () => { null.x }'),
      /^crashed: TypeError: cannot read property 'x' of null \(main.js:1:\d+\)/,
    )
    assert.equal(await failure('export const run = () => Promise.reject("no")'), 'crashed: threw no')
  })
  test('that waits for nothing is told so at once', async () => {
    assert.equal(
      await failure('export const run = () => new Promise(() => {})', { timeoutMs: 60_000 }),
      'crashed: run() waits for a promise that nothing will settle',
    )
  })
  test('that computes beyond its time is told where it was', async () => {
    const logged: string[] = []
    const tell = (event: SkillEvent): void => {
      if (event.is === 'log') logged.push(event.text)
    }
    assert.equal(await failure('export const run = () => { for (;;); }', { timeoutMs: 100, tell }), 'timeout: it took longer than 100 ms')
    assert.match(logged.join(''), /interrupted \(main\.js:1:\d+\)\n +at run/)
  })
  test('sees nothing of the call before, and breaks only its own world', async () => {
    const spoil = `Object.prototype.polluted = 1; Array.prototype.map = null; JSON.stringify = () => '"forged"'; Promise.prototype.then = null
      export const run = () => { globalThis.left = 1; return { __proto__: null, ['__proto__']: { polluted: 2 } } }`
    await outcomeOf(spoil)
    assert.deepEqual(await output('export const run = () => [typeof left, typeof {}.polluted, typeof [].map]'), [
      'undefined',
      'undefined',
      'function',
    ])
    assert.ok(!('polluted' in {}))
  })
})

describe('a lease', () => {
  const code = `export async function run(input, ctx) {
    const found = [typeof left, typeof {}.polluted, Array.prototype.includes === null, ctx.secrets.TOKEN ?? null]
    globalThis.left = new Uint8Array(1000).fill(7)
    Object.prototype.polluted = 1
    Array.prototype.includes = null
    new FinalizationRegistry(() => {}).register({}, 1)
    globalThis.pending = [new Promise(() => {}), ctx.call('other', {}).then(() => {}, () => {})]
    return found
  }`
  for (const grade of ['fresh', 'lease', 'resident'] as const) {
    test(`leaves nothing for the next call, whatever the grade: ${grade}`, async () => {
      for (let n = 0; n < 120; n++) {
        assert.deepEqual(await output(code, { grade, secrets: { TOKEN: String(n % 2) } }), ['undefined', 'undefined', false, String(n % 2)])
      }
    })
  }
  test('is of one tenant, so calls of many do no harm to each other', async () => {
    const tenants = Array.from({ length: 30 }, (_, n) => output(code, { tenant: `t${n % 4}`, secrets: { TOKEN: String(n % 5) } }))
    assert.deepEqual(
      (await Promise.all(tenants)).map((found) => JSON.stringify(found)),
      Array.from({ length: 30 }, (_, n) => `["undefined","undefined",false,"${n % 5}"]`),
    )
  })
})

describe('what is no JSON', () => {
  const cases: readonly (readonly [what: string, code: string, said: RegExp])[] = [
    ['NaN', 'export const run = () => ({ a: 0 / 0 })', /"a" is NaN/],
    ['Infinity', 'export const run = () => 1 / 0', /Infinity/],
    ['a BigInt', 'export const run = () => 1n', /BigInt/],
    ['a cycle', 'export const run = () => { const a = {}; a.a = a; return a }', /circular/],
    ['nothing', 'export const run = () => {}', /run\(\) returned is undefined/],
    ['a function', 'export const run = () => run', /function/],
    ['a getter that throws', 'export const run = () => ({ get a() { throw new Error("mine") } })', /mine/],
    ['a toJSON that throws', 'export const run = () => ({ toJSON() { throw 1 } })', /threw 1/],
    [
      'what is nested beyond reason',
      'export const run = () => { let a = []; for (let i = 0; i < 500; i++) a = [a]; return a }',
      /nested too deeply/,
    ],
  ]
  for (const [what, code, said] of cases) {
    test(`is refused as output: ${what}`, async () => {
      const told = await failure(code)
      assert.match(told, /^invalid_output: /)
      assert.match(told, said)
    })
  }
  test('is not read into a prototype', async () => {
    const given: JsonValue = JSON.parse('{"__proto__":{"polluted":1}}')
    assert.deepEqual(await output('export const run = (input) => [typeof {}.polluted, Object.keys(input)]', { input: given }), [
      'undefined',
      ['__proto__'],
    ])
  })
})

describe('an escape', () => {
  const node = [
    'process',
    'require',
    'module',
    'Buffer',
    'fetch',
    'setTimeout',
    'queueMicrotask',
    'WebAssembly',
    'Atomics',
    'performance',
    'structuredClone',
    'postMessage',
    'global',
    'std',
    'os',
    'scriptArgs',
  ]
  test('finds none of the host by constructor chains', async () => {
    const code = `export function run(input, ctx) {
      const found = []
      const roots = [run, ctx, ctx.call, ctx.log, ctx.fetch, ctx.signal, ctx.secrets, console.log, input, Promise, (async () => {}), (function* () {}), Object.getOwnPropertyDescriptor(ctx.signal, 'aborted').get]
      try { null.x } catch (error) { roots.push(error) }
      try { ctx.progress(1n) } catch (error) { roots.push(error) }
      for (const root of roots) {
        let at = root
        for (let depth = 0; depth < 4 && at; depth++) {
          try { const there = at.constructor.constructor('return globalThis')(); if (there !== globalThis) found.push('another realm') } catch {}
          at = at.constructor
        }
      }
      const all = (0, eval)('this')
      if (all !== globalThis) found.push('another global')
      for (const name of input.names) if (name in globalThis || Function('return typeof ' + name)() !== 'undefined') found.push(name)
      return found
    }`
    assert.deepEqual(await output(code, { input: { names: node } }), [])
  })
  test('by an error of the host is closed', async () => {
    const code = `export async function run(input, ctx) {
      const refused = await ctx.fetch('http://x').catch((error) => error)
      return [Object.getPrototypeOf(refused) === Error.prototype, /thread|node_modules|\\.ts/.test(String(refused.stack))]
    }`
    assert.deepEqual(await output(code), [true, false])
  })
})

describe('ctx.fetch', () => {
  const egress = ['allowed.test:80']
  test('brings what a declared host answers', async () => {
    const code = `export async function run(input, ctx) {
      const posted = await ctx.fetch('http://allowed.test/a', { method: 'post', headers: { 'x-token': 't' }, body: 'hello' })
      const { status } = await ctx.fetch('http://allowed.test/teapot')
      return [posted.status, posted.headers['content-type'], posted.json(), typeof posted.text, status]
    }`
    assert.deepEqual(await output(code, { egress }), [
      200,
      'application/json',
      { method: 'POST', body: 'hello', token: 't' },
      'string',
      418,
    ])
  })
  test('that is denied is an error the skill can handle, and what the run failed of when it does not', async () => {
    const handled = 'export const run = (input, ctx) => ctx.fetch("http://other.test/").catch(({ message, code }) => [message, code])'
    assert.deepEqual(await output(handled, { egress }), ['other.test is not among the hosts of the skill.', 'egress_denied'])
    assert.match(
      await failure('export const run = (input, ctx) => ctx.fetch("http://other.test/")', { egress }),
      /^egress_denied: other\.test is not among/,
    )
    let told = ''
    const tell = (event: SkillEvent): void => void (told += event.is === 'log' && event.stream === 'log' ? event.text : '')
    const often = handled.replace('ctx.fetch', 'ctx.fetch("http://other.test/").catch(() => {}) && ctx.fetch')
    assert.deepEqual(await output(often, { egress, tell }), ['other.test is not among the hosts of the skill.', 'egress_denied'])
    assert.equal(told, 'egress: other.test is not among the hosts of the skill.\negress: It was denied 2 times in all.\n')
  })
  test('is not there for a skill that declares no host, and nothing goes out', async () => {
    const before = asked.length
    assert.match(await failure('export const run = (input, ctx) => ctx.fetch("http://allowed.test/")'), /^crashed: .*names any/)
    assert.equal(asked.length, before)
  })
  test('is good for twenty requests a run', async () => {
    const code = `export async function run(input, ctx) {
      let done = 0
      try { for (;;) { await ctx.fetch('http://allowed.test/'); done++ } } catch (error) { return [done, error.message] }
    }`
    assert.deepEqual(await output(code, { egress, timeoutMs: 20_000 }), [20, 'more than 20 uses of ctx.fetch in one run'])
  })
  test('that hangs ends with the run', async () => {
    assert.match(
      await failure('export const run = (input, ctx) => ctx.fetch("http://allowed.test/never")', { egress, timeoutMs: 150 }),
      /^timeout: /,
    )
  })
})

describe('a run that is cancelled', () => {
  test('ends while it computes, after it had time to look at its signal', async () => {
    const stop = new AbortController()
    const tell = (event: SkillEvent): void => {
      if (event.is === 'progress') stop.abort()
    }
    const code = `export function run(input, ctx) {
      ctx.progress(1)
      while (!ctx.signal.aborted);
      ctx.log('seen')
      return 1
    }`
    const logged: string[] = []
    const outcome = await outcomeOf(code, {
      signal: stop.signal,
      timeoutMs: 20_000,
      tell: (event) => (event.is === 'log' ? logged.push(event.text) : tell(event)),
    })
    assert.equal(outcome.status === 'error' && outcome.code, 'cancelled')
    assert.deepEqual(logged, ['seen\n'])
  })
  test('ends at once while it waits', async () => {
    const stop = new AbortController()
    const call = (): Promise<SkillOutcome> => {
      stop.abort()
      return new Promise(() => {})
    }
    const began = Date.now()
    assert.match(
      await failure('export const run = (input, ctx) => ctx.call("other", {})', { signal: stop.signal, call, timeoutMs: 60_000 }),
      /^cancelled/,
    )
    // And not when its time is over.
    assert.ok(Date.now() - began < 30_000)
  })
  test('before it began runs nothing', async () => {
    const ended = await sandbox.run(scriptJob('export const run = () => 1', { signal: AbortSignal.abort() }))
    assert.equal(ended.hasStarted, false)
    assert.equal(ended.outcome.status === 'error' && ended.outcome.code, 'cancelled')
  })
})

describe('the threads', () => {
  test('are few: who finds none waits in order, and not for ever', async () => {
    const small = new QuickJsSandbox({
      clock: realClock,
      log: quietLog,
      fetch: null,
      limits: { maxThreads: 1, maxQueued: 2, queueMs: 5_000 },
    })
    try {
      const spin = 'export const run = ({ ms }) => { const end = Date.now() + ms; while (Date.now() < end); return 1 }'
      const ended: string[] = []
      const runs = ['a', 'b', 'c', 'd'].map(async (name) => {
        const { outcome, hasStarted } = await small.run(scriptJob(spin, { input: { ms: 50 } }))
        ended.push(`${name} ${outcome.status === 'ok' ? 'ok' : outcome.code} ${hasStarted}`)
      })
      await Promise.all(runs)
      assert.deepEqual(ended, ['d busy false', 'a ok true', 'b ok true', 'c ok true'])
      assert.equal((await small.report()).facts['threads'], 1)
    } finally {
      await small.stop()
    }
  })
  test('of a skill that waits for another make room for that one', async () => {
    const small = new QuickJsSandbox({ clock: realClock, log: quietLog, fetch: null, limits: { maxThreads: 1 } })
    try {
      const inner = async (): Promise<SkillOutcome> => (await small.run(scriptJob('export const run = () => "inner"'))).outcome
      const { outcome } = await small.run(
        scriptJob('export const run = (input, ctx) => ctx.call("inner", {})', { call: inner, timeoutMs: 10_000 }),
      )
      assert.equal(outcome.status === 'ok' && outcome.output, 'inner')
    } finally {
      await small.stop()
    }
  })
  test('end with the sandbox, and what ran in them is cancelled', async () => {
    const small = new QuickJsSandbox({ clock: realClock, log: quietLog, fetch: null })
    const started = Promise.withResolvers<void>()
    const running = small.run(scriptJob('export const run = () => { for (;;); }', { timeoutMs: 60_000, tell: () => started.resolve() }))
    await started.promise
    await small.stop()
    await small.stop()
    const { outcome } = await running
    assert.equal(outcome.status === 'error' && outcome.code, 'cancelled')
    const late = await small.run(scriptJob('export const run = () => 1'))
    assert.equal(late.hasStarted, false)
  })
})
