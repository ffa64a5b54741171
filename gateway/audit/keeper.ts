/**
 * Keeps the audit: tells the ends of the chains outside each hour and at the end (log, and a file if one is named), and takes away what is
 * older than the retention, under a seal. Without something outside nobody could see that the newest entries were cut off.
 */
import { appendFile, readFile } from 'node:fs/promises'
import { describeError, headSignature, isJsonObject, sealSignature } from '#contract'
import type { AuditStore, AuditVerdict, Clock, Lifecycle, Log } from '#contract'
import type { AuditTrail } from './trail.ts'
import { verifyChain } from './verify.ts'
import type { Checkpoint } from './verify.ts'

const HOUR_MS = 3_600_000

export interface AuditKeeperOptions {
  readonly store: AuditStore
  readonly trail: AuditTrail
  readonly key: Uint8Array
  readonly keepMs: number
  /** Where checkpoints are appended, a JSON line each; null: only in the log. Best on another machine's disk. */
  readonly checkpointFile: string | null
  readonly clock: Clock
  readonly log: Log
}

export class AuditKeeper implements Lifecycle {
  readonly #options: AuditKeeperOptions
  /** By tenant; as many as there are tenants. */
  readonly #told = new Map<string, number>()
  #cancelTimer: (() => void) | null = null
  #pruning: Promise<unknown> = Promise.resolve()

  constructor(options: AuditKeeperOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    this.#cancelTimer ??= this.#options.clock.after(HOUR_MS, () => void this.#hourly())
  }

  async stop(): Promise<void> {
    if (this.#cancelTimer === null) return
    this.#cancelTimer()
    this.#cancelTimer = null
    await this.#quietly(() => this.checkpoint())
  }

  /** Tells the ends that are new since the last time. */
  async checkpoint(): Promise<void> {
    const { store, key, clock, log, checkpointFile } = this.#options
    for (const { tenant, seq, hash } of await store.heads()) {
      if (this.#told.get(tenant) === seq) continue
      const at = clock.now()
      const point: Checkpoint = { tenant, seq, hash, at, signature: headSignature(key, { tenant, seq, hash }, at) }
      if (checkpointFile !== null) await appendFile(checkpointFile, `${JSON.stringify(point)}\n`, { mode: 0o600 })
      log.info({ tenant, seq, hash, at, signature: point.signature }, 'Checkpoint of the audit.')
      this.#told.set(tenant, seq)
    }
  }

  /** Takes away what is too old. Answers how many entries went. One at a time: the second would find the first one's entries gone. */
  prune(): Promise<number> {
    const pruned = this.#pruning.then(() => this.#prune())
    this.#pruning = pruned.catch(() => undefined)
    return pruned
  }

  async #prune(): Promise<number> {
    const { store, trail, key, clock, log, keepMs } = this.#options
    let gone = 0
    for (const { tenant, seq, hash } of await store.outdated(clock.now() - keepMs)) {
      // Else whoever can write the file would only have to make entries look old, and the gateway itself would cover up that they are gone.
      const { fault } = await verifyChain({ store, key, tenant, checkpoints: [], until: seq })
      if (fault !== null) {
        log.error(
          { tenant, seq: fault.seq, reason: fault.reason },
          'The audit does not verify, so nothing of it is taken away. Run openclaw audit verify.',
        )
        continue
      }
      const seal = { tenant, seq, hash, at: clock.now() }
      const entries = seq - ((await store.sealOf(tenant))?.seq ?? 0)
      gone += await trail.own('audit.sealed', { seq, entries }, tenant, () => store.seal({ ...seal, signature: sealSignature(key, seal) }))
    }
    return gone
  }

  async verify(tenant: string): Promise<AuditVerdict> {
    const { store, key, checkpointFile } = this.#options
    return verifyChain({ store, key, tenant, checkpoints: checkpointFile === null ? [] : await readCheckpoints(checkpointFile) })
  }

  async #hourly(): Promise<void> {
    this.#cancelTimer = this.#options.clock.after(HOUR_MS, () => void this.#hourly())
    await this.#quietly(() => this.prune())
    await this.#quietly(() => this.checkpoint())
  }

  async #quietly(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#options.log.error(
        { 'error.code': describeError(error).code, error: error instanceof Error ? error : undefined },
        'The audit could not be kept; tried again in an hour.',
      )
    }
  }
}

/** Lines that are none are passed over: a file that others write to proves nothing by what it lacks. One that is there and cannot be read is a failure. */
async function readCheckpoints(file: string): Promise<readonly Checkpoint[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  })
  return text.split('\n').flatMap((line) => {
    const point = parse(line)
    if (!isJsonObject(point)) return []
    const { tenant, seq, hash, at, signature } = point
    if (typeof tenant !== 'string' || typeof seq !== 'number' || typeof hash !== 'string') return []
    return typeof at === 'number' && typeof signature === 'string' ? [{ tenant, seq, hash, at, signature }] : []
  })
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}
