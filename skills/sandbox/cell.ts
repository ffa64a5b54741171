/**
 * The gateway's side of the conversation with one supervisor: whatever starts and ends the sandbox hands over its standard input and
 * output. Says how a call ended and whether the sandbox can be used again; who gets it, and destroying it, is the caller's. Everything
 * that comes in is taken for hostile: a frame that no supervisor would send breaks the cell for good. Nothing here throws or rejects.
 */
import { randomBytes } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import type { Clock, JsonObject, JsonValue, SkillErrorCode, SkillOutcome } from '#contract'
import { isJsonObject, textOf } from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import { ENDS, FROM, GREETING, MARK_BYTES, MAX_CALLS, MAX_INPUT_BYTES, MAX_LOAD_BYTES, TO } from './frame.ts'
import type { Frame } from './frame.ts'
import { encodeFrame, FrameBreach, FrameDecoder, parseJson } from './frames.ts'
import type { Job } from './sandbox.ts'
import { Telling } from './telling.ts'

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

export interface CellExtras {
  /** Path in the sandbox of what the lock file names; null: none. */
  readonly deps: string | null
  /** Path in the sandbox of the unix socket of the egress proxy; null: no network. */
  readonly egress: string | null
  /** Of each process by rlimit, where no control group bounds the sandbox; null: something else does. */
  readonly limits: { readonly memoryMb: number; readonly pids: number; readonly tmpMb: number } | null
}

export interface CellFault {
  readonly code: SkillErrorCode
  readonly message: string
}

export interface CellEnded {
  /** Without times: queueing and starting are the caller's to know. */
  readonly outcome: SkillOutcome
  /** False: the call never went out. */
  readonly hasStarted: boolean
  readonly runMs: number
}

type Broken = CellState & { readonly is: 'broken' }
type Listen = Pick<Job, 'tell' | 'call' | 'signal'>

interface Call {
  readonly number: number
  readonly key: string
  readonly telling: Telling
  readonly startedAt: number
  readonly result: PromiseWithResolvers<CellEnded>
  /** What to do when it ended. */
  readonly after: (() => void)[]
  call: Job['call'] | null
  /** CALL frames that came before anybody listened. */
  readonly waiting: Frame[]
  open: number
  hasEnded: boolean
  isCancelled: boolean
  /** It said what ends it as `protocol`, and is being cancelled for it. */
  spoiled: string | null
}

