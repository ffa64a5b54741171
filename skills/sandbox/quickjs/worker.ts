/**
 * One thread that runs JavaScript skills, as the gateway's thread sees it: one call at a time goes in, what it says comes out, and a
 * thread that does not come to an end is ended. It judges nothing that a skill says.
 */
import { getCompileCacheDir } from 'node:module'
import { Worker } from 'node:worker_threads'
import type { Clock } from '#contract'
import type { Answered } from './outside.ts'
import { CANCEL_GRACE_MS, DEADLINE_GRACE_MS } from './wire.ts'
import type { CallEnd, CallStart, FromThread, ThreadData, ToThread } from './wire.ts'

/** The engine's own limit on its stack has to be met before the thread's. */
const STACK_MB = 16
const HEAP_MB = 128

export interface WorkerCall {
  readonly start: Omit<CallStart, 'call' | 'flag'>
  readonly signal: AbortSignal
  readonly said: (message: FromThread & { readonly is: 'log' | 'progress' }) => void
  readonly ask: (what: 'call' | 'fetch', text: string) => Promise<Answered>
}

interface Running {
  readonly call: number
  readonly given: WorkerCall
  readonly end: (end: CallEnd) => void
}

export class QuickJsWorker {
  readonly #clock: Clock
  readonly #worker: Worker
  readonly #ready: Promise<void>
  readonly #exited: Promise<void>
  #running: Running | null = null
  #calls = 0
  #isDone = false
  #isOutOfMemory = false

  constructor({ clock, wasm }: { readonly clock: Clock } & ThreadData) {
    this.#clock = clock
    const ready = Promise.withResolvers<void>()
    const exited = Promise.withResolvers<void>()
    this.#ready = ready.promise
    this.#exited = exited.promise
    const cache = getCompileCacheDir()
    const data: ThreadData = { wasm }
    this.#worker = new Worker(new URL('./thread.ts', import.meta.url), {
      workerData: data,
      // Nothing of the gateway's environment; with the process's code cache the thread starts faster.
      env: cache === undefined ? {} : { NODE_COMPILE_CACHE: cache },
      resourceLimits: { stackSizeMb: STACK_MB, maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 16 },
    })
    this.#worker.on('message', (message: FromThread) => {
      if (message.is === 'ready') ready.resolve()
      else this.#heard(message)
    })
    this.#worker.on('messageerror', () => this.#giveUp())
    this.#worker.on('error', (error: Error & { readonly code?: string }) => {
      this.#isOutOfMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY'
      this.#isDone = true
    })
    this.#worker.on('exit', () => {
      this.#isDone = true
      ready.reject(new Error('the thread ended before it was ready'))
      this.#running?.end(
        this.#isOutOfMemory
          ? { is: 'failed', code: 'oom', message: 'the thread it ran in had no memory left' }
          : { is: 'failed', code: 'crashed', message: 'the thread it ran in ended' },
      )
      exited.resolve()
    })
    // Who waits for it hears of it; nobody has to.
    this.#ready.catch(() => {})
  }

  /** Rejects when the thread ends before. */
  ready(): Promise<void> {
    return this.#ready
  }

  /** It can be given another call. */
  get isUsable(): boolean {
    return !this.#isDone && this.#running === null
  }

  /** Never rejects. Afterwards the worker is idle, or not usable. */
  async run(given: WorkerCall): Promise<CallEnd> {
    const call = ++this.#calls
    const { promise, resolve } = Promise.withResolvers<CallEnd>()
    this.#running = { call, given, end: resolve }
    const flag = new SharedArrayBuffer(4)
    const late = (code: 'timeout' | 'cancelled', message: string): void => {
      this.#giveUp()
      resolve({ is: 'failed', code, message })
    }
    const stopDeadline = this.#clock.after(given.start.timeoutMs + DEADLINE_GRACE_MS, () =>
      late('timeout', `it took longer than ${given.start.timeoutMs} ms`),
    )
    let stopGrace = (): void => {}
    const cancel = (): void => {
      Atomics.store(new Int32Array(flag), 0, 1)
      this.#post({ is: 'cancel', call })
      stopGrace = this.#clock.after(CANCEL_GRACE_MS + DEADLINE_GRACE_MS, () => late('cancelled', 'it was stopped'))
    }
    this.#post({ is: 'run', ...given.start, call, flag })
    if (given.signal.aborted) cancel()
    else given.signal.addEventListener('abort', cancel, { once: true })
    try {
      return await promise
    } finally {
      stopDeadline()
      stopGrace()
      given.signal.removeEventListener('abort', cancel)
      this.#running = null
    }
  }

  /** Ends the thread, whatever it does. */
  async stop(): Promise<void> {
    this.#giveUp()
    await this.#exited
  }

  #heard(message: Exclude<FromThread, { readonly is: 'ready' }>): void {
    const running = this.#running
    if (running === null || message.call !== running.call) return
    switch (message.is) {
      case 'log':
      case 'progress':
        running.given.said(message)
        break
      case 'ask':
        void this.#asked(message.call, message.id, running.given.ask(message.what, message.text))
        break
      case 'ended':
        if (message.isSpent) this.#giveUp()
        running.end(message.end)
    }
  }

  async #asked(call: number, id: number, answering: Promise<Answered>): Promise<void> {
    const { isError, text } = await answering
    if (this.#running?.call === call) this.#post({ is: 'answer', call, id, isError, text })
  }

  #post(message: ToThread): void {
    if (!this.#isDone) this.#worker.postMessage(message, [])
  }

  #giveUp(): void {
    if (this.#isDone) return
    this.#isDone = true
    void this.#worker.terminate()
  }
}
