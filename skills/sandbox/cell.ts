/**
 * The gateway's side of the conversation with one supervisor: whatever starts and ends the sandbox hands over its standard input and
 * output. Says whether the sandbox can be used, and again; what is said within a call is `call.ts`'s, who gets the sandbox, and destroying
 * it, the caller's. Everything that comes in is taken for hostile: a frame that no supervisor would send breaks the cell for good. Nothing
 * here throws or rejects.
 */
import { randomBytes } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import { textOf } from '#contract'
import type { Clock, JsonObject } from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import { Call, failed } from './call.ts'
import type { CellEnded, CellFault, Listen } from './call.ts'
import { FROM, GREETING, MARK_BYTES, MAX_INPUT_BYTES, MAX_LOAD_BYTES, TO } from './frame.ts'
import type { Frame } from './frame.ts'
import { encodeFrame, FrameBreach, FrameDecoder, jsonBytes, NOTHING, parseObject } from './frames.ts'
import { loadBytes } from './load.ts'
import type { CellExtras } from './load.ts'
import type { Job } from './sandbox.ts'

export interface CellOptions {
  readonly stdin: Writable
  readonly stdout: Readable
  /** Resolves when the sandbox is gone, however that came about. */
  readonly ended: Promise<unknown>
  readonly clock: Clock
  /** How much later than the supervisor the cell gives a call up; default 400. */
  readonly graceMs?: number
}

export type CellState =
  | { readonly is: 'starting' | 'idle' }
  /** busy: it runs, or is being cleaned up after. held: it ended, and its outcome is kept until `ack` or the next call. */
  | { readonly is: 'busy' | 'held'; readonly key: string }
  /** Of no more use. why: the sandbox is gone, it broke the rules of the wire, or it did not end a call in time. */
  | { readonly is: 'broken'; readonly why: 'ended' | 'protocol' | 'deadline'; readonly reason: string }

type Broken = CellState & { readonly is: 'broken' }
const FLUSH_MS = 100
/** How long an acknowledgement waits for a call that makes it needless. */
const ACK_MS = 20
/** A bundle, a call and what other skills gave. */
const MAX_UNREAD_BYTES = 3 * MAX_LOAD_BYTES

export class Cell {
  readonly #stdin: Writable
  readonly #clock: Clock
  readonly #graceMs: number
  readonly #mark: Buffer = randomBytes(MARK_BYTES)
  readonly #decoder: FrameDecoder = new FrameDecoder(this.#mark)
  readonly #broken: PromiseWithResolvers<Broken> = Promise.withResolvers()
  readonly #ready: PromiseWithResolvers<void> = Promise.withResolvers()
  #state: CellState = { is: 'starting' }
  #number = 0
  #call: Call | null = null
  /** A former gateway's, until somebody takes it up. */
  #found: Call | null = null
  #idle: PromiseWithResolvers<void> = Promise.withResolvers()
  #load: { readonly digest: string; readonly answer: PromiseWithResolvers<CellFault | null> } | null = null
  #loadFault: CellFault | null = null
  #loaded: string | null = null
  #pong: PromiseWithResolvers<void> | null = null
  #isClean = true