const CANCEL_MS = 500
const FLUSH_MS = 100
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
    this.#send(TO.hello, 0, json({ protocol: 1, mark: this.#mark.toString('hex') }))
    const cancel = this.#clock.after(timeoutMs, () => this.#break('deadline', `it did not answer within ${timeoutMs} ms`))
    await Promise.race([this.#ready.promise, this.#broken.promise])
    cancel()
    return this.#state
  }

  /** Replaces what was loaded. Need not be waited for before `invoke`. null: done. */
  load(bundle: Bundle, { deps, egress, limits }: CellExtras): Promise<CellFault | null> {
    if (this.#state.is === 'broken') return Promise.resolve(this.#fault(this.#state))
    const { language, entrypoint } = bundle.descriptor.runtime
    const files = Object.fromEntries(
      Object.entries(bundle.files).map(([path, bytes]) => [
        path,
        Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
      ]),
    )
    const bounds = limits === null ? null : { memory_mb: limits.memoryMb, pids: limits.pids, tmp_mb: limits.tmpMb }
    const payload = json({ digest: bundle.digest, language, entrypoint, files, deps, egress, limits: bounds })
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
    const payload = json({ key, input, secrets, timeout_ms: timeoutMs, traceparent, resident: job.grade === 'resident' })
    if (!this.#send(TO.invoke, call.number, payload)) {
      this.#end(call, error('invalid_input', 'secrets and input together are too long'))
      this.#setIdle('idle')
      return { ...(await call.result.promise), hasStarted: false }
    }
    call.after.push(
      this.#clock.after(timeoutMs + this.#graceMs, () => this.#break('deadline', `it went on after ${timeoutMs} ms, which were its limit`)),
    )
    call.telling.started()
    return this.#listen(call, job)
  }

  /** Takes up the run that `ready` found. null: it found none, or it was taken up before. */
  async adopt(listen: Listen): Promise<CellEnded | null> {
    const call = this.#found
    this.#found = null
    if (call === null) return null
    call.telling.redirect(listen.tell)
    return call.hasEnded ? call.result.promise : this.#listen(call, listen)
  }

  /** Resolves when nothing of a call is left to be done: true, the sandbox can take another. */
  async idle(): Promise<boolean> {
    await Promise.race([this.#idle.promise, this.#broken.promise])
    return this.isClean
  }

  /** The outcome of the last call is recorded: nobody will ask for it again. */
  ack(): void {
    if (this.#state.is !== 'held') return
    this.#send(TO.ack, this.#number, NOTHING)
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

  #begin(number: number, key: string, tell: Job['tell']): Call {
    this.#number = number
    this.#state = { is: 'busy', key }
    this.#idle = Promise.withResolvers()
    const call: Call = {
      number,
      key,
      telling: new Telling(this.#clock, tell),
      startedAt: this.#clock.now(),
      result: Promise.withResolvers(),
      after: [],
      call: null,
      waiting: [],
      open: 0,
      hasEnded: false,
      isCancelled: false,
      spoiled: null,
    }
    this.#call = call
    return call
  }

  #listen(call: Call, { signal, call: other }: Listen): Promise<CellEnded> {
    call.call = other
    const cancel = (): void => this.#cancel(call)
    signal.addEventListener('abort', cancel, { once: true })
    call.after.push(() => signal.removeEventListener('abort', cancel))
    for (const frame of call.waiting.splice(0)) this.#other(call, frame)
    if (signal.aborted) cancel()
    return call.result.promise
  }

  #cancel(call: Call): void {
    if (call.hasEnded || call.isCancelled) return
    call.isCancelled = true
    this.#send(TO.cancel, call.number, NOTHING)
    call.after.push(this.#clock.after(CANCEL_MS + this.#graceMs, () => this.#break('deadline', 'it went on after it was cancelled')))
  }

  /** It said something that ends the call, though not the sandbox. */
  #spoil(call: Call, message: string): void {
    call.spoiled ??= message
    this.#cancel(call)
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
    } else if (frame.type === FROM.loaded) this.#answered(said(frame))
    else if (frame.type === FROM.pong && this.#pong !== null) {
      this.#pong.resolve()
      this.#pong = null
    } else if (this.#call !== null && frame.call === this.#call.number) this.#hear(this.#call, frame)
    else throw new FrameBreach(`a frame of type ${frame.type} for call ${frame.call}, which does not run`)
  }

  #greeted(frame: Frame): void {
    const { protocol, state, key, loaded } = said(frame)
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
    else this.#loadFault = { code: 'protocol', message: `the sandbox did not take its files: ${textOf(error)}` }
    load.answer.resolve(this.#loadFault)
  }

  #hear(call: Call, frame: Frame): void {
    if (frame.type === FROM.idle && call.hasEnded) {
      if (said(frame)['clean'] !== true) this.#isClean = false
      this.#setIdle('held')
    } else if (call.hasEnded) throw new FrameBreach(`a frame of type ${frame.type} after the end of its call`)
    else if (frame.type === FROM.log) {
      if (!call.telling.log(frame.payload)) throw new FrameBreach('text of an unknown stream')
    } else if (frame.type === FROM.progress) {
      const data = heard(frame)
      if (data.is === 'json') call.telling.progress(data.value)
      else this.#spoil(call, `its progress is ${data.message}`)
    } else if (frame.type === FROM.call) {
      if (call.call === null && call.waiting.length < MAX_CALLS) call.waiting.push(frame)
      else this.#other(call, frame)
    } else if (frame.type === FROM.result) {
      const output = heard(frame)
      this.#end(call, output.is === 'json' ? { status: 'ok', output: output.value } : error('protocol', `its output is ${output.message}`))
    } else if (frame.type === FROM.error) {
      const { code, message } = said(frame)
      if (!isEnd(code) || typeof message !== 'string') throw new FrameBreach('an end that is none')
      this.#end(call, error(code, message))
    } else throw new FrameBreach(`a frame of type ${frame.type}, which is the gateway's to send`)
  }

  /** The skill calls another. */
  #other(call: Call, frame: Frame): void {
    const asked = heard(frame)
    const { n, skill, input } = asked.is === 'json' && isJsonObject(asked.value) ? asked.value : {}
    if (typeof n !== 'number' || typeof skill !== 'string' || input === undefined || call.call === null) {
      return this.#spoil(
        call,
        asked.is === 'json' ? 'its call of another skill lacks members' : `its call of another skill is ${asked.message}`,
      )
    }
    if (call.open >= MAX_CALLS) return this.#spoil(call, `it waits for more than ${MAX_CALLS} other skills at once`)
    call.open += 1
    const answer = (outcome: SkillOutcome): void => {
      call.open -= 1
      if (call.hasEnded) return
      const isSent = this.#send(TO.returned, call.number, json({ n, outcome: { ...outcome } }))
      if (!isSent) this.#send(TO.returned, call.number, json({ n, outcome: { ...error('output_limit', 'its output is too long') } }))
    }
    call.call(skill, input, n).then(answer, () => answer(error('unavailable', 'it could not be called')))
  }

  #end(call: Call, given: SkillOutcome): void {
    if (call.hasEnded) return
    call.hasEnded = true
    // Sent behind a LOAD that was refused, it never ran.
    const hasStarted = this.#loadFault === null
    const outcome =
      this.#loadFault !== null
        ? error(this.#loadFault.code, this.#loadFault.message)
        : call.spoiled === null
          ? given
          : error('protocol', call.spoiled)
    for (const run of call.after.splice(0)) run()
    call.telling.end()
    call.result.resolve({ outcome, hasStarted, runMs: Math.max(0, this.#clock.now() - call.startedAt) })
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
    if (call !== null) {
      const { code, message } = this.#fault(broken)
      this.#end(call, why === 'deadline' && call.isCancelled ? error('cancelled', message) : error(code, message))
    }
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

const NOTHING: Buffer = Buffer.alloc(0)
const json = (value: JsonObject): Buffer => Buffer.from(JSON.stringify(value))
const error = (code: SkillErrorCode, message: string): SkillOutcome & { readonly status: 'error' } => ({ status: 'error', code, message })
const unstarted = ({ code, message }: CellFault): CellEnded => ({ outcome: error(code, message), hasStarted: false, runMs: 0 })
const isEnd = (code: unknown): code is SkillErrorCode => typeof code === 'string' && ENDS.has(code)

/** What the supervisor itself says. @throws FrameBreach */
function said(frame: Frame): JsonObject {
  const value = parseJson(frame.payload)
  if (!isJsonObject(value)) throw new FrameBreach(`a frame of type ${frame.type} that is no object`)
  return value
}

/** What the supervisor only hands on: the fault of the skill, not of the sandbox. */
function heard(frame: Frame): { readonly is: 'json'; readonly value: JsonValue } | { readonly is: 'none'; readonly message: string } {
  try {
    return { is: 'json', value: parseJson(frame.payload) }
  } catch (error) {
    if (error instanceof FrameBreach) return { is: 'none', message: error.message }
    throw error
  }
}
