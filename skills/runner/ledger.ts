/**
 * Skills that act once, called by other skills: on record before they begin, as those that clients call. A caller that is run again, or adopted
 * by the next life of the gateway, gets what its call gave before, and never a second one in silence.
 */
import { canonicalJson, newRunId } from '#contract'
import type { Clock, RunId, RunRecord, RunStore, SkillDescriptor, SkillOutcome, SkillRun } from '#contract'
import type { Execution } from './execution.ts'
import { failed } from './execution.ts'
import { isSame } from './invocation.ts'
import { endOf } from './run-end.ts'

export class Ledger {
  readonly #store: Pick<RunStore, 'add' | 'finish'>
  readonly #clock: Clock
  /** Bounded by what runs. */
  readonly #going = new Map<string, RunId>()
  readonly #ids = new Set<RunId>()

  constructor(options: { readonly store: Pick<RunStore, 'add' | 'finish'>; readonly clock: Clock }) {
    this.#store = options.store
    this.#clock = options.clock
  }

  /** It goes on here: no former life left it. */
  has(id: RunId): boolean {
    return this.#ids.has(id)
  }

  /** What the same call gave before; null: it is the first, and on record now. Rejects as the store does. */
  async begin(run: SkillRun, { version }: Pick<SkillDescriptor, 'version'>): Promise<SkillOutcome | null> {
    const { skill, tenant, key, caller, input } = run
    const createdAt = this.#clock.now()
    const id = newRunId(createdAt)
    const given = { asked: run.version ?? null, timeoutMs: run.timeoutMs ?? null, traceparent: run.traceparent ?? null }
    this.#ids.add(id)
    const taken = await this.#store.add({ id, tenant, key, skill, caller, input, effect: 'once', createdAt, ...given }, { version })
    if (taken === null) {
      this.#going.set(keyOf(run), id)
      return null
    }
    this.#ids.delete(id)
    // A caller that is run again and calls otherwise: the answer to another call is none to this one.
    if (!isSameCall(taken, run))
      return failed('refused', 'The calling skill was run again and now makes another call in the place of one that was made before.')
    return taken.outcome ?? failed('unknown', 'It was begun before and did not end; whether it happened is not known.')
  }

  /** False: it is not on record. What the store does not take stands there as running, and is looked at in the next life. */
  async end(run: SkillRun, execution: Execution): Promise<boolean> {
    const id = this.#going.get(keyOf(run))
    if (id === undefined) return false
    try {
      await this.#store.finish(id, { ...endOf(execution, this.#clock.now()), dead: null })
    } finally {
      this.#going.delete(keyOf(run))
      this.#ids.delete(id)
    }
    return true
  }
}

const isSameCall = (taken: RunRecord, { skill, version, caller, input }: SkillRun): boolean =>
  isSame(taken, { skill, asked: version ?? null, input }) && canonicalJson(taken.caller) === canonicalJson(caller)

const keyOf = ({ tenant, key }: Pick<SkillRun, 'tenant' | 'key'>): string => `${tenant}\n${key}`
