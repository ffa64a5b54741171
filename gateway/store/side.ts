/**
 * Where a side of the store runs, the one that writes or the one that reads, as `Remote` sees it: messages to it, messages from
 * it, its end. A gateway gives each side a thread of its own; what is said is `wire.ts`'s business.
 */
import { getCompileCacheDir } from 'node:module'
import { Worker } from 'node:worker_threads'
import type { FromWorker, ToWorker } from './wire.ts'

/** What a side is told before all else. */
export interface SideData {
  readonly file: string
  readonly now: number
  /** Signs the audit; see `AuditStore`. */
  readonly auditKey: Uint8Array
}

export interface SideStart {
  readonly name: 'writer' | 'reader'
  readonly data: SideData
  readonly onMessage: (message: FromWorker) => void
  /** A fault that nobody caught; the end follows. */
  readonly onError: (error: Error) => void
  /** Once, and nothing comes after it. */
  readonly onEnd: () => void
}

/** Answers how to post to it. */
export type StartSide = (start: SideStart) => (message: ToWorker) => void

export const startThread: StartSide = ({ name, data, onMessage, onError, onEnd }) => {
  const cache = getCompileCacheDir()
  const worker = new Worker(new URL(`./${name}.ts`, import.meta.url), {
    workerData: data,
    // With the process's code cache the thread need not load the TypeScript stripper, which weighs 40 MB.
    env: cache === undefined ? {} : { NODE_COMPILE_CACHE: cache },
  })
  worker.on('message', onMessage)
  worker.once('error', (error) => onError(error instanceof Error ? error : new Error(String(error))))
  worker.once('exit', onEnd)
  return (message) => worker.postMessage(message, [])
}
