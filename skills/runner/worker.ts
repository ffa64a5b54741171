/**
 * Takes up stored runs, a few at once, and goes on with those that a former life of the gateway began: one that outlived it is adopted,
 * one that may be repeated is run again, and of all others it is said that nobody knows. Nothing is repeated in silence.
 */
import { describeError } from '#contract'
import type { Clock, Log, NewRun, RunId, RunRecord, RunStore } from '#contract'
import type { Backlog, Waiting } from './backlog.ts'
import { failed } from './execution.ts'
import type { Execution } from './execution.ts'
import type { Ledger } from './ledger.ts'
import { Live } from './live.ts'
import { endOf, isNotNow, unknownEnd } from './run-end.ts'
import type { Runner } from './runner.ts'
import { skillRunOf } from './skill-run.ts'

export interface WorkerOptions {
  readonly store: RunStore
  readonly runner: Runner
  readonly backlog: Backlog
  readonly live: Map<RunId, Live>
  readonly ledger: Ledger
  readonly clock: Clock
  readonly log: Log
  readonly maxWorkers: () => number
}

/** A run in which the gateway died so often is not begun again: it may be what kills it. */
const MAX_LIVES = 5
const LOOK_AGAIN_MS = 5_000
/** Runs at once that a former life left: their sandboxes wait for nobody. */
const MAX_RECOVERED = 64

export class Worker {
  readonly #options: WorkerOptions
  readonly #working = new Set<Promise<void>>()
  #looking: Promise<void> | null = null
  #change = Promise.withResolvers<void>()
  #cancelTimer: (() => void) | null = null
  #isClosed = false

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  /** Looks into the store for runs that are not known here. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = null))
    return this.#looking
  }

  pull(): void {
    const { backlog, live, maxWorkers } = this.#options
    while (!this.#isClosed && this.#working.size < (backlog.isUrgent ? MAX_RECOVERED : maxWorkers())) {
      const next = backlog.shift()
      if (next === null) break
      const going = new Live(next, false)
      live.set(next.id, going)
      const work = this.#takeUp(next, going).finally(() => {
        live.delete(next.id)
        going.end()
        this.#working.delete(work)
        this.tellChange()
        this.pull()
      })
      this.#working.add(work)
      this.tellChange()
    }
    if (backlog.isShort && !this.#isClosed) void this.look()
  }

  /** Resolves when a run was taken up or has ended. */
  changed(): Promise<void> {
    return this.#change.promise
  }

  tellChange(): void {
    const change = this.#change
    this.#change = Promise.withResolvers<void>()
    change.resolve()
  }

  /** Nothing more is taken up. */
  close(): void {
    this.#isClosed = true
    this.#cancelTimer?.()
    this.#options.backlog.stop()
    this.tellChange()
  }

  async stop(): Promise<void> {
    this.close()
    await Promise.all([...this.#working, this.#looking])
  }

  /** Puts the end of a run on record. What the store does not take stands there as running, and is looked at in the next life. */
  async finish(run: Pick<NewRun, 'id' | 'skill'>, execution: Execution, live: Live, isLost = false): Promise<void> {
    const { store, clock } = this.#options
    try {
      // A call that our own stop cut is no answer: what may be repeated is, and of the rest the next life says what is known.
      if (isCut(execution, live) && !live.isAttended) {
        if (!execution.hasStarted || execution.effect !== 'once') await store.defer(run.id)
        return
      }
      await store.finish(run.id, endOf(execution, clock.now(), isLost))
      execution.acknowledge?.()
    } catch (error) {
      this.#complain(run, error)
    }
  }

  async #look(): Promise<void> {
    const { backlog, live, ledger, clock } = this.#options
    try {
      await backlog.read((id) => live.has(id) || ledger.has(id))
    } catch (error) {
      this.#options.log.warn({ 'error.code': describeError(error).code }, 'Stored runs of skills could not be looked for; tried again.')
      if (!this.#isClosed) this.#cancelTimer ??= clock.after(LOOK_AGAIN_MS, () => this.#lookAgain())
    }
    this.pull()
  }

  #lookAgain(): void {
    this.#cancelTimer = null
    void this.look()
  }

  async #takeUp(waiting: Waiting, live: Live): Promise<void> {
    const { store, backlog } = this.#options
    try {
      const run = await store.get(waiting.tenant, waiting.id)
      const isOpen = run !== null && (run.status === 'queued' || run.status === 'running')
      if (!isOpen || !(await this.#work(run, live))) backlog.remove(waiting.id)
    } catch (error) {
      this.#complain({ ...waiting, skill: '' }, error)
      backlog.defer(waiting)
    }
  }

  /** True: it is put off. */
  async #work(run: RunRecord, live: Live): Promise<boolean> {
    const { store, runner, clock, backlog } = this.#options
    const adopted = run.status === 'running' ? await this.#recover(run, live) : null
    if (adopted === 'settled') return false
    let isBegun = false
    const execution =
      adopted ??
      (await runner.execute(skillRunOf(run, live), {
        onAttempt: async (version) => {
          await store.start(run.id, version, clock.now())
          isBegun = true
        },
      }))
    if (isNotNow(execution) && !live.isCancelled) {
      // Before it can be taken up again: a row that says running would be taken for one in which the gateway died.
      if (isBegun) await store.defer(run.id)
      if (backlog.defer(live.run)) return true
    }
    await this.finish(run, { ...execution, attempts: run.attempts + execution.attempts }, live, isNotNow(execution))
    return false
  }

  /** What is known of a run in which the gateway died. null: it is run again. */
  async #recover(run: RunRecord, live: Live): Promise<Execution | 'settled' | null> {
    const { store, runner, clock, log } = this.#options
    const { input: _input, attempt: _attempt, ...known } = skillRunOf({ ...run, asked: run.version ?? run.asked }, live)
    const adopted = await runner.adoptExecution(known)
    if (adopted !== null) return { ...adopted, attempts: 0 }
    if (live.signal.aborted) return 'settled'
    if (run.effect === 'once') {
      log.warn(
        { run: run.id, skill: run.skill },
        'The gateway died while this skill ran; whether it happened is not known. It is a dead letter.',
      )
      await store.finish(run.id, unknownEnd(run, clock.now()))
      return 'settled'
    }
    if (run.attempts < MAX_LIVES) return null
    const outcome = failed('crashed', `The gateway died ${run.attempts} times while it ran.`)
    return { outcome, version: run.version, effect: run.effect, attempts: 0, hasStarted: true, logs: '', startedAt: clock.now() }
  }

  #complain(run: Pick<NewRun, 'id' | 'skill'>, error: unknown): void {
    const { code, message } = describeError(error)
    this.#options.log.error(
      { run: run.id, skill: run.skill, 'error.code': code, error: message },
      'The end of a run could not be put on record.',
    )
  }
}

const isCut = ({ outcome }: Execution, live: Live): boolean =>
  outcome.status === 'error' && outcome.code === 'cancelled' && live.signal.aborted && !live.isCancelled
