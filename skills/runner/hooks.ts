/**
 * Skills that the operator runs around every other: before, with a say in it (`{"input": …}` changes the input, `{"refuse": "why"}`
 * refuses), and after, to be told. A hook before that fails lets nothing through; one after is only logged.
 */
import type { Clock, JsonObject, JsonValue, Log, SkillOutcome, SkillRun } from '#contract'
import { DEFAULT_TENANT, isJsonObject } from '#contract'
import { failed } from './execution.ts'
import type { Family } from './execution.ts'
import { outsideKey } from './invocation.ts'
import { Limit } from './limit.ts'

const MAX_REASON_CHARS = 500
/** Hooks after a run hold nobody up; what waits for them is bounded. */
const AFTER = { maxConcurrent: 4, maxQueued: 500, queueMs: 30_000 }

export interface HooksOptions {
  /** Their ids, as they are now. */
  readonly named: () => { readonly before: readonly string[]; readonly after: readonly string[] }
  readonly clock: Clock
  readonly log: Log
  readonly execute: (run: SkillRun, family: Family) => Promise<SkillOutcome>
}

/** What the runner knows of a run that is hooked. */
export interface Around {
  readonly version: string
  readonly outcome: SkillOutcome
  /** Of those that called it, and so perhaps in its input. */
  readonly secrets: readonly string[]
}

export class Hooks {
  readonly #options: HooksOptions
  readonly #limit: Limit
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(options: HooksOptions) {
    this.#options = options
    this.#limit = new Limit(AFTER, options.clock)
  }

  /** The input as the hooks leave it, or why it is not run. */
  async before(
    run: SkillRun,
    { version, secrets }: Pick<Around, 'version' | 'secrets'>,
  ): Promise<{ readonly input: JsonValue } | (SkillOutcome & { readonly status: 'error' })> {
    let { input } = run
    for (const hook of this.#options.named().before) {
      if (isItself(hook, run)) continue
      const outcome = await this.#call(hook, run, { at: 'before', told: { version, input }, signal: run.signal, secrets })
      if (outcome.status === 'error') {
        // What may be over by the next time is told as it is, so that it is known that waiting helps.
        const code = PASSED_ON.has(outcome.code) ? outcome.code : 'refused'
        return failed(code, `The hook "${hook}" guards every call and failed: ${outcome.code}: ${outcome.message}`)
      }
      const answer = isJsonObject(outcome.output) ? outcome.output : {}
      const { refuse } = answer
      if (refuse !== undefined) {
        const reason = typeof refuse === 'string' ? refuse : JSON.stringify(refuse)
        return failed('refused', `The hook "${hook}" refuses it: ${reason.slice(0, MAX_REASON_CHARS)}`)
      }
      if (answer['input'] !== undefined) input = answer['input']
    }
    return { input }
  }

  /** Goes on by itself. */
  after(run: SkillRun, around: Around): void {
    if (this.#options.named().after.length === 0 || this.#stopping.signal.aborted) return
    const work = this.#after(run, around)
    this.#running.add(work)
    void work.finally(() => this.#running.delete(work))
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#running)
  }

  async #after(run: SkillRun, { version, outcome, secrets }: Around): Promise<void> {
    const { signal } = this.#stopping
    const place = await this.#limit.take(run, signal)
    if (place.is !== 'had') {
      this.#options.log.warn({ skill: run.skill, run: run.key }, 'The hooks after this run were left out: too many wait.')
      return
    }
    for (const hook of this.#options.named().after) {
      if (isItself(hook, run)) continue
      const told = { version, input: run.input, outcome: { ...outcome } }
      const answer = await this.#call(hook, run, { at: 'after', told, signal, secrets })
      if (answer.status === 'error') this.#options.log.warn({ skill: run.skill, hook, code: answer.code }, 'A hook after a run failed.')
    }
    place.release()
  }

  /** A hook is not hooked, and neither is what it calls. */
  #call(
    hook: string,
    run: SkillRun,
    {
      at,
      told,
      signal,
      secrets,
    }: { readonly at: 'before' | 'after'; readonly told: JsonObject; readonly signal: AbortSignal } & Pick<Around, 'secrets'>,
  ): Promise<SkillOutcome> {
    const above = run.caller.is === 'skill' ? run.caller.chain : []
    return this.#options.execute(
      {
        skill: hook,
        input: { skill: run.skill, tenant: run.tenant, caller: { ...run.caller }, ...told },
        key: `${outsideKey(run)}/${at}/${hook}`,
        attempt: 1,
        // The operator's, whoever is hooked: a tenant's own skill of this id would guard nothing.
        tenant: DEFAULT_TENANT,
        caller: { is: 'skill', chain: [...above, run.skill], root: run.caller.is === 'skill' ? run.caller.root : run.key },
        ...(run.traceparent !== undefined && { traceparent: run.traceparent }),
        signal,
      },
      { budget: { left: 8 }, isHooked: false, secrets },
    )
  }
}

const isItself = (hook: string, { skill, tenant }: SkillRun): boolean => hook === skill && tenant === DEFAULT_TENANT

const PASSED_ON: ReadonlySet<string> = new Set(['unavailable', 'busy', 'cancelled'])
