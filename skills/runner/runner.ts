/**
 * Runs skills: finds the version, holds the input to its schema, waits for a place, asks the hooks, runs it in its sandbox, and tells
 * everybody what came of it. One way for all callers: agents, clients, and skills that call skills. What is kept
 * of runs is `runs.ts`.
 */
import { DEFAULT_TENANT, describeError, newRunId } from '#contract'
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
} from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import type { SkillsSettings } from '../settings.ts'
import { attemptAll, converse, judge } from './attempt.ts'
import { MAX_FAMILY } from './composition.ts'
import { NO_TIMES, addTimes, failed, stickyOf } from './execution.ts'
import type { Execution, Family } from './execution.ts'
import { grantOf } from './grant.ts'
import type { Grant } from './grant.ts'
import type { Ledger } from './ledger.ts'
import { Hooks } from './hooks.ts'
import type { Library } from './library.ts'
import { Limit } from './limit.ts'
import { SkillMeter } from './meter.ts'
import { Redaction } from './redaction.ts'
import type { Sandboxes } from './sandboxes.ts'
import { Telling } from './telling.ts'

export interface RunnerOptions {
  readonly settings: SkillsSettings
  readonly library: Library
  readonly sandboxes: Sandboxes
  readonly ledger: Ledger
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** 0 to 1. */
  readonly random: () => number
  /** Runs of agents, of other skills and of hooks, when they have ended. */
  readonly onEnded: (run: SkillRun, execution: Execution) => void
}

export interface ExecuteOptions {
  /** Before each attempt; what it throws ends the run before anything happened. */
  readonly onAttempt?: (version: string, attempt: number) => Promise<void> | void
}

/** Ready to run: all is known and nothing was done. */
interface Admitted {
  readonly bundle: Bundle
  readonly grant: Grant
  readonly sandbox: Sandbox
}

export class Runner implements SkillRunner {
  readonly #options: RunnerOptions
  readonly #limit: Limit
  readonly #hooks: Hooks
  readonly #meter: SkillMeter
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor(options: RunnerOptions) {
    const { settings, clock, log, metrics } = options
    this.#options = options
    this.#limit = new Limit({ ...settings, clock })
    const execute = (run: SkillRun, family: Family): Promise<SkillOutcome> => this.#within(run, family)
    this.#hooks = new Hooks({ ...settings.hooks, clock, log, execute })
    this.#meter = new SkillMeter(metrics, this.#limit)
  }

  list(): readonly SkillDescriptor[] {
    return this.#options.library.current(DEFAULT_TENANT)
  }

  find(id: string, version: string): SkillDescriptor | null {
    return this.#options.library.describe(DEFAULT_TENANT, id, version)
  }

  async run(run: SkillRun): Promise<SkillOutcome> {
    const execution = await this.execute(run)
    this.#options.onEnded(run, execution)
    return execution.outcome
  }

  /** As `run`, with all that is known of it; who asks sees to it that it is kept. */
  execute(run: SkillRun, options: ExecuteOptions = {}): Promise<Execution> {
    const family: Family = { budget: { left: MAX_FAMILY }, isHooked: true }
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
    return this.#track(this.#execute(run, { budget: { left: MAX_FAMILY }, isHooked: false }, { isFirst: true, candidate: bundle }))
  }

  /** Which version a call would get. */
  resolve(run: Pick<SkillRun, 'tenant' | 'skill' | 'version' | 'caller'>): SkillRecord | null {
    return this.#options.library.choose(run.tenant, run.skill, run.version, stickyOf(run))
  }

  /** What is wrong with the input, without running anything; null: nothing. */
  async check(record: SkillRecord, input: JsonValue): Promise<(SkillOutcome & { readonly status: 'error' }) | null> {
    const bundle = await this.#load(record)
    return 'status' in bundle ? bundle : this.#invalid(bundle, input)
  }

  async adopt(run: Omit<SkillRun, 'input' | 'attempt'>): Promise<SkillOutcome | null> {
    const execution = await this.adoptExecution(run)
    if (execution === null) return null
    this.#options.onEnded({ ...run, input: null, attempt: 1 }, execution)
    return execution.outcome
  }

