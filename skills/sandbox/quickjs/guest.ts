/**
 * One QuickJS, for one call: nothing of it outlives the call. It is handed text and hands out text. When to go on and when to give up is `thread.ts`'s.
 */
import imported from '@jitl/quickjs-wasmfile-release-sync'
import { newQuickJSWASMModuleFromVariant, newVariant } from 'quickjs-emscripten-core'
import type {
  EmscriptenModuleLoaderOptions,
  QuickJSContext,
  QuickJSHandle,
  QuickJSRuntime,
  QuickJSSyncVariant,
  QuickJSWASMModule,
} from 'quickjs-emscripten-core'
import { moduleSource, resolveImport } from './module.ts'
import { PRELUDE } from './prelude.ts'
import type { CallEnd, CallStart, FailureCode } from './wire.ts'
import { MAX_MESSAGE_CHARS } from './wire.ts'
import { MAX_OUTPUT_BYTES } from '../frame.ts'
import type { Stream } from './tally.ts'

/** What the guest may ask of its host. Throwing is told to the skill as an error. */
export interface Host {
  log(stream: Stream, text: string): void
  progress(text: string): void
  ask(what: 'call' | 'fetch', id: number, text: string): void
  isAborted(): boolean
  /** Asked every few thousand steps. */
  isOver(): boolean
  ended(end: CallEnd): void
  tooMuch(): void
}

const PAGE_BYTES = 65_536
/** What the engine begins with, for its own data and stack. */
const INITIAL_PAGES = 256
const MAX_PAGES = 32_768
/** What the engine prints when it gives up is for nobody. */
const silence = { print: (): void => {}, printErr: (): void => {} }
const QUIET: EmscriptenModuleLoaderOptions = Object.assign<EmscriptenModuleLoaderOptions, typeof silence>({}, silence)
const STACK_BYTES = 524_288
/** A string beyond this is not copied out. */
const MAX_TEXT_CHARS: number = 8 * 1_048_576
const JOBS_AT_ONCE = 200

/** The package's types are those of its CommonJS form, whose default export lies one deeper. */
function syncVariant(value: unknown): QuickJSSyncVariant {
  const isSync = (value: unknown): value is QuickJSSyncVariant =>
    typeof value === 'object' && value !== null && 'type' in value && value.type === 'sync'
  if (!isSync(value)) throw new TypeError('the QuickJS package is not what it was')
  return value
}

/**
 * Made ahead, so that a call does not wait for it. The limit stands twice: the engine's own counts everything but the content of array
 * buffers, and those meet the end of the memory.
 */
export async function prepare(wasm: WebAssembly.Module, memoryBytes: number): Promise<Guest> {
  const maximum = Math.min(MAX_PAGES, INITIAL_PAGES + Math.ceil(memoryBytes / PAGE_BYTES))
  const wasmMemory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum })
  const variant = newVariant(syncVariant(imported), { wasmModule: wasm, wasmMemory, emscriptenModule: QUIET })
  return new Guest(await newQuickJSWASMModuleFromVariant(variant))
}

export class Guest {
  readonly #engine: QuickJSWASMModule
  readonly #runtime: QuickJSRuntime
  readonly #context: QuickJSContext
  readonly #prelude: QuickJSHandle
  #host: Host | null = null
  #memoryBytes = 0
  #settle: QuickJSHandle | null = null

  constructor(engine: QuickJSWASMModule) {
    this.#engine = engine
    this.#runtime = engine.newRuntime()
    this.#runtime.setMaxStackSize(STACK_BYTES)
    this.#context = this.#runtime.newContext()
    this.#prelude = this.#context.unwrapResult(this.#context.evalCode(PRELUDE, PRELUDE_NAME))
  }

  /** Up to the first wait. Once. */
  begin(host: Host, { entrypoint, input, secrets, key, canFetch, files, memoryBytes }: CallStart): void {
    const context = this.#context
    this.#host = host
    this.#memoryBytes = memoryBytes
    this.#runtime.setMemoryLimit(memoryBytes)
    this.#runtime.setInterruptHandler(() => host.isOver())
    this.#runtime.setModuleLoader(
      (path) => (path.startsWith(FAULT) ? { error: new Error(path.slice(FAULT.length)) } : moduleSource(path, files.get(path) ?? '')),
      (from, asked) => {
        // The prelude imports the entrypoint, and it is no file of the skill. What is refused here would be told without its reason.
        const resolved = resolveImport(files, from === PRELUDE_NAME ? '' : from, asked)
        return 'path' in resolved ? resolved.path : FAULT + resolved.fault
      },
    )
    const lent = context.newFunction('host', (...given) => this.#asked(host, given))
    const texts = [entrypoint, input, secrets, key].map((text) => context.newString(text))
    this.#settle = context.unwrapResult(
      context.callFunction(this.#prelude, context.undefined, lent, ...texts, canFetch ? context.true : context.false),
    )
    for (const handle of [lent, ...texts]) handle.dispose()
  }

