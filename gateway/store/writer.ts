/**
 * The writer's thread: the only one that writes. It takes all that waits, commits it as one group, answers, and looks
 * again; what came while the disk synced is the next group. While the disk refuses it tries again until each command's
 * patience is over, in here, so that what was reported as failed is never committed later.
 */
import { performance } from 'node:perf_hooks'
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { writes } from './commands.ts'
import { unavailable } from './fault.ts'
import type { StoreFault } from './fault.ts'
import { refused, runGroup } from './group.ts'
import type { Connection, GroupResult } from './group.ts'
import { openWriter } from './open.ts'
import type { Opened } from './open.ts'
import { packAnswers, packError, unpackJobs } from './wire.ts'
import type { Answer, FromWorker, Job, ToWorker } from './wire.ts'

/** Beyond it the answers of a group's first commands would wait too long for its last. */
const LARGEST_GROUP = 512
const FIRST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 100
const PROBE_MS = 500
/** Commands of the main thread count from 1; whose answer nobody waits for is this one. */
const NOBODY = 0
/** How long a stop may wait for a disk that refuses. */
const STOP_PATIENCE_MS = 2_000

interface Waiting extends Job {
  readonly deadline: number
}

class Writer {
  readonly #port: MessagePort
  readonly #opened: Opened
  readonly #file: string
  readonly #connection: Connection
  readonly #bell = new Int32Array(new SharedArrayBuffer(4))
  #queue: Waiting[] = []
  #fault: StoreFault | null = null
  #probe: NodeJS.Timeout | undefined
  #stopping = false

  constructor(port: MessagePort, opened: Opened, { file, auditKey }: { readonly file: string; readonly auditKey: Uint8Array }) {
    this.#port = port
    this.#opened = opened
    this.#file = file
    this.#connection = { sql: opened.sql, file, side: writes, auditKey, failed: new Set() }
  }

  take(message: ToWorker): void {
    this.#enqueue(message)
    this.#work()
    if (this.#stopping) this.#close()
  }

  #enqueue(message: ToWorker): void {
    const now = performance.now()
    if ('stop' in message) {
      this.#stopping = true
      this.#queue = this.#queue.map((job) => ({ ...job, deadline: Math.min(job.deadline, now + STOP_PATIENCE_MS) }))
      return
    }
    for (const job of unpackJobs(message.jobs)) this.#queue.push({ ...job, deadline: now + job.patienceMs })
  }

  /** All that came meanwhile, without going back to the event loop. */
  #drain(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port))
      this.#enqueue(next.message)
  }

  #work(): void {
    let pauseMs = FIRST_PAUSE_MS
    for (this.#drain(); this.#queue.length > 0; this.#drain()) {
      const result = this.#group(this.#queue.splice(0, LARGEST_GROUP))
      if (result.fault === null) {
        pauseMs = FIRST_PAUSE_MS
        continue
      }
      Atomics.wait(this.#bell, 0, 0, pauseMs)
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
    if (this.#fault !== null && !this.#stopping) this.#probeLater()
  }

  #group(jobs: readonly Waiting[]): GroupResult {
    const result = runGroup(this.#connection, jobs)
    if (result.fault !== null) this.#queue.unshift(...jobs.slice(jobs.length - result.left.length))
    this.#report(result.fault, [...result.answers, ...this.#expire(result.fault)])
    return result
  }

  #expire(fault: StoreFault | null): readonly Answer[] {
    if (fault === null) return []
    const now = performance.now()
    const over = this.#queue.filter((job) => job.deadline <= now)
    if (over.length > 0) this.#queue = this.#queue.filter((job) => job.deadline > now)
    const error = unavailable(fault, this.#file)
    return over.map((job) => refused(this.#connection, job, error))
  }

  #report(fault: StoreFault | null, answers: readonly Answer[]): void {
    const changed = fault?.code !== this.#fault?.code
    this.#fault = fault
    if (!changed && answers.length === 0) return
    const hasNews = this.#opened.sql.takeNews()
    const message: FromWorker = { answers: packAnswers(answers), ...(changed ? { fault } : {}), ...(hasNews ? { news: true } : {}) }
    this.#port.postMessage(message, [])
  }

  /** While something is wrong and nobody writes, it finds out by itself when it is over. */
  #probeLater(): void {
    clearTimeout(this.#probe)
    this.#probe = setTimeout(() => {
      this.#queue.push({
        id: NOBODY,
        name: 'storage.probe',
        patienceMs: 0,
        args: '[]',
        audit: '',
        after: 0,
        texts: [],
        deadline: performance.now(),
      })
      this.#work()
    }, PROBE_MS)
  }

  #close(): void {
    clearTimeout(this.#probe)
    this.#opened.close()
    this.#port.close()
  }
}

if (parentPort !== null) {
  const port = parentPort
  const { file, now, auditKey }: { readonly file: string; readonly now: number; readonly auditKey: Uint8Array } = workerData
  try {
    const opened = openWriter(file, now)
    const writer = new Writer(port, opened, { file, auditKey })
    port.on('message', (message: ToWorker) => writer.take(message))
    const first: FromWorker = { opened: { migrated: opened.migrated } }
    port.postMessage(first, [])
  } catch (error) {
    const first: FromWorker = { opened: { failure: packError(error) } }
    port.postMessage(first, [])
    port.close()
  }
}
