/**
 * Runs skills: has them admitted, waits for a place, asks the hooks, runs them in their sandbox, and tells everybody what came of it. One way
 * for all callers: agents, clients, and skills that call skills. What a run needs is `admission.ts`, what is kept of runs `runs.ts`.
 */
import { DEFAULT_TENANT, SKILL_CODES, describeError, newRunId } from '#contract'
import type {
  Clock,
  JsonValue,
  Log,
  Metrics,
  SkillDescriptor,
  SkillEffect,
  SkillOutcome,
  SkillRecord,
  SkillRun,
  SkillRunner,
  SkillTimes,
  Tracer,
} from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import type { SkillsSettings } from '../settings.ts'
import { Admission, unknownSkill } from './admission.ts'
import type { Admitted, Refusal } from './admission.ts'
import { adoptRun } from './adoption.ts'
import { attemptAll } from './attempt.ts'
import { MAX_FAMILY } from './composition.ts'
import { NO_TIMES, addTimes, failed } from './execution.ts'
import type { Execution, Family } from './execution.ts'
import type { Ledger } from './ledger.ts'
import { Hooks } from './hooks.ts'
import type { Library } from './library.ts'
import { Limit } from './limit.ts'
import { SkillMeter } from './meter.ts'
import { Redaction } from './redaction.ts'
import type { Sandboxes } from './sandboxes.ts'
import { Telling } from './telling.ts'

export interface RunnerOptions {
  /** As they are now. */
  readonly settings: () => SkillsSettings
  readonly library: Library
  readonly sandboxes: Sandboxes
  readonly ledger: Ledger
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly tracer: Tracer
  /** 0 to 1. */
  readonly random: () => number
  /** Runs of agents, of other skills and of hooks, when they have ended. */
  readonly onEnded: (run: SkillRun, execution: Execution) => void
}

export interface ExecuteOptions {
  /** Before each attempt; what it throws ends the run before anything happened. */
  readonly onAttempt?: (version: string, attempt: number) => Promise<void> | void
}

export class Runner implements SkillRunner {
  readonly #options: RunnerOptions
  readonly #admission: Admission
  readonly #limit: Limit
  readonly #hooks: Hooks
  readonly #meter: SkillMeter
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor(options: RunnerOptions) {
    const { settings, clock, log, metrics } = options
    this.#options = options
    this.#admission = new Admission(options)
    this.#limit = new Limit(settings(), clock)
    const execute = (run: SkillRun, family: Family): Promise<SkillOutcome> => this.#within(run, family)
    this.#hooks = new Hooks({ named: () => settings().hooks, clock, log, execute })
    this.#meter = new SkillMeter(metrics, this.#limit)
  }

  /** Bounds may be others by now; everything else is asked for when it is needed. */
  reconfigured(): void {
    this.#limit.change(this.#options.settings())
  }

  list(): readonly SkillDescriptor[] {
    return this.#options.library.current(DEFAULT_TENANT)
  }

  find(id: string, version: string): SkillDescriptor | null {
    return this.#options.library.describe(DEFAULT_TENANT, id, version)
  }

  /** Not acknowledged: a turn records what it gets after this. */
  async run(run: SkillRun): Promise<SkillOutcome> {
    const execution = await this.execute(run)
    this.#options.onEnded(run, execution)
    return execution.outcome
  }

  /** As `run`, with all that is known of it; who asks sees to it that it is kept. */
  execute(run: SkillRun, options: ExecuteOptions = {}): Promise<Execution> {
    const family: Family = { budget: { left: MAX_FAMILY }, isHooked: true, secrets: [] }
    return this.#track(this.#execute(run, family, { ...options, isFirst: true }))
  }