  /** After a call: another in the same instance, which knows nothing of this one. null: it left something that would not go. */
  renew(): Guest | null {
    try {
      this.#settle?.dispose()
      this.#prelude.dispose()
      this.#context.dispose()
      this.#runtime.dispose()
      return new Guest(this.#engine)
    } catch {
      return null
    }
  }

  get touchedBytes(): number {
    return this.#engine.getWasmMemory().buffer.byteLength
  }

  /** Then it is not used again: memory does not shrink, and the package lost sight of a handle when it grew. */
  get hasGrown(): boolean {
    return this.touchedBytes > INITIAL_PAGES * PAGE_BYTES
  }

  answer(id: number, isError: boolean, text: string): void {
    const context = this.#context
    if (this.#settle === null) return
    const given = [context.newNumber(id), isError ? context.true : context.false, context.newString(text)]
    context.callFunction(this.#settle, context.undefined, ...given).dispose()
    for (const handle of given) handle.dispose()
  }

  /** Some of the jobs that are due. False: there are none left. */
  work(): boolean {
    const before = this.touchedBytes
    try {
      this.#runtime.executePendingJobs(JOBS_AT_ONCE).dispose()
    } catch (error) {
      // The jobs are done; where memory grew meanwhile the package looks for their context in the old one, and may find no room for another.
      if (this.touchedBytes === before) throw error
    }
    return this.#runtime.hasPendingJob()
  }

  /** Memory is so short that the code for telling so did not run. */
  isFull(): boolean {
    this.#runtime.setMemoryLimit(-1)
    const usage = this.#runtime.computeMemoryUsage()
    const used = this.#context.getNumber(this.#context.getProp(usage, 'malloc_size'))
    return used > this.#memoryBytes * 0.9
  }

  #asked(host: Host, [op, a, b]: readonly QuickJSHandle[]): QuickJSHandle {
    const first = this.#text(a)
    switch (this.#text(op)) {
      case 'aborted':
        return host.isAborted() ? this.#context.true : this.#context.false
      case 'log':
        host.log(first === 'stderr' || first === 'log' ? first : 'stdout', this.#text(b))
        break
      case 'progress':
        host.progress(first)
        break
      case 'call':
        host.ask('call', Number(first), this.#text(b))
        break
      case 'fetch':
        host.ask('fetch', Number(first), this.#text(b))
        break
      case 'output':
        host.ended(output(first))
        break
      case 'unfit':
        if (this.#isExhaustion(first)) host.ended(failed('oom', EXHAUSTED))
        else host.ended(failed('invalid_output', first))
        break
      case 'failed':
        host.log('stderr', `${first}\n${this.#text(b)}`)
        if (this.#isExhaustion(first)) host.ended(failed('oom', EXHAUSTED))
        else host.ended(failed('crashed', first))
        break
      default:
        throw new Error('there is no such operation')
    }
    return this.#context.undefined
  }

  /** Where there is no memory even for the error, null is thrown. */
  #isExhaustion(message: string): boolean {
    return message.startsWith(EXHAUSTED) || (message === 'threw null' && this.touchedBytes >= this.#memoryBytes * 0.9)
  }

  /** What is no string is none: `getString` would run the skill's own `toString`. */
  #text(handle: QuickJSHandle | undefined): string {
    if (handle === undefined || this.#context.typeof(handle) !== 'string') return ''
    if ((this.#context.getLength(handle) ?? 0) > MAX_TEXT_CHARS) {
      this.#host?.tooMuch()
      throw new Error('the text is too long')
    }
    return this.#context.getString(handle)
  }
}

export function failed(code: FailureCode, message: string): CallEnd {
  return { is: 'failed', code, message: message.length > MAX_MESSAGE_CHARS ? `${message.slice(0, MAX_MESSAGE_CHARS)}…` : message }
}

function output(text: string): CallEnd {
  if (Buffer.byteLength(text) > MAX_OUTPUT_BYTES) return failed('output_limit', `its output is larger than ${MAX_OUTPUT_BYTES} bytes`)
  return { is: 'output', text }
}

export const EXHAUSTED = 'InternalError: out of memory'
/** No path of a file begins like this. */
const FAULT = '!'
const PRELUDE_NAME = '<sandbox>'
