/**
 * The threads that JavaScript skills run in: made when they are needed, few, one call each, ended when idle for a minute. Who finds
 * none free waits, in order and not for ever.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Clock } from '#contract'
import { QuickJsWorker } from './worker.ts'

export interface PoolOptions {
  readonly clock: Clock
  /** That compute at once. */
  readonly maxThreads: number
  readonly maxQueued: number
  readonly queueMs: number
}

/** A thread, for one call. */
export interface Lease {
  readonly worker: QuickJsWorker
  readonly queueMs: number
  readonly startMs: number
}
export type Leased = Lease | 'busy' | 'cancelled' | { readonly unavailable: unknown }

interface Waiter {
  readonly go: () => void
}

const IDLE_MS = 60_000
/** A skill that waits for another gives its place to that one, so more threads exist than compute. So many times. */
const MOST_WAITING = 4
const START_MS = 10_000

export class Pool {
  readonly #options: PoolOptions
  readonly #idle: { readonly worker: QuickJsWorker; readonly forget: () => void }[] = []
  readonly #workers = new Set<QuickJsWorker>()
  readonly #queue: Waiter[] = []
  #places = 0
  #leased = 0
  #isStopped = false
  #wasm: Promise<WebAssembly.Module> | null = null

  constructor(options: PoolOptions) {
    this.#options = options
  }

  get facts(): { readonly threads: number; readonly busy: number; readonly queued: number } {
    return { threads: this.#workers.size, busy: this.#leased, queued: this.#queue.length }
  }

  /** Never rejects. */
  async take(signal: AbortSignal): Promise<Leased> {
    const { clock } = this.#options
    const asked = clock.now()
    const place = await this.#place(signal)
    if (place !== 'place') return place
    const begun = clock.now()
    this.#leased += 1
    try {
      const worker = await this.#worker()
      return { worker, queueMs: begun - asked, startMs: clock.now() - begun }
    } catch (error) {
      this.#leased -= 1
      this.free()
      return { unavailable: error }
    }
  }

  /** The call has ended. `isFit`: the thread may be given another. */
  give(worker: QuickJsWorker, isFit: boolean): void {
    this.#leased -= 1
    if (isFit && worker.isUsable && !this.#isStopped) {
      const forget = this.#options.clock.after(IDLE_MS, () => {
        this.#idle.splice(
          this.#idle.findIndex((idle) => idle.worker === worker),
          1,
        )
        void this.#end(worker)
      })
      this.#idle.push({ worker, forget })
    } else void this.#end(worker)
    this.free()
  }

  /** The leaser waits for something else; its place may be used meanwhile. */
  free(): void {
    this.#places -= 1
    if (this.#mayGo()) this.#queue.shift()?.go()
  }

  /** It goes on, at once. */
  retake(): void {
    this.#places += 1
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    for (const { forget } of this.#idle.splice(0)) forget()
    for (const { go } of this.#queue.splice(0)) go()
    await Promise.all([...this.#workers].map((worker) => this.#end(worker)))
  }

  #mayGo(): boolean {
    return this.#places < this.#options.maxThreads && this.#leased < this.#options.maxThreads * MOST_WAITING
  }

  async #place(signal: AbortSignal): Promise<'place' | 'busy' | 'cancelled' | { readonly unavailable: unknown }> {
    if (this.#isStopped) return { unavailable: new Error('it is stopped') }
    if (signal.aborted) return 'cancelled'
    if (this.#queue.length === 0 && this.#mayGo()) {
      this.#places += 1
      return 'place'
    }
    if (this.#queue.length >= this.#options.maxQueued) return 'busy'
    const { promise, resolve } = Promise.withResolvers<'place' | 'busy' | 'cancelled' | { readonly unavailable: unknown }>()
    const waiter: Waiter = {
      go: () => {
        if (!this.#isStopped) this.#places += 1
        resolve(this.#isStopped ? { unavailable: new Error('it is stopped') } : 'place')
      },
    }
    const leave = (as: 'busy' | 'cancelled'): void => {
      const index = this.#queue.indexOf(waiter)
      if (index < 0) return
      this.#queue.splice(index, 1)
      resolve(as)
    }
    const cancel = (): void => leave('cancelled')
    const stop = this.#options.clock.after(this.#options.queueMs, () => leave('busy'))
    signal.addEventListener('abort', cancel, { once: true })
    this.#queue.push(waiter)
    try {
      return await promise
    } finally {
      stop()
      signal.removeEventListener('abort', cancel)
    }
  }

  async #worker(): Promise<QuickJsWorker> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.forget()
      if (idle.worker.isUsable) return idle.worker
      void this.#end(idle.worker)
    }
    this.#wasm ??= compile()
    const wasm = await this.#wasm
    if (this.#isStopped) throw new Error('it is stopped')
    const worker = new QuickJsWorker({ clock: this.#options.clock, wasm })
    this.#workers.add(worker)
    const late = Promise.withResolvers<never>()
    const stop = this.#options.clock.after(START_MS, () => late.reject(new Error(`the thread was not ready within ${START_MS} ms`)))
    try {
      await Promise.race([worker.ready(), late.promise])
      return worker
    } catch (error) {
      void this.#end(worker)
      throw error
    } finally {
      stop()
    }
  }

  async #end(worker: QuickJsWorker): Promise<void> {
    await worker.stop()
    this.#workers.delete(worker)
  }
}

async function compile(): Promise<WebAssembly.Module> {
  const bytes = await readFile(fileURLToPath(import.meta.resolve('@jitl/quickjs-wasmfile-release-sync/wasm')))
  return WebAssembly.compile(bytes)
}
