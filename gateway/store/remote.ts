/**
 * One worker as the main thread sees it: commands in, promises out. Commands that are given together share a
 * message; how many may be under way is bounded. Knows nothing of what the commands mean.
 */
import { UnavailableError } from '#contract'
import type { Clock } from '#contract'
import { getCompileCacheDir } from 'node:module'
import { Worker } from 'node:worker_threads'
import type { StoreFault } from './fault.ts'
import { packJobs, unpackAnswers, unpackError } from './wire.ts'
import type { FromWorker, Job } from './wire.ts'

export interface RemoteOptions {
  readonly script: URL
  readonly file: string
  /** Signs the audit; see `AuditStore`. */
  readonly auditKey: Uint8Array
  readonly clock: Clock
  /** Commands under way; beyond it they are refused at once. */
  readonly maxWaiting: number
  readonly onFault: (fault: StoreFault | null) => void
  readonly onNews: () => void
  /** The thread ended by itself. */
  readonly onDeath: (error: Error) => void
}

/**
 * So many go at once, what is fewer at the end of the turn of the event loop: while the worker commits them this thread reads the next
 * requests, and it does not pay for a message each (about a fifth more accepts than with a message each, in two interleaved pairs of runs).
 */
const EARLY = 4
/** Characters of a command that is a batch by itself, and goes at once too. */
const LARGE = 10_000

export interface CallOptions {
  /** An entry that is committed with it, as JSON. */
  readonly audit?: string
  /** Commands of one chain that are under way together are done in their order, or not at all from the first that fails. */
  readonly chain?: string
  /** The handler gets them as its last argument. */
  readonly texts?: readonly string[]
}

interface Pending {
  readonly at: number
  readonly chain: string
  readonly resolve: (value: string) => void
  readonly reject: (error: Error) => void
}

export class Remote {
  readonly #options: RemoteOptions
  readonly #pending = new Map<number, Pending>()
  /** The last command under way of each chain. */
  readonly #chains = new Map<string, number>()
  readonly #ended: Promise<void>
  readonly #opened: Promise<readonly string[]>
  #worker: Worker
  #batch: Job[] = []
  #lastId = 0
  #refusal: Error | null = null

  constructor(options: RemoteOptions) {
    this.#options = options
    const opening = Promise.withResolvers<readonly string[]>()
    const ending = Promise.withResolvers<void>()
    this.#opened = opening.promise
    this.#ended = ending.promise
    const cache = getCompileCacheDir()
    this.#worker = new Worker(options.script, {
      workerData: { file: options.file, now: options.clock.now(), auditKey: options.auditKey },
      // With the process's code cache the thread need not load the TypeScript stripper, which weighs 40 MB.
      env: cache === undefined ? {} : { NODE_COMPILE_CACHE: cache },
    })
    this.#worker.on('message', (message: FromWorker) => {
      if (message.opened === undefined) this.#answered(message)
      else if ('failure' in message.opened) {
        const error = unpackError(message.opened.failure)
        opening.reject(error)
        this.#refuse(error)
      } else opening.resolve(message.opened.migrated)
    })
    this.#worker.once('error', (error) => this.#die(error instanceof Error ? error : new Error(String(error))))
    this.#worker.once('exit', () => {
      this.#die(new Error('It ended without a word.'))
      opening.reject(gone(options.file))
      ending.resolve()
    })
    opening.promise.catch(() => undefined)
  }

  /** Resolves when the file is open, with the migrations that were applied; rejects with what is wrong with it. */
  get opened(): Promise<readonly string[]> {
    return this.#opened
  }

  get waiting(): number {
    return this.#pending.size
  }

  /** When the command was given that has waited longest. */
  get oldestAt(): number | null {
    const [oldest] = this.#pending.values()
    return oldest?.at ?? null
  }

  /** Resolves with the result as JSON. */
  call(
    name: string,
    args: readonly unknown[],
    patienceMs: number,
    { audit = '', chain = '', texts = [] }: CallOptions = {},
  ): Promise<string> {
    if (this.#refusal !== null) return Promise.reject(this.#refusal)
    if (this.#pending.size >= this.#options.maxWaiting) return Promise.reject(busy(this.#options))
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      if (this.#batch.length === 0) setImmediate(() => this.#flush())
      const text = JSON.stringify(args)
      this.#batch.push({ id, name, patienceMs, args: text, audit, after: this.#chains.get(chain) ?? 0, texts })
      if (chain !== '') this.#chains.set(chain, id)
      this.#pending.set(id, { at: this.#options.clock.now(), chain, resolve, reject })
      if (this.#batch.length >= EARLY || text.length >= LARGE) this.#flush()
    })
  }

  /** What was asked before is still answered. */
  async stop(): Promise<void> {
    this.#refusal ??= stopped()
    this.#flush()
    this.#worker.postMessage({ stop: true }, [])
    await this.#ended
  }

  #flush(): void {
    if (this.#batch.length === 0) return
    const batch = this.#batch
    this.#batch = []
    this.#worker.postMessage({ jobs: packJobs(batch) }, [])
  }

  #answered({ answers, fault, news }: FromWorker): void {
    if (fault !== undefined) this.#options.onFault(fault)
    if (news === true) this.#options.onNews()
    for (const answer of unpackAnswers(answers ?? [])) {
      const pending = this.#pending.get(answer.id)
      this.#pending.delete(answer.id)
      if (pending !== undefined && this.#chains.get(pending.chain) === answer.id) this.#chains.delete(pending.chain)
      if (answer.ok) pending?.resolve(answer.value)
      else pending?.reject(unpackError(answer.value))
    }
  }

  /** It ended by itself: what is under way has an unknown end and counts as not stored. */
  #die(error: Error): void {
    if (this.#refusal !== null && this.#pending.size === 0) return
    this.#refuse(gone(this.#options.file))
    this.#options.onDeath(error)
  }

  #refuse(error: Error): void {
    this.#refusal ??= error
    for (const pending of this.#pending.values()) pending.reject(this.#refusal)
    this.#pending.clear()
  }
}

export const stopped = (): UnavailableError =>
  new UnavailableError('The store is stopped. Start the gateway again.', { code: 'STORE_STOPPED' })

const gone = (file: string): UnavailableError =>
  new UnavailableError(`The thread that serves ${file} has ended. Look at the log and start the gateway again.`, { code: 'STORE_FAILED' })

const busy = ({ file, maxWaiting }: RemoteOptions): UnavailableError =>
  new UnavailableError(`${maxWaiting} commands already wait for ${file}. Come back later.`, { code: 'STORE_BUSY' })
