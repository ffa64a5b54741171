import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { textOf } from '#contract'
import type { JsonObject, SkillOutcome } from '#contract'
import { Cell } from '../../../skills/sandbox/cell.ts'
import type { CellEnded } from '../../../skills/sandbox/call.ts'
import { FROM, GREETING, TO } from '../../../skills/sandbox/frame.ts'
import type { Frame } from '../../../skills/sandbox/frame.ts'
import { encodeFrame, FrameDecoder } from '../../../skills/sandbox/frames.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { bundleOf, jobOf } from '../../support/supervisor.ts'

const NO_EXTRAS = { deps: null, egress: null, limits: null }
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** The other end: says what a test tells it to. */
class Far {
  readonly clock = new FakeClock()
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly #ended = Promise.withResolvers<void>()
  readonly cell: Cell = new Cell({ stdin: this.stdin, stdout: this.stdout, ended: this.#ended.promise, clock: this.clock })
  readonly frames: Frame[] = []
  readonly #decoder = new FrameDecoder(GREETING)

  constructor() {
    this.stdin.on('data', (chunk: Buffer) => this.frames.push(...this.#decoder.push(chunk)))
  }

  async say(type: number, call: number, payload: JsonObject | string | Buffer = ''): Promise<void> {
    const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
    this.stdout.write(encodeFrame(type, call, bytes))
    await turn()
  }

  sent(type: number): JsonObject[] {
    return this.frames
      .filter((frame) => frame.type === type)
      .map(({ payload }) => (payload.length === 0 ? {} : (JSON.parse(payload.toString()) as JsonObject)))
  }

  async greet(state: JsonObject = { state: 'idle', key: null }, call = 0): Promise<Cell> {
    const ready = this.cell.ready(1_000)
    await turn()
    this.stdout.write(Buffer.from(textOf(this.sent(TO.hello)[0]?.['mark']), 'hex'))
    await this.say(FROM.ready, call, { protocol: 1, loaded: null, ...state })
    await ready
    return this.cell
  }

  async invoke(
    more: Parameters<typeof jobOf>[1] = {},
  ): Promise<{ readonly ended: Promise<CellEnded>; readonly heard: ReturnType<typeof jobOf>['heard'] }> {
    const { job, heard } = jobOf({ n: 1 }, more)
    const ended = this.cell.invoke(job)
    await turn()
    return { ended, heard }
  }

  die(): void {
    this.#ended.resolve()
  }

  close(): void {
    this.cell.close()
    this.stdin.destroy()
    this.stdout.destroy()
  }
}

describe('a cell', () => {
  let far: Far
  beforeEach(() => {
    far = new Far()
  })
  afterEach(() => {
    far.close()
    assert.equal(far.clock.pending, 0, 'a timer is left')
  })

  test('greets, loads, invokes, and keeps the outcome until it is acknowledged', async () => {
    const cell = await far.greet()
    const loading = cell.load(bundleOf('python', { 'a.py': 'code' }), NO_EXTRAS)
    const { ended } = await far.invoke({ secrets: { TOKEN: 's3' } })
    assert.deepEqual(far.sent(TO.load)[0]?.['files'], { 'a.py': Buffer.from('code').toString('base64') })
    assert.deepEqual(far.sent(TO.invoke)[0]?.['secrets'], { TOKEN: 's3' })
    await far.say(FROM.loaded, 0, { digest: 'sha256-a.py' })
    assert.equal(await loading, null)
    assert.deepEqual(cell.state, { is: 'busy', key: 'key-1' })
    far.clock.advance(40)
    await far.say(FROM.result, 1, { n: 2 })
    assert.deepEqual(await ended, { outcome: { status: 'ok', output: { n: 2 } }, hasStarted: true, call: 1, runMs: 40 })
    assert.equal(cell.state.is, 'busy', 'cleaning up is not over')
    await far.say(FROM.idle, 1, { clean: true })
    assert.equal(await cell.idle(), true)
    assert.deepEqual(cell.state, { is: 'held', key: 'key-1' })
    const acknowledged = cell.ack(1)
    await turn()
    assert.deepEqual([far.sent(TO.ack).length, cell.state.is], [0, 'held'])
    far.clock.advance(20)
    await acknowledged
    await turn()
    assert.deepEqual([far.sent(TO.ack).length, cell.state.is], [1, 'idle'])
  })

  test('does not send an acknowledgement that the next call makes needless', async () => {
    const cell = await far.greet()
    const { ended } = await far.invoke()
    await far.say(FROM.result, 1, '1')
    await far.say(FROM.idle, 1, { clean: true })
    const { call } = await ended
    const acknowledged = cell.ack(call)
    await turn()
    const { ended: second } = await far.invoke()
    await far.say(FROM.result, 2, '2')
    await second
    await far.say(FROM.idle, 2, { clean: true })
    far.clock.advance(20)
    await acknowledged
    await turn()
    assert.deepEqual([far.sent(TO.ack).length, cell.state.is], [0, 'held'], 'the outcome of the second is not on record')
  })

  test('what is acknowledged after another call began is of no matter to that', async () => {
    const cell = await far.greet()
    const { ended } = await far.invoke()
    await far.say(FROM.result, 1, '1')
    const { call } = await ended
    const next = far.invoke()
    await far.say(FROM.idle, 1, { clean: true })
    const { ended: second } = await next
    await far.say(FROM.result, 2, '2')
    await second
    await far.say(FROM.idle, 2, { clean: true })
    await cell.ack(call)
    assert.deepEqual([far.sent(TO.ack).length, cell.state.is], [0, 'held'])
  })

  test('tells progress at most ten times a second, and the last one before the end', async () => {
    await far.greet()
    const { ended, heard } = await far.invoke()
    for (const n of [1, 2, 3]) await far.say(FROM.progress, 1, { n })
    assert.deepEqual(heard.progress(), [{ n: 1 }])
    far.clock.advance(100)
    assert.deepEqual(heard.progress(), [{ n: 1 }, { n: 3 }])
    await far.say(FROM.progress, 1, { n: 4 })
    await far.say(FROM.result, 1, 'null')
    await ended
    assert.deepEqual(heard.progress(), [{ n: 1 }, { n: 3 }, { n: 4 }])
  })

  test('puts characters together that were cut between two pieces', async () => {
    await far.greet()
    const { heard, ended } = await far.invoke()
    const euro = Buffer.from('€')
    await far.say(FROM.log, 1, Buffer.concat([Buffer.from([1]), euro.subarray(0, 2)]))
    await far.say(FROM.log, 1, Buffer.concat([Buffer.from([2]), Buffer.from('between')]))
    await far.say(FROM.log, 1, Buffer.concat([Buffer.from([1]), euro.subarray(2)]))
    assert.equal(heard.text('stdout'), '€')
    await far.say(FROM.result, 1, 'null')
    await ended
  })

  test('cancels when the signal aborts, and is broken when that is not heeded', async () => {
    const cell = await far.greet()
    const stop = new AbortController()
    const { ended } = await far.invoke({ signal: stop.signal })
    stop.abort()
    await turn()
    assert.equal(far.sent(TO.cancel).length, 1)
    far.clock.advance(900)
    const { outcome } = await ended
    assert.equal(outcome.status === 'error' && outcome.code, 'cancelled')
    assert.equal(cell.state.is === 'broken' && cell.state.why, 'deadline')
  })

  test('gives up a supervisor that does not keep the deadline', async () => {
    const cell = await far.greet()
    const { ended } = await far.invoke({ timeoutMs: 1_000 })
    far.clock.advance(1_399)
    assert.equal(cell.state.is, 'busy')
    far.clock.advance(1)
    const { outcome, hasStarted } = await ended
    assert.deepEqual([outcome.status === 'error' && outcome.code, hasStarted], ['timeout', true])
  })

  test('does not start what is cancelled, too long, or not loaded', async () => {
    const cell = await far.greet()
    const code = ({ outcome, hasStarted }: CellEnded): unknown => [outcome.status === 'error' && outcome.code, hasStarted]
    assert.deepEqual(code(await (await far.invoke({ signal: AbortSignal.abort() })).ended), ['cancelled', false])
    assert.deepEqual(code(await (await far.invoke({ input: 'x'.repeat(1_048_577) })).ended), ['invalid_input', false])
    const loading = cell.load(bundleOf('python', { 'a.py': '' }), NO_EXTRAS)
    const { ended } = await far.invoke()
    await far.say(FROM.loaded, 0, { error: 'no' })
    await far.say(FROM.error, 1, { code: 'protocol', message: 'nothing is loaded' })
    assert.deepEqual(code(await ended), ['protocol', false])
    assert.match(String((await loading)?.message), /did not take its files: no/)
  })

  test('lets a skill call another, and hands back what that gave', async () => {
    await far.greet()
    const asked: unknown[] = []
    const given: SkillOutcome = { status: 'ok', output: 5 }
    const { ended } = await far.invoke({ call: (skill, input, n) => (asked.push([skill, input, n]), Promise.resolve(given)) })
    await far.say(FROM.call, 1, { n: 1, skill: 'adder', input: [2, 3] })
    assert.deepEqual(asked, [['adder', [2, 3], 1]])
    assert.deepEqual(far.sent(TO.returned), [{ n: 1, outcome: { status: 'ok', output: 5 } }])
    await far.say(FROM.result, 1, '5')
    await ended
  })

  test('takes up a run that a former gateway left, with what it asked for meanwhile', async () => {
    const cell = await far.greet({ state: 'busy', key: 'old' }, 4)
    await far.say(FROM.call, 4, { n: 1, skill: 'adder', input: 1 })
    assert.deepEqual(cell.state, { is: 'busy', key: 'old' })
    const { job, heard } = jobOf(null, { call: () => Promise.resolve({ status: 'ok', output: 1 }) })
    const adopted = cell.adopt(job)
    await turn()
    assert.equal(far.sent(TO.returned).length, 1)
    await far.say(FROM.log, 4, '\x01late')
    await far.say(FROM.result, 4, '"out"')
    await far.say(FROM.idle, 4, { clean: true })
    assert.deepEqual((await adopted)?.outcome, { status: 'ok', output: 'out' })
    assert.equal(heard.text('stdout'), 'late')
    assert.equal(await cell.adopt(job), null)
    const { ended } = await far.invoke()
    await far.say(FROM.result, 5, '1')
    assert.equal((await ended).outcome.status, 'ok')
  })

  test('gives up a run that it took up when nothing is heard of it any more', async () => {
    const cell = await far.greet({ state: 'busy', key: 'old' }, 4)
    const adopted = cell.adopt(jobOf(null, { timeoutMs: 1_000 }).job)
    far.clock.advance(1_400)
    const ended = await adopted
    assert.equal(ended?.outcome.status === 'error' && ended.outcome.code, 'timeout')
  })

  test('gives the outcome of a run that ended while nobody listened', async () => {
    const ready = far.cell.ready(1_000)
    await turn()
    const mark = Buffer.from(textOf(far.sent(TO.hello)[0]?.['mark']), 'hex')
    const frames = [
      encodeFrame(FROM.ready, 2, Buffer.from('{"protocol":1,"state":"held","key":"old","loaded":null}')),
      encodeFrame(FROM.result, 2, Buffer.from('7')),
      encodeFrame(FROM.idle, 2, Buffer.from('{"clean":true}')),
    ]
    far.stdout.write(Buffer.concat([Buffer.from('half a frame'), mark, ...frames]))
    await ready
    assert.deepEqual(far.cell.state, { is: 'held', key: 'old' })
    assert.deepEqual((await far.cell.adopt(jobOf(null).job))?.outcome, { status: 'ok', output: 7 })
  })

  test('calls a skill that answers in what is no JSON, or too deep, by its name, and can be used again', async () => {
    const cell = await far.greet()
    let number = 0
    for (const output of ['NaN', '['.repeat(200_000) + ']'.repeat(200_000), '"\xff']) {
      const { ended } = await far.invoke()
      await far.say(FROM.result, (number += 1), output)
      const { outcome } = await ended
      assert.equal(outcome.status === 'error' && outcome.code, 'protocol')
      await far.say(FROM.idle, number, { clean: true })
      assert.equal(await cell.idle(), true)
    }
    const { ended } = await far.invoke()
    await far.say(FROM.progress, (number += 1), '{')
    assert.equal(far.sent(TO.cancel).length, 1)
    await far.say(FROM.error, number, { code: 'cancelled', message: 'it was stopped' })
    const { outcome } = await ended
    assert.deepEqual(outcome.status === 'error' && [outcome.code, outcome.message], ['protocol', 'its progress is text that is not JSON'])
  })

  test('is not used again when something was left behind', async () => {
    const cell = await far.greet()
    const { ended } = await far.invoke()
    await far.say(FROM.result, 1, '1')
    await far.say(FROM.idle, 1, { clean: false })
    assert.equal((await ended).outcome.status, 'ok')
    assert.equal(await cell.idle(), false)
    const { outcome, hasStarted } = await (await far.invoke()).ended
    assert.deepEqual([outcome.status === 'error' && outcome.code, hasStarted], ['unavailable', false])
  })

  test('is broken when a call it runs loses its sandbox', async () => {
    const cell = await far.greet()
    const { ended } = await far.invoke()
    far.die()
    await turn()
    far.clock.advance(100)
    const { outcome } = await ended
    assert.equal(outcome.status === 'error' && outcome.code, 'crashed')
    assert.equal((await cell.broken).why, 'ended')
    assert.equal(await cell.ping(1_000), false)
  })

  test('is broken by silence', async () => {
    const ready = far.cell.ready(1_000)
    far.clock.advance(1_000)
    const state = await ready
    assert.equal(state.is === 'broken' && state.why, 'deadline')
  })

  test('answers a ping by the pong', async () => {
    const cell = await far.greet()
    const ping = cell.ping(1_000)
    await far.say(FROM.pong, 0)
    assert.equal(await ping, true)
  })
})

describe('a cell is broken for good by', () => {
  const breaches: readonly (readonly [what: string, does: (far: Far) => Promise<void> | void])[] = [
    ['garbage', (far) => void far.stdout.write('{"t":"result","id":1}')],
    ['a frame of another call', (far) => far.say(FROM.result, 2, '1')],
    ['a frame that only the gateway sends', (far) => far.say(TO.invoke, 1, {})],
    ['a second greeting', (far) => far.say(FROM.ready, 1, { protocol: 1, state: 'idle' })],
    ['an announced length beyond the bound', (far) => void far.stdout.write(Buffer.from([0x7f, 0, 0, 0, FROM.result, 0, 0, 0, 1]))],
    ['an end that is for the gateway to say', (far) => far.say(FROM.error, 1, { code: 'unavailable', message: 'again' })],
    ['an end without words', (far) => far.say(FROM.error, 1, { code: 'crashed' })],
    ['an answer to no load', (far) => far.say(FROM.loaded, 0, { digest: 'x' })],
    ['idling in the middle of a call', (far) => far.say(FROM.idle, 1, { clean: true })],
    ['text of no stream', (far) => far.say(FROM.log, 1, '\x09x')],
    ['a pong without a ping', (far) => far.say(FROM.pong, 0)],
  ]
  for (const [what, does] of breaches) {
    test(what, async () => {
      const far = new Far()
      await far.greet()
      const { ended } = await far.invoke()
      await does(far)
      await turn()
      const { outcome } = await ended
      assert.equal(outcome.status === 'error' && outcome.code, 'protocol')
      assert.equal((await far.cell.broken).why, 'protocol')
      await far.say(FROM.result, 1, '1')
      assert.equal(far.cell.isClean, false)
      far.close()
      assert.equal(far.clock.pending, 0)
    })
  }

  test('another protocol', async () => {
    const far = new Far()
    await far.greet({ state: 'idle', protocol: 2 })
    const { state } = far.cell
    assert.match(state.is === 'broken' ? state.reason : '', /protocol 2 instead of 1; build the sandbox's image again/)
    far.close()
  })

  test('two results of one call', async () => {
    const far = new Far()
    await far.greet()
    const { ended } = await far.invoke()
    far.stdout.write(Buffer.concat([encodeFrame(FROM.result, 1, Buffer.from('1')), encodeFrame(FROM.result, 1, Buffer.from('2'))]))
    assert.deepEqual((await ended).outcome, { status: 'ok', output: 1 })
    assert.equal((await far.cell.broken).why, 'protocol')
    far.close()
  })

  test('not reading what it asks for', async () => {
    const far = new Far()
    await far.greet()
    far.stdin.removeAllListeners('data').pause()
    const big: SkillOutcome = { status: 'ok', output: 'x'.repeat(1_000_000) }
    await far.invoke({ call: () => Promise.resolve(big) })
    for (let n = 1; n < 40 && far.cell.isAlive; n += 1) await far.say(FROM.call, 1, { n, skill: 'a', input: null })
    assert.equal((await far.cell.broken).reason, 'it does not read what it is sent')
    far.close()
  })
})
