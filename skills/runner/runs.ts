/**
 * Runs that clients ask for: each on record before it begins if a second run could do harm, joined by whoever asks with the same key, watched,
 * cancelled. Runs that were only handed in are the worker's (`worker.ts`); how one is run is the runner's.
 */
import { InvalidError, NotFoundError, SKILL_CODES, UnavailableError } from '#contract'
import type { Clock, Invocation, Log, NewRun, RunId, RunRecord, RunStore, SkillEvent, SkillRecord, SkillRuns } from '#contract'
import { Backlog } from './backlog.ts'
import { failed } from './execution.ts'
import type { Execution } from './execution.ts'
import type { Ledger } from './ledger.ts'
import { callOf, isSame, keyOf, reused, runOf } from './invocation.ts'
import { Live, orAborted } from './live.ts'
import type { RunResult } from './live.ts'
import type { Recorder } from './recorder.ts'
import { endOf } from './run-end.ts'
import type { Runner } from './runner.ts'
import { skillRunOf } from './skill-run.ts'
import { Worker } from './worker.ts'

export interface RunsOptions {
  readonly store: RunStore
  readonly runner: Runner
  readonly recorder: Recorder
  readonly ledger: Ledger
  readonly clock: Clock
  readonly log: Log
  /** Stored runs that go on at once, as it is now. */
  readonly maxWorkers: () => number
}

export class Runs implements SkillRuns {
  readonly #options: RunsOptions
  readonly #live = new Map<RunId, Live>()
  /** What goes on, by tenant and key, so that the same key asked for twice at once is one run. */
  readonly #byKey = new Map<string, { readonly live: Live; readonly run: NewRun; readonly result: Promise<RunResult> }>()
  readonly #backlog: Backlog
  readonly #worker: Worker
  #isDraining = false

  constructor(options: RunsOptions) {
    this.#options = options
    this.#backlog = new Backlog({ store: options.store, clock: options.clock, onReady: () => this.#worker.pull() })
    this.#worker = new Worker({ ...options, backlog: this.#backlog, live: this.#live })
  }

  /** Takes up what a former life left. */
  start(): Promise<void> {
    return this.#worker.look()
  }