  async adoptExecution(run: Omit<SkillRun, 'input' | 'attempt'>): Promise<Execution | null> {
    const { clock, settings, sandboxes, library, log } = this.#options
    const startedAt = clock.now()
    const record = this.resolve(run)
    const bundle = record === null ? null : await this.#load(record)
    if (bundle === null || 'status' in bundle) return null
    const { descriptor } = bundle
    const grant = grantOf(descriptor, settings)
    const redaction = new Redaction(Object.values(grant.secrets))
    const telling = new Telling({ clock, redaction, watch: run.watch })
    const signal = AbortSignal.any([run.signal, this.#stopping.signal])
    const family: Family = { budget: { left: MAX_FAMILY }, isHooked: true }
    const execute = (child: SkillRun, of: Family): Promise<SkillOutcome> => this.#within(child, of)
    const adopter = {
      skill: descriptor.id,
      egress: grant.egress,
      signal,
      ...converse({ run: { ...run, input: null, attempt: 1 }, family, telling, clock, execute }, signal, descriptor.timeoutMs),
    }
    const ended = await this.#track(sandboxes.adopt(run.key, adopter))
    const logs = telling.end()
    if (ended === null) return null
    const { outcome } = await judge({ bundle, grant, library, redaction, log, run: { ...run, input: null, attempt: 1 } }, ended)
    this.#meter.ended(outcome)
    return { outcome, version: descriptor.version, effect: descriptor.effect, attempts: 1, hasStarted: ended.hasStarted, logs, startedAt }
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([this.#hooks.stop(), ...this.#running])
    await this.#options.sandboxes.stop()
  }

  /** A hook, or a skill that another calls. */
  async #within(run: SkillRun, family: Family): Promise<SkillOutcome> {
    const execution = await this.#track(this.#execute(run, family, { isFirst: false }))
    try {
      if (!(await this.#options.ledger.end(run, execution))) this.#options.onEnded(run, execution)
    } catch (error) {
      this.#options.log.error({ skill: run.skill, error: describeError(error).message }, 'The end of a run could not be put on record.')
    }
    return execution.outcome
  }

  async #execute(
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
      const timed = { ...outcome, times }
      this.#meter.ended(timed)
      return { outcome: timed, ...known, startedAt }
    }
    const bundle = candidate ?? (record === null ? null : await this.#load(record))
    if (bundle === null) return end(unknownSkill(run))
    if ('status' in bundle) return end(bundle)
    const admitted = await this.#admit(bundle, run.input)
    if ('status' in admitted) return end(admitted)
    progress = { ...progress, effect: admitted.bundle.descriptor.effect }

    // Only who comes from outside waits for a place: its caller holds the one of a skill that is called, and would wait for ever.
    const place = options.isFirst ? await this.#limit.take(run.tenant, signal) : NO_PLACE
    progress = { ...progress, times: { ...NO_TIMES, queueMs: clock.now() - startedAt } }
    if (place.is !== 'had') return end(this.#noPlace(place.is))
    try {
      const guarded = family.isHooked ? await this.#guard({ ...run, signal }, admitted) : { input: run.input }
      progress = { ...progress, times: { ...progress.times, startMs: clock.now() - startedAt - progress.times.queueMs } }
      if ('status' in guarded) return end(guarded)
      const before = options.isFirst ? null : await this.#reserve(run, admitted)
      if (before !== null) return end(before)
      const tries = await this.#attempts({ ...run, signal, input: guarded.input }, family, { ...options, admitted })
      const { outcome, times, ...known } = tries
      progress = { ...progress, ...known, times: addTimes(progress.times, times) }
      if (record !== null) this.#options.library.observe(record, outcome, progress.times.runMs)
      const execution = end(outcome)
      if (family.isHooked) this.#hooks.after(run, admitted.bundle.descriptor.version, execution.outcome)
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
      family,
      telling,
      redaction,
      patienceMs: Math.min(settings.queueMs, timeoutMs),
      library,
      clock,
      log,
      random,
      execute: (child, of) => this.#within(child, of),
      onAttempt: (attempt) => onAttempt?.(descriptor.version, attempt),
    })
    return { ...tries, logs: telling.end() }
  }

  async #admit(bundle: Bundle, input: JsonValue): Promise<Admitted | (SkillOutcome & { readonly status: 'error' })> {
    const invalid = await this.#invalid(bundle, input)
    if (invalid !== null) return invalid
    const { descriptor } = bundle
    const grant = grantOf(descriptor, this.#options.settings)
    if (grant.missing.length > 0) {
      const names = grant.missing.map((name) => `\`skills.entries.${descriptor.id}.secrets.${name}\``).join(', ')
      return failed('unavailable', `Skill "${descriptor.id}" needs what nobody gave it: set ${names} in openclaw.yaml.`)
    }
    const found = await this.#options.sandboxes.for(descriptor.runtime.language)
    if ('reason' in found)
      return failed('unavailable', `Skill "${descriptor.id}" (${descriptor.runtime.language}) cannot run here. ${found.reason}`)
    return { bundle, grant, sandbox: found.sandbox }
  }

  async #load(record: SkillRecord): Promise<Bundle | (SkillOutcome & { readonly status: 'error' })> {
    try {
      return await this.#options.library.load(record)
    } catch (error) {
      const { code, message } = describeError(error)
      this.#options.log.warn(
        { skill: `${record.id}@${record.version}`, 'error.code': code, error: message },
        'A skill could not be loaded.',
      )
      return failed('unavailable', `${record.id} ${record.version} cannot be loaded: ${message}`)
    }
  }

  async #invalid(bundle: Bundle, input: JsonValue): Promise<(SkillOutcome & { readonly status: 'error' }) | null> {
    const faults = await this.#options.library.faultsOf(bundle, 'inputs', input)
    if (faults.length === 0) return null
    return failed('invalid_input', faults.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; '))
  }

  /** What hooks change is held to the schema as what the caller said. */
  async #guard(
    run: SkillRun,
    { bundle }: Admitted,
  ): Promise<{ readonly input: JsonValue } | (SkillOutcome & { readonly status: 'error' })> {
    const guarded = await this.#hooks.before(run, bundle.descriptor.version)
    if ('status' in guarded || guarded.input === run.input) return guarded
    return (await this.#invalid(bundle, guarded.input)) ?? guarded
  }

  /** A skill that acts once and that another calls is on record before it begins. */
  async #reserve(run: SkillRun, { bundle }: Admitted): Promise<SkillOutcome | null> {
    if (bundle.descriptor.effect !== 'once') return null
    try {
      return await this.#options.ledger.begin(run, bundle.descriptor)
    } catch (error) {
      return failed('unavailable', describeError(error).message)
    }
  }

  #noPlace(is: 'full' | 'late' | 'aborted'): SkillOutcome {
    const { maxConcurrent, maxQueued, queueMs } = this.#options.settings
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
}

const NO_PLACE = { is: 'had', release: () => undefined } as const

const unknownSkill = ({ skill, version }: SkillRun): SkillOutcome =>
  version === undefined
    ? failed('not_found', `There is no skill "${skill}" that can be called. \`openclaw skills list\` shows those there are.`)
    : failed(
        'not_found',
        `There is no version ${version} of skill "${skill}" that can be called. \`openclaw skills versions ${skill}\` shows those there are.`,
      )
