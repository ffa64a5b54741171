/**
 * Group commit: all commands that wait share one transaction and one sync of the disk, and none is answered before. A
 * command that fails in mid-write spoils the group; then each gets a transaction of its own, so that only it is hurt.
 */
import { OpenClawError, UnavailableError } from '#contract'
import { AUDIT_ALONE, appendAudit } from './audit.ts'
import { Json } from './command.ts'
import type { Side } from './command.ts'
import { storeFault } from './fault.ts'
import type { StoreFault } from './fault.ts'
import type { Sql } from './sql.ts'
import { failed, jsonOf, succeeded } from './wire.ts'
import type { Answer, Job } from './wire.ts'

/** As many commands as may be under way (remote.ts): none of those that failed before can still be waited for. */
const MOST_UNDER_WAY = 20_000

export interface GroupResult {
  readonly answers: readonly Answer[]
  /** The storage refused: nothing of these is stored, they may be tried again. */
  readonly left: readonly Job[]
  readonly fault: StoreFault | null
}

export interface Connection {
  readonly sql: Sql
  readonly file: string
  readonly side: Side
  readonly auditKey: Uint8Array
  /** Numbers of commands that failed, for those that were to come after them. */
  readonly failed: Set<number>
}

export function runGroup(on: Connection, jobs: readonly Job[]): GroupResult {
  try {
    return { answers: together(on, jobs), left: [], fault: null }
  } catch (error) {
    return afterFailure(on, jobs, error)
  }
}

function together(on: Connection, jobs: readonly Job[]): readonly Answer[] {
  on.sql.begin()
  const answers = jobs.map((job) => runJob(on, job))
  on.sql.commit()
  return answers
}

/** A command that refuses before it has written anything is answered; the group goes on. */
function runJob(on: Connection, job: Job): Answer {
  if (job.after > 0 && on.failed.has(job.after)) return refused(on, job, outOfOrder())
  const before = on.sql.writes
  try {
    return job.audit === '' ? succeeded(job, call(on, job)) : audited(on, job)
  } catch (error) {
    if (error instanceof OpenClawError && on.sql.writes === before) return refused(on, job, error)
    throw error
  }
}

/** The entry goes with what it tells of: where nothing was changed it is not written, and `isWritten` says so. */
function audited(on: Connection, job: Job): Answer {
  const before = on.sql.changes()
  const result = call(on, job)
  const isWritten = job.name === AUDIT_ALONE || on.sql.changes() > before
  if (isWritten) appendAudit(on.sql, on.auditKey, JSON.parse(job.audit))
  return succeeded(job, new Json(`{"isWritten":${isWritten},"result":${jsonOf(result)}}`))
}

export function call({ sql, side }: Connection, job: Job): unknown {
  const [port = '', method = ''] = job.name.split('.')
  const handler = side[port]?.[method]
  if (handler === undefined) throw new Error(`The store has no command ${job.name}.`)
  const args: never[] = JSON.parse(job.args)
  return job.texts.length === 0 ? handler(sql, ...args) : handler(sql, ...args, job.texts as never)
}

function afterFailure(on: Connection, jobs: readonly Job[], error: unknown): GroupResult {
  const fault = undo(on, error)
  if (fault !== null) return { answers: [], left: jobs, fault }
  const [only] = jobs
  if (only !== undefined && jobs.length === 1) return { answers: [refused(on, only, error)], left: [], fault: null }

  const answers: Answer[] = []
  for (const [index, job] of jobs.entries()) {
    const alone = runGroup(on, [job])
    answers.push(...alone.answers)
    if (alone.fault !== null) return { answers, left: jobs.slice(index), fault: alone.fault }
  }
  return { answers, left: [], fault: null }
}

/** What is given after it meanwhile must not be done before it is tried again. */
export function refused(on: Pick<Connection, 'failed'>, job: Job, error: unknown): Answer {
  on.failed.add(job.id)
  if (on.failed.size > MOST_UNDER_WAY) for (const oldest of on.failed.keys().take(1)) on.failed.delete(oldest)
  return failed(job, error)
}

const outOfOrder = (): UnavailableError =>
  new UnavailableError('What had to be stored before it was not. Send both again, in their order.', { code: 'STORE_OUT_OF_ORDER' })

/** Rolls back. What the storage has against it, if it is the storage. */
function undo(on: Connection, error: unknown): StoreFault | null {
  try {
    on.sql.rollback()
  } catch (second) {
    return storeFault(error, on.file) ?? storeFault(second, on.file) ?? { code: 'STORE_FAILED', detail: String(second) }
  }
  return storeFault(error, on.file)
}