  /** Nothing new begins; what goes on may end within the bound, and is cut then. */
  async drain(ms: number): Promise<void> {
    this.#isDraining = true
    this.#worker.close()
    const over = Promise.all([...this.#live.values()].map((live) => live.over))
    if (ms > 0) {
      const late = Promise.withResolvers<void>()
      const cancelTimer = this.#options.clock.after(ms, late.resolve)
      await Promise.race([over, late.promise])
      cancelTimer()
    }
    for (const live of this.#live.values()) live.cut()
    await over
  }

  async stop(): Promise<void> {
    await this.drain(0)
    await this.#worker.stop()
  }

  async invoke(
    invocation: Invocation,
    options: { readonly signal: AbortSignal; readonly watch?: (event: SkillEvent) => void },
  ): Promise<RunResult> {
    const { run, record } = this.#asked(invocation)
    const isOnRecord = record !== null && (invocation.key !== null || run.effect !== 'none')
    const going = this.#byKey.get(keyOf(run)) ?? this.#begin(run, isOnRecord ? record : null)
    if (!isSame(going.run, run)) throw reused()
    const unlisten = options.watch === undefined ? null : going.live.listen(options.watch)
    try {
      const result = await going.live.wait(going.result, options.signal)
      return result ?? { id: going.live.run.id, outcome: failed('cancelled', 'Nobody waited for it any more.'), version: null }
    } finally {
      unlisten?.()
    }
  }

  async submit(invocation: Invocation): Promise<RunRecord> {
    const { store, runner } = this.#options
    const { run, record } = this.#asked(invocation)
    if (record === null) throw new NotFoundError(`There is no skill "${run.skill}" that can be called so.`, { code: 'SKILL_NOT_FOUND' })
    const fault = await runner.check(record, run.input)
    if (fault?.code === 'invalid_input') {
      throw new InvalidError(`The input does not fit the skill: ${fault.message}`, { code: SKILL_CODES.invalid_input })
    }
    if (this.#backlog.isFull)
      throw new UnavailableError('Too many runs wait already. Come back later.', { code: 'SKILLS_BUSY', retryAfterMs: 10_000 })
    const taken = await store.add(run, null)
    if (taken === null) {
      this.#backlog.push(run)
      this.#worker.pull()
    } else {
      if (!isSame(taken, run)) throw reused()
      this.#live.get(taken.id)?.keep()
    }
    const stored = await store.get(run.tenant, taken?.id ?? run.id)
    if (stored === null) throw new NotFoundError('The run is not there any more.', { code: 'RUN_NOT_FOUND' })
    return stored
  }

  async get(tenant: string, id: RunId): Promise<RunRecord | null> {
    const held = this.#options.recorder.find(id)
    if (held === null) return this.#options.store.get(tenant, id)
    if (held.run.tenant !== tenant) return null
    const { status, version, attempts, outcome, logs, now, dead } = held.end
    const ended = { status: dead === null ? status : ('dead' as const), version, attempts, outcome, logs, endedAt: now }
    return { ...held.run, seq: 0, ...ended, startedAt: held.startedAt }
  }

  wake(): void {
    if (!this.#isDraining) void this.#worker.look()
  }

  async watch(
    tenant: string,
    id: RunId,
    { signal, listen }: { readonly signal: AbortSignal; readonly listen?: (event: SkillEvent) => void },
  ): Promise<RunRecord | null> {
    for (;;) {
      const live = this.#live.get(id)
      if (live !== undefined && live.run.tenant === tenant) {
        const unlisten = listen === undefined ? null : live.listen(listen)
        await orAborted(live.over, signal)
        unlisten?.()
        return this.get(tenant, id)
      }
      const run = await this.get(tenant, id)
      const isOpen = run !== null && (run.status === 'queued' || run.status === 'running')
      if (!isOpen || signal.aborted || this.#isDraining) return run
      // It goes on meanwhile, or waits to be taken up; one that ended between the two looks is over at the next.
      if (this.#live.has(id)) continue
      await orAborted(this.#backlog.has(id) || this.#backlog.isFull ? this.#worker.changed() : this.#worker.look(), signal)
    }
  }

  async cancel(tenant: string, id: RunId): Promise<boolean> {
    const { store, clock } = this.#options
    const live = this.#live.get(id)
    if (live !== undefined) {
      if (live.run.tenant === tenant) live.cancel()
      return live.run.tenant === tenant
    }
    const run = await store.get(tenant, id)
    if (run === null || !this.#backlog.remove(id)) return false
    const outcome = failed('cancelled', 'It was cancelled before it was started.')
    const execution = { outcome, version: null, effect: run.effect, attempts: 0, hasStarted: false, logs: '', startedAt: run.createdAt }
    await store.finish(id, endOf(execution, clock.now()))
    this.#worker.tellChange()
    return true
  }

  #asked(invocation: Invocation): { readonly run: NewRun; readonly record: SkillRecord | null } {
    if (this.#isDraining) throw new UnavailableError('The gateway is shutting down. Send it again.', { code: 'DRAINING' })
    const record = this.#options.runner.resolve(callOf(invocation))
    return { run: runOf(invocation, record, this.#options.clock.now()), record }
  }

  #begin(run: NewRun, record: SkillRecord | null): { readonly live: Live; readonly run: NewRun; readonly result: Promise<RunResult> } {
    const live = new Live(run, true)
    this.#live.set(run.id, live)
    const result = this.#go(run, record, live).finally(() => {
      this.#live.delete(run.id)
      this.#byKey.delete(keyOf(run))
      live.end()
    })
    const going = { live, run, result }
    this.#byKey.set(keyOf(run), going)
    // Whoever waits hears of it; when all have gone there is nobody left to tell.
    result.catch(() => undefined)
    return going
  }

  /** `record`: it is put on record before it begins; null: when it has ended. */
  async #go(run: NewRun, record: SkillRecord | null, live: Live): Promise<RunResult> {
    const { store, recorder, clock } = this.#options
    if (record === null) {
      const execution = await this.#execute(run, live)
      if (execution.version !== null) recorder.add({ run, end: endOf(execution, clock.now()), startedAt: execution.startedAt })
      // No later life would ask for it.
      execution.acknowledge?.()
      return resultOf(run.id, execution)
    }
    const taken = await store.add(run, { version: record.version })
    if (taken !== null) return this.#taken(taken, run, live)
    let isFirst = true
    const execution = await this.#execute(run, live, async (version) => {
      if (!isFirst) await store.start(run.id, version, clock.now())
      isFirst = false
    })
    await this.#worker.finish(run, execution, live)
    return resultOf(run.id, execution)
  }

  /** The key is another run's: the same call gets what that gave, or gives. */
  async #taken(taken: RunRecord, run: NewRun, live: Live): Promise<RunResult> {
    if (!isSame(taken, run)) throw reused()
    const ended =
      taken.outcome === null ? await this.watch(run.tenant, taken.id, { signal: live.signal, listen: (event) => live.tell(event) }) : taken
    const outcome = ended?.outcome ?? failed('cancelled', `The run with this key, ${taken.id}, goes on.`)
    return { id: taken.id, outcome, version: ended?.version ?? null }
  }

  #execute(run: NewRun, live: Live, onAttempt?: (version: string) => Promise<void>): Promise<Execution> {
    return this.#options.runner.execute(skillRunOf(run, live), onAttempt === undefined ? {} : { onAttempt })
  }
}

const resultOf = (id: RunId, { outcome, version }: Execution): RunResult => ({ id, outcome, version })
