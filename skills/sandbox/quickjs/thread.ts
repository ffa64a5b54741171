/**
 * The thread in which JavaScript skills run, one call at a time. It keeps the deadline as long as the engine lets it; the gateway's
 * thread ends it when it does not. Entry of a worker: it is started by `worker.ts` and by nothing else.
 */
import { performance } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { MAX_INPUT_BYTES } from '../frame.ts'
import { EXHAUSTED, failed, prepare } from './guest.ts'
import type { Guest, Host } from './guest.ts'
import { Stock } from './stock.ts'
import { Tally } from './tally.ts'
import { CANCEL_GRACE_MS, MAX_CALLS, MAX_FETCHES, MAX_FLOOD_BYTES, MAX_WAITING, TELL_EVERY_MS } from './wire.ts'
import type { CallEnd, CallStart, FromThread, ThreadData, ToThread } from './wire.ts'

interface Answer {
  readonly id: number
  readonly isError: boolean
  readonly text: string
}

class Call implements Host {
  readonly #start: CallStart
  readonly #send: (message: FromThread) => void
  readonly #flag: Int32Array
  readonly #tally: Tally
  readonly #deadline: number
  readonly #waiting = new Set<number>()
  readonly #asked = { call: 0, fetch: 0 }
  #answers: Answer[] = []
  #wake: () => void = () => {}
  #abortedAt: number | null = null
  #end: CallEnd | null = null

  constructor(start: CallStart, send: (message: FromThread) => void) {
    this.#start = start
    this.#send = send
    this.#flag = new Int32Array(start.flag)
    this.#deadline = performance.now() + start.timeoutMs
    this.#tally = new Tally({ now: () => performance.now(), tell: (said) => send({ ...said, call: start.call }) })
  }

  /** True: it ended with an output. */
  async run(guest: Guest): Promise<boolean> {
    let end: CallEnd
    try {
      end = await this.#run(guest)
    } catch (error) {
      // The engine itself gave up; it is thrown away with the call.
      end = this.#end ?? failed('crashed', error instanceof RangeError ? 'InternalError: stack overflow' : 'the JavaScript engine failed')
    }
    this.#tally.flush()
    const isSpent = guest.touchedBytes > USUAL_BYTES_TOUCHED
    this.#send({ is: 'ended', call: this.#start.call, end, isSpent })
    return end.is === 'output'
  }

  answer(answer: Answer): void {
    this.#answers.push(answer)
    this.#wake()
  }

  cancel(): void {
    this.#wake()
  }

  log(stream: 'stdout' | 'stderr' | 'log', text: string): void {
    this.#tally.log(stream, text)
    if (this.#tally.isFlood) this.tooMuch()
  }

  tooMuch(): void {
    this.ended(failed('output_limit', `it said more than ${MAX_FLOOD_BYTES} bytes`))
  }

  progress(text: string): void {
    this.#tally.progress(text)
  }

  ask(what: 'call' | 'fetch', id: number, text: string): void {
    if (this.#end !== null || this.isAborted()) throw new Error('the run is over')
    if (this.#waiting.size >= MAX_WAITING) throw new Error(`more than ${MAX_WAITING} requests at once`)
    const most = what === 'call' ? MAX_CALLS : MAX_FETCHES
    if (this.#asked[what] >= most) throw new Error(`more than ${most} uses of ctx.${what} in one run`)
    if (Buffer.byteLength(text) > MAX_INPUT_BYTES)
      throw new RangeError(`what ctx.${what} was given is larger than ${MAX_INPUT_BYTES} bytes`)
    this.#asked[what] += 1
    this.#waiting.add(id)
    this.#send({ is: 'ask', call: this.#start.call, id, what, text })
  }

  isAborted(): boolean {
    if (this.#abortedAt === null && Atomics.load(this.#flag, 0) === 1) this.#abortedAt = performance.now()
    return this.#abortedAt !== null
  }

  isOver(): boolean {
    if (this.#end === null) {
      const now = performance.now()
      if (now >= this.#deadline) this.#end = failed('timeout', `it took longer than ${this.#start.timeoutMs} ms`)
      else if (this.isAborted() && now - (this.#abortedAt ?? now) >= CANCEL_GRACE_MS) this.#end = CANCELLED
    }
    return this.#end !== null
  }

  /** The first end is the end, and what a cancelled run still brings is not waited for by anybody. */
  ended(end: CallEnd): void {
    this.#end ??= this.isAborted() ? CANCELLED : end
  }

  async #run(guest: Guest): Promise<CallEnd> {
    guest.begin(this, this.#start)
    for (;;) {
      const hasMore = guest.work()
      if (this.isOver() && this.#end !== null) return this.#end
      if (hasMore) await turn()
      else if (this.#answers.length > 0) this.#deliver(guest)
      else if (this.isAborted() && this.#waiting.size === 0) return CANCELLED
      else if (this.isAborted()) this.#refuseAll(guest)
      else if (this.#waiting.size > 0) await this.#news()
      else if (guest.isFull()) return failed('oom', EXHAUSTED)
      else return failed('crashed', 'run() waits for a promise that nothing will settle')
    }
  }

  #deliver(guest: Guest): void {
    const answers = this.#answers
    this.#answers = []
    for (const { id, isError, text } of answers) if (this.#waiting.delete(id)) guest.answer(id, isError, text)
  }

  #refuseAll(guest: Guest): void {
    const ids = [...this.#waiting]
    this.#waiting.clear()
    for (const id of ids) guest.answer(id, true, JSON.stringify({ message: 'the run is cancelled', name: 'AbortError' }))
  }

  async #news(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const left = this.#deadline - performance.now()
    const timer = setTimeout(resolve, Math.max(0, this.#tally.hasNews ? Math.min(TELL_EVERY_MS, left) : left))
    await promise
    clearTimeout(timer)
    if (this.#tally.hasNews) this.#tally.flush()
  }
}

/** Memory that grew beyond it is given back at once with the thread, not when a collector finds time. */
const USUAL_BYTES_TOUCHED: number = 64 * 1_048_576
const CANCELLED: CallEnd = failed('cancelled', 'it was stopped')

/** One call after the other; the next one's instance is made while nobody waits. */
function serve(port: MessagePort, { wasm }: ThreadData): void {
  const send = (message: FromThread): void => port.postMessage(message, [])
  const stock = new Stock((memoryBytes) => prepare(wasm, memoryBytes))
  let current: { readonly call: number; readonly run: Call } | null = null
  const run = async (start: CallStart): Promise<void> => {
    const call = new Call(start, send)
    current = { call: start.call, run: call }
    const guest = await stock.take(start)
    const isWell = await call.run(guest)
    current = null
    stock.put(guest, { isWell, memoryBytes: start.memoryBytes })
    await stock.ready()
  }
  const fail = (error: unknown): void => {
    // Told to the gateway's thread as the worker's error, which ends the worker.
    throw error
  }
  port.on('message', (message: ToThread) => {
    if (message.is === 'run') run(message).catch(fail)
    else if (current?.call !== message.call) return
    else if (message.is === 'answer') current.run.answer(message)
    else current.run.cancel()
  })
  stock.ready().then(() => send({ is: 'ready' }), fail)
}

if (parentPort !== null) serve(parentPort, workerData)
