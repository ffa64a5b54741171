/**
 * What travels between the main thread and a worker: flat lists of primitives, because those clone fastest, with
 * arguments and results as JSON text, and beside them texts that are stored as they are. Many commands share one message, and so do their answers. Parses both ways.
 */
import { ConflictError, FencedError, InvalidError, NotFoundError, OpenClawError, UnavailableError, describeError } from '#contract'
import { Json } from './command.ts'
import type { StoreFault } from './fault.ts'

/**
 * One command: number, `port.method`, how long it may wait for a disk that refuses, arguments as JSON, entry of the audit as JSON or '', and the
 * number of the command that must not have failed if this one is to be done, or 0. `texts`: what is stored as it is, and so not parsed.
 */
export interface Job {
  readonly id: number
  readonly name: string
  readonly patienceMs: number
  readonly args: string
  readonly audit: string
  readonly after: number
  readonly texts: readonly string[]
}

export type ToWorker = { readonly jobs: readonly (number | string)[] } | { readonly stop: true }

/** One answer: number, whether it succeeded, result or failure as JSON. */
export interface Answer {
  readonly id: number
  readonly ok: boolean
  readonly value: string
}

export interface FromWorker {
  readonly answers?: readonly (number | boolean | string)[]
  /** Sent when it changes; null: all is well. */
  readonly fault?: StoreFault | null
  /** Events were stored for webhooks. */
  readonly news?: true
  /** The first message of all: how opening went. */
  readonly opened?: { readonly migrated: readonly string[] } | { readonly failure: string }
}

/** Before the texts, of which the last says how many there are. */
const JOB_FIELDS = 7
const ANSWER_FIELDS = 3

export function packJobs(jobs: readonly Job[]): (number | string)[] {
  const flat: (number | string)[] = []
  for (const job of jobs) flat.push(job.id, job.name, job.patienceMs, job.args, job.audit, job.after, job.texts.length, ...job.texts)
  return flat
}

export function unpackJobs(flat: readonly (number | string)[]): Job[] {
  const jobs: Job[] = []
  for (let at = 0; at < flat.length;) {
    const [id, name, patienceMs, args, audit, after, count] = flat.slice(at, at + JOB_FIELDS)
    const end = at + JOB_FIELDS + Number(count)
    const texts = flat.slice(at + JOB_FIELDS, end).map(String)
    const numbers = { id: Number(id), patienceMs: Number(patienceMs), after: Number(after) }
    jobs.push({ ...numbers, name: String(name), args: String(args), audit: String(audit), texts })
    at = end
  }
  return jobs
}

export function packAnswers(answers: readonly Answer[]): (number | boolean | string)[] {
  const flat: (number | boolean | string)[] = []
  for (const answer of answers) flat.push(answer.id, answer.ok, answer.value)
  return flat
}

export function unpackAnswers(flat: readonly (number | boolean | string)[]): Answer[] {
  const answers: Answer[] = []
  for (let i = 0; i < flat.length; i += ANSWER_FIELDS) {
    answers.push({ id: Number(flat[i]), ok: flat[i + 1] === true, value: String(flat[i + 2]) })
  }
  return answers
}

/** The errors that may cross, by the name that crosses with them: a clone would lose their class. */
const CLASSES: { readonly [name: string]: new (message: string, options: { readonly code: string }) => OpenClawError } = {
  ConflictError,
  FencedError,
  InvalidError,
  NotFoundError,
  UnavailableError,
}

export function packError(error: unknown): string {
  return JSON.stringify({ name: error instanceof OpenClawError ? error.name : '', ...describeError(error) })
}

export function unpackError(text: string): Error {
  const { name, code, message } = JSON.parse(text)
  const Class = CLASSES[name]
  return Class === undefined ? new Error(`The store failed at a command: ${message}`) : new Class(message, { code })
}

export const succeeded = (job: Job, result: unknown): Answer => ({
  id: job.id,
  ok: true,
  value: jsonOf(result),
})
export const jsonOf = (result: unknown): string => (result instanceof Json ? result.text : JSON.stringify(result ?? null))
export const failed = (job: Job, error: unknown): Answer => ({ id: job.id, ok: false, value: packError(error) })