  constructor({ stdin, stdout, ended, clock, graceMs }: CellOptions) {
    this.#stdin = stdin
    this.#clock = clock
    this.#graceMs = graceMs ?? 400
    this.#idle.resolve()
    stdin.on('error', () => this.#lost())
    stdout.on('error', () => this.#lost())
    stdout.on('end', () => this.#lost())
    stdout.on('close', () => this.#lost())
    stdout.on('data', (chunk: Buffer) => this.#take(chunk))
    // What it said last may still be on its way.
    const gone = (): void => void clock.after(FLUSH_MS, () => this.#lost())
    ended.then(gone, gone)
  }

  get state(): CellState {
    return this.#state
  }

  /** False after a call that left something behind: destroy the sandbox. */
  get isClean(): boolean {
    return this.#isClean && this.#state.is !== 'broken'
  }

  /** Digest of the bundle that is in it; null: none. */
  get loaded(): string | null {
    return this.#loaded
  }

  /** Resolves when the cell is of no more use. */
  get broken(): Promise<Broken> {
    return this.#broken.promise
  }

  /** Once, before everything else. Resolves with the state: idle; busy or held when a former gateway left a run in it; or broken. */
  async ready(timeoutMs: number): Promise<CellState> {
    this.#stdin.write(GREETING)
    this.#send(TO.hello, 0, jsonBytes({ protocol: 1, mark: this.#mark.toString('hex') }))
    const cancel = this.#clock.after(timeoutMs, () => this.#break('deadline', `it did not answer within ${timeoutMs} ms`))
    await Promise.race([this.#ready.promise, this.#broken.promise])
    cancel()
    return this.#state
  }

  /** Replaces what was loaded. Need not be waited for before `invoke`. null: done. */
  load(bundle: Bundle, extras: CellExtras): Promise<CellFault | null> {
    if (this.#state.is === 'broken') return Promise.resolve(this.#fault(this.#state))
    const payload = loadBytes(bundle, extras)
    this.#loadFault = null
    this.#loaded = null
    const load = { digest: bundle.digest, answer: Promise.withResolvers<CellFault | null>() }
    this.#load = load
    if (this.#send(TO.load, 0, payload)) {
      return Promise.race([load.answer.promise, this.#broken.promise.then((broken) => this.#fault(broken))])
    }
    this.#load = null
    this.#loadFault = { code: 'deps_failed', message: `its files have ${payload.length} bytes as they are sent, which is too much` }
    return Promise.resolve(this.#loadFault)
  }

  /** Resolves as soon as the outcome is known; the sandbox is cleaned up after that (see `idle`). Waits for the call before to be over. */
  async invoke(job: Omit<Job, 'bundle' | 'tenant' | 'egress'>): Promise<CellEnded> {
    await Promise.race([this.#idle.promise, this.#broken.promise])
    if (this.#state.is === 'broken') return unstarted(this.#fault(this.#state))
    if (this.#loadFault !== null) return unstarted(this.#loadFault)
    if (!this.#isClean) return unstarted({ code: 'unavailable', message: 'the call before left something behind' })
    if (job.signal.aborted) return unstarted({ code: 'cancelled', message: 'it was stopped before it began' })
    const { key, input, secrets, timeoutMs, traceparent } = job
    const bytes = Buffer.byteLength(JSON.stringify(input))
    if (bytes > MAX_INPUT_BYTES) {
      return unstarted({ code: 'invalid_input', message: `the input has ${bytes} bytes; at most ${MAX_INPUT_BYTES} are allowed` })
    }
    const call = this.#begin(this.#number + 1, key, job.tell)
    const payload = jsonBytes({ key, input, secrets, timeout_ms: timeoutMs, traceparent, resident: job.grade === 'resident' })
    if (!this.#send(TO.invoke, call.number, payload)) {
      call.end(failed('invalid_input', 'secrets and input together are too long'))
      this.#setIdle('idle')
      return { ...(await call.ended), hasStarted: false }
    }
    call.start()
    return call.listen(job)
  }

  /** Takes up the run that `ready` found. null: it found none, or it was taken up before. */
  async adopt(listen: Listen & Pick<Job, 'timeoutMs'>): Promise<CellEnded | null> {
    const call = this.#found
    this.#found = null
    if (call === null) return null
    call.redirect(listen.tell)
    return call.listen(listen)
  }

  /** Resolves when nothing of a call is left to be done: true, the sandbox can take another. */
  async idle(): Promise<boolean> {
    await Promise.race([this.#idle.promise, this.#broken.promise])
    return this.isClean
  }

  /** The outcome of this call is on record: nobody will ask for it again. One that another call has replaced is of no matter. */
  async ack(call: number): Promise<void> {
    await Promise.race([this.#idle.promise, this.#broken.promise])
    if (!this.#holds(call)) return
    // Where calls come one upon the other the next one says the same, and a frame less is a third of the way of a short call.
    await new Promise<void>((resolve) => void this.#clock.after(ACK_MS, resolve))
    if (!this.#holds(call)) return
    this.#send(TO.ack, call, NOTHING)
    this.#state = { is: 'idle' }
  }

  /** False: no answer; the cell is broken then. */
  async ping(timeoutMs: number): Promise<boolean> {
    if (this.#state.is === 'broken') return false
    const pong = (this.#pong ??= Promise.withResolvers())
    this.#send(TO.ping, 0, NOTHING)
    const cancel = this.#clock.after(timeoutMs, () => this.#break('deadline', `it did not answer within ${timeoutMs} ms`))
    await Promise.race([pong.promise, this.#broken.promise])
    cancel()
    return this.isAlive
  }

  get isAlive(): boolean {
    return this.#state.is !== 'broken'
  }

  /** Tells the supervisor to end, and listens no more. */
  close(): void {
    this.#send(TO.bye, 0, NOTHING)
    this.#break('ended', 'it was told to end')
  }

  #holds(call: number): boolean {
    return this.#state.is === 'held' && call === this.#number
  }

  #begin(number: number, key: string, tell: Job['tell']): Call {
    this.#number = number
    this.#state = { is: 'busy', key }
    this.#idle = Promise.withResolvers()
    this.#call = new Call({
      number,
      key,
      tell,
      clock: this.#clock,
      graceMs: this.#graceMs,
      send: (type, payload) => this.#send(type, number, payload),
      late: (reason) => this.#break('deadline', reason),
      refusal: () => this.#loadFault,
    })
    return this.#call
  }

  #take(chunk: Buffer): void {
    if (this.#state.is === 'broken') return
    try {
      for (const frame of this.#decoder.push(chunk)) if (this.isAlive) this.#understand(frame)
    } catch (error) {
      if (!(error instanceof FrameBreach)) throw error
      this.#break('protocol', `it sent ${error.message}`)
    }
  }

  /** @throws FrameBreach */
  #understand(frame: Frame): void {
    if (this.#state.is === 'starting') {
      if (frame.type !== FROM.ready) throw new FrameBreach(`a frame of type ${frame.type} before it was ready`)
      this.#greeted(frame)
    } else if (frame.type === FROM.loaded) this.#answered(parseObject(frame))
    else if (frame.type === FROM.pong && this.#pong !== null) {
      this.#pong.resolve()
      this.#pong = null
    } else if (this.#call !== null && frame.call === this.#call.number) this.#heard(this.#call, frame)
    else throw new FrameBreach(`a frame of type ${frame.type} for call ${frame.call}, which does not run`)
  }

  #greeted(frame: Frame): void {
    const { protocol, state, key, loaded } = parseObject(frame)
    if (protocol !== 1) throw new FrameBreach(`protocol ${JSON.stringify(protocol)} instead of 1; build the sandbox's image again`)
    this.#loaded = typeof loaded === 'string' ? loaded : null
    this.#number = frame.call
    if (state === 'idle') this.#state = { is: 'idle' }
    else if ((state === 'busy' || state === 'held') && typeof key === 'string') {
      this.#found = this.#begin(frame.call, key, () => {})
      this.#state = { is: state, key }
    } else throw new FrameBreach('a state that is none')
    this.#ready.resolve()
  }

  #answered({ digest, error }: JsonObject): void {
    const load = this.#load
    this.#load = null
    if (load === null) throw new FrameBreach('an answer to nothing')
    if (digest === load.digest) this.#loaded = load.digest
    else
      this.#loadFault = {
        code: 'protocol',
        message: `the sandbox did not take its files: ${textOf(error)}`,
      }
    load.answer.resolve(this.#loadFault)
  }

  #heard(call: Call, frame: Frame): void {
    if (frame.type !== FROM.idle || !call.hasEnded) return call.hear(frame)
    if (parseObject(frame)['clean'] !== true) this.#isClean = false
    this.#setIdle('held')
  }

  #setIdle(is: 'idle' | 'held'): void {
    this.#state = is === 'held' && this.#call !== null ? { is, key: this.#call.key } : { is: 'idle' }
    this.#call = null
    this.#idle.resolve()
  }

  #lost(): void {
    this.#break('ended', this.#decoder.isWithin ? 'it ended in the middle of a frame' : 'it ended')
  }

  #break(why: Broken['why'], reason: string): void {
    if (this.#state.is === 'broken') return
    const broken: Broken = { is: 'broken', why, reason }
    this.#state = broken
    const call = this.#call
    this.#call = null
    call?.lose(this.#fault(broken))
    this.#broken.resolve(broken)
  }

  #fault({ why, reason }: Broken): CellFault {
    const codes = { ended: 'crashed', protocol: 'protocol', deadline: 'timeout' } as const
    return { code: codes[why], message: `the sandbox is of no more use: ${reason}` }
  }

  /** False: too long for its type. */
  #send(type: number, call: number, payload: Buffer): boolean {
    if (this.#state.is === 'broken') return true
    try {
      this.#stdin.write(encodeFrame(type, call, payload))
      if (this.#stdin.writableLength > MAX_UNREAD_BYTES) this.#break('protocol', 'it does not read what it is sent')
      return true
    } catch (error) {
      if (error instanceof RangeError) return false
      throw error
    }
  }
}

const unstarted = ({ code, message }: CellFault): CellEnded => ({ outcome: failed(code, message), hasStarted: false, runMs: 0, call: 0 })