  /** Runs what is not in the catalogue: a candidate's tests. Nobody hooks it, and nothing of it is kept. */
  trial(bundle: Bundle, tenant: string, input: JsonValue): Promise<Execution> {
    const { id, version } = bundle.descriptor
    const run: SkillRun = {
      skill: id,
      version,
      input,
      key: newRunId(this.#options.clock.now()),
      attempt: 1,
      tenant,
      caller: { is: 'client', principal: 'openclaw' },
      signal: this.#stopping.signal,
    }
    return this.#track(this.#unrecorded(run, bundle))
  }

  /** Which version a call would get. */
  resolve(run: Pick<SkillRun, 'tenant' | 'skill' | 'version' | 'caller'>): SkillRecord | null {
    return this.#admission.resolve(run)
  }

  /** What is wrong with the input, without running anything; null: nothing. */
  async check(record: SkillRecord, input: JsonValue): Promise<Refusal | null> {
    const bundle = await this.#admission.load(record)
    return 'status' in bundle ? bundle : this.#admission.invalid(bundle, input)
  }

  async adopt(run: Omit<SkillRun, 'input' | 'attempt'>): Promise<SkillOutcome | null> {
    const execution = await this.adoptExecution(run)
    if (execution === null) return null
    this.#options.onEnded({ ...run, input: null, attempt: 1 }, execution)
    return execution.outcome
  }

  async adoptExecution(run: Omit<SkillRun, 'input' | 'attempt'>): Promise<Execution | null> {
    const signal = AbortSignal.any([run.signal, this.#stopping.signal])
    const execute = (child: SkillRun, family: Family): Promise<SkillOutcome> => this.#within(child, family)
    const execution = await this.#track(adoptRun({ ...run, signal }, { ...this.#options, admission: this.#admission, execute }))
    if (execution !== null) this.#meter.ended(run.skill, execution)
    return execution
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#hooks.stop(), ...this.#running])
    await this.#options.sandboxes.stop()
  }

  /** A hook, or a skill that another calls. */
  async #within(run: SkillRun, family: Family): Promise<SkillOutcome> {
    const execution = await this.#track(this.#execute(run, family, { isFirst: false }))
    const kept = withoutSecrets(run, execution, new Redaction(family.secrets))
    try {
      if (!(await this.#options.ledger.end(run, kept.execution))) this.#options.onEnded(kept.run, kept.execution)
      execution.acknowledge?.()
    } catch (error) {
      this.#options.log.error({ skill: run.skill, error: describeError(error).message }, 'The end of a run could not be put on record.')
    }
    return execution.outcome
  }

  async #unrecorded(run: SkillRun, candidate: Bundle): Promise<Execution> {
    const family = { budget: { left: MAX_FAMILY }, isHooked: false, secrets: [] }
    const execution = await this.#execute(run, family, { isFirst: true, candidate })
    execution.acknowledge?.()
    return execution
  }

  /** One span a run, whoever asked for it; what the skill itself leads to goes on from there. */
  async #execute(
    run: SkillRun,
    family: Family,
    options: ExecuteOptions & { readonly isFirst: boolean; readonly candidate?: Bundle },
  ): Promise<Execution> {
    const attributes = { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': run.skill, 'openclaw.caller': run.caller.is }
    const span = this.#options.tracer.span('skill.execute', { parent: run.traceparent, attributes })
    const { traceparent } = span
    let fault: string | null = 'INTERNAL'
    try {
      const execution = await this.#perform({ ...run, ...(traceparent !== undefined && { traceparent }) }, family, options)
      const { outcome, version, attempts } = execution
      span.set({ 'openclaw.skill.version': version ?? undefined, 'openclaw.attempts': attempts })
      fault = outcome.status === 'ok' ? null : SKILL_CODES[outcome.code]
      return execution
    } finally {
      span.end(fault)
    }
  }

  async #perform(
    run: SkillRun,
    family: Family,
    options: ExecuteOptions & { readonly isFirst: boolean; readonly candidate?: Bundle },
  ): Promise<Execution> {
    const { clock } = this.#options
    const startedAt = clock.now()
    const signal = AbortSignal.any([run.signal, this.#stopping.signal])
    const { candidate } = options
    const record = candidate === undefined ? this.resolve(run) : null
    let progress: Progress = {
      version: candidate?.descriptor.version ?? record?.version ?? null,
      effect: 'none',
      attempts: 0,
      hasStarted: false,
      logs: '',
      times: NO_TIMES,
    }
    const end = (outcome: SkillOutcome): Execution => {
      const { times, ...known } = progress
      const execution = { outcome: { ...outcome, times }, ...known, startedAt }
      this.#meter.ended(run.skill, execution)
      return execution
    }
    const bundle = candidate ?? (record === null ? null : await this.#admission.load(record))
    if (bundle === null) return end(unknownSkill(run))
    if ('status' in bundle) return end(bundle)
    const admitted = await this.#admission.admit(bundle, run)
    if ('status' in admitted) return end(admitted)
    progress = { ...progress, effect: admitted.bundle.descriptor.effect }

    // Only who comes from outside waits for a place: its caller holds the one of a skill that is called, and would wait for ever.
    const place = options.isFirst ? await this.#limit.take(run, signal) : NO_PLACE
    progress = { ...progress, times: { ...NO_TIMES, queueMs: clock.now() - startedAt } }
    if (place.is !== 'had') return end(this.#noPlace(place.is))
    try {
      const guarded = family.isHooked ? await this.#guard({ ...run, signal }, admitted, family) : { input: run.input }
      progress = { ...progress, times: { ...progress.times, startMs: clock.now() - startedAt - progress.times.queueMs } }
      if ('status' in guarded) return end(guarded)
      const before = options.isFirst ? null : await this.#reserve(run, admitted, family)
      if (before !== null) return end(before)
      const tries = await this.#attempts({ ...run, signal, input: guarded.input }, family, { ...options, admitted })
      const { outcome, times, ...known } = tries
      progress = { ...progress, ...known, times: addTimes(progress.times, times) }
      if (record !== null) this.#options.library.observe(record, outcome, progress.times.runMs)
      const execution = end(outcome)
      if (family.isHooked)
        this.#hooks.after(run, { version: admitted.bundle.descriptor.version, outcome: execution.outcome, secrets: family.secrets })
      return execution
    } finally {
      place.release()
    }
  }

  async #attempts(
    run: SkillRun,
    family: Family,
    { admitted, onAttempt }: ExecuteOptions & { readonly admitted: Admitted },
  ): Promise<Omit<Progress, 'version' | 'effect'> & { readonly outcome: SkillOutcome }> {
    const { clock, settings, library, log, random } = this.#options
    const { bundle, grant, sandbox } = admitted
    const { descriptor } = bundle
    const redaction = new Redaction(Object.values(grant.secrets))
    const telling = new Telling({ clock, redaction, watch: run.watch })
    const timeoutMs = Math.max(1, Math.min(descriptor.timeoutMs, run.timeoutMs ?? descriptor.timeoutMs))
    const tries = await attemptAll({
      run,
      bundle,
      grant,
      sandbox,
      input: run.input,
      timeoutMs,
      signal: run.signal,
      family: { ...family, secrets: [...family.secrets, ...Object.values(grant.secrets)] },
      telling,
      redaction,
      patienceMs: Math.min(settings().queueMs, timeoutMs),
      library,
      clock,
      log,
      random,
      execute: (child, of) => this.#within(child, of),
      onAttempt: (attempt) => onAttempt?.(descriptor.version, attempt),
    })
    return { ...tries, logs: telling.end() }
  }

  /** What hooks change is held to the schema as what the caller said. */
  async #guard(run: SkillRun, { bundle }: Admitted, { secrets }: Family): Promise<{ readonly input: JsonValue } | Refusal> {
    const guarded = await this.#hooks.before(run, { version: bundle.descriptor.version, secrets })
    if ('status' in guarded || guarded.input === run.input) return guarded
    return (await this.#admission.invalid(bundle, guarded.input)) ?? guarded
  }

  /** A skill that acts once and that another calls is on record before it begins. */
  async #reserve(run: SkillRun, { bundle }: Admitted, { secrets }: Family): Promise<SkillOutcome | null> {
    if (bundle.descriptor.effect !== 'once') return null
    try {
      return await this.#options.ledger.begin({ ...run, input: new Redaction(secrets).value(run.input) }, bundle.descriptor)
    } catch (error) {
      return failed('unavailable', describeError(error).message)
    }
  }

  #noPlace(is: 'full' | 'late' | 'aborted'): SkillOutcome {
    const { maxConcurrent, maxQueued, queueMs } = this.#options.settings()
    if (is === 'aborted') return failed('cancelled', 'It was cancelled before it was started.')
    if (is === 'full') return failed('busy', `${maxConcurrent} skills run and ${maxQueued} wait. Come back later.`)
    return failed('busy', `No place was free for ${queueMs} ms. Come back later.`)
  }

  async #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    try {
      return await work
    } finally {
      this.#running.delete(work)
    }
  }
}

interface Progress {
  readonly version: string | null
  readonly effect: SkillEffect
  readonly attempts: number
  readonly hasStarted: boolean
  readonly logs: string
  readonly times: SkillTimes
  readonly acknowledge?: () => void
}

/** As it is kept: what a skill was handed may hold the secrets of whoever called it. */
function withoutSecrets(
  run: SkillRun,
  execution: Execution,
  redaction: Redaction,
): { readonly run: SkillRun; readonly execution: Execution } {
  const { outcome, logs } = execution
  const told =
    outcome.status === 'ok'
      ? { ...outcome, output: redaction.value(outcome.output) }
      : { ...outcome, message: redaction.text(outcome.message) }
  return {
    run: { ...run, input: redaction.value(run.input) },
    execution: { ...execution, outcome: told, logs: redaction.text(logs) },
  }
}

const NO_PLACE = { is: 'had', release: () => undefined } as const
