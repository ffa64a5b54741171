/** A runner over skills and a sandbox that a test scripts; time stands still unless it is moved. */
import { newRunId, noTracer } from '#contract'
import type {
  Fault,
  JsonObject,
  JsonValue,
  RunStore,
  SkillDescriptor,
  SkillErrorCode,
  SkillOutcome,
  SkillRecord,
  SkillRun,
  Tracer,
} from '#contract'
import assert from 'node:assert/strict'
import { Registry } from '../../../gateway/observe/metrics.ts'
import type { Bundle } from '../../../skills/bundle/bundle.ts'
import type { Execution } from '../../../skills/runner/execution.ts'
import { Ledger } from '../../../skills/runner/ledger.ts'
import type { Library } from '../../../skills/runner/library.ts'
import { Runner } from '../../../skills/runner/runner.ts'
import { Sandboxes } from '../../../skills/runner/sandboxes.ts'
import type { Ended, Job, Sandbox } from '../../../skills/sandbox/sandbox.ts'
import { defaultSettings } from '../../../skills/settings.ts'
import type { SkillsSettings } from '../../../skills/settings.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { skillDescriptor } from '../../support/skill.ts'

export type Script = (job: Job) => Promise<Ended> | Ended
export interface ScriptedSkill extends Partial<SkillDescriptor> {
  readonly run?: Script
}

export const ok = (output: JsonValue = 'done', hasStarted = true): Ended => ({
  outcome: { status: 'ok', output, times: { queueMs: 1, startMs: 2, runMs: 3 } },
  hasStarted,
})
export const bad = (code: SkillErrorCode, hasStarted = true, message = 'It failed.'): Ended => ({
  outcome: { status: 'error', code, message, times: { queueMs: 1, startMs: 2, runMs: 3 } },
  hasStarted,
})
/** Runs until it is told to stop. */
export const hang = ({ signal, tell }: Job): Promise<Ended> => {
  tell({ is: 'started' })
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(bad('cancelled')), { once: true }))
}

export class ScriptedSandbox implements Sandbox {
  readonly name = 'gateway'
  readonly languages = ['gateway'] as const
  readonly jobs: Job[] = []
  readonly adopted: Map<string, Ended | Promise<Ended>> = new Map()
  /** Keys for which it was asked, in order. */
  readonly asked: string[] = []
  readonly #scripts: ReadonlyMap<string, Script>
  #onJob: (() => void) | null = null

  constructor(scripts: ReadonlyMap<string, Script>) {
    this.#scripts = scripts
  }
  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  async report(): Promise<Awaited<ReturnType<Sandbox['report']>>> {
    return {
      name: this.name,
      languages: this.languages,
      isAvailable: true,
      reason: null,
      isolates: [],
      leaves: [],
      warnings: [],
      facts: {},
    }
  }
  async run(job: Job): Promise<Ended> {
    this.jobs.push(job)
    this.#onJob?.()
    return (await this.#scripts.get(job.bundle.descriptor.id)?.(job)) ?? ok(job.input)
  }
  async adopt(key: string): Promise<Ended | null> {
    this.asked.push(key)
    return (await this.adopted.get(key)) ?? null
  }
  /** Resolves when so many jobs came. */
  async came(count: number): Promise<void> {
    const deadline = AbortSignal.timeout(5_000)
    while (this.jobs.length < count) {
      deadline.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        this.#onJob = resolve
        deadline.addEventListener('abort', () => reject(new Error(`${this.jobs.length} of ${count} jobs came`)), { once: true })
      })
    }
  }
}

export interface World {
  readonly clock: FakeClock
  readonly runner: Runner
  readonly ledger: Ledger
  readonly sandbox: ScriptedSandbox
  readonly library: ScriptedLibrary
  readonly metrics: Registry
  readonly ended: { readonly run: SkillRun; readonly execution: Execution }[]
  /** The operator says otherwise from now on. */
  readonly change: (settings: SkillsSettings) => void
  readonly run: (skill: string, input?: JsonValue, change?: Partial<SkillRun>) => Promise<SkillOutcome>
}

/** Inputs and outputs fit a schema `{"type": …}` by that alone. */
export class ScriptedLibrary implements Library {
  readonly observed: string[] = []
  readonly #bundles: ReadonlyMap<string, Bundle>
  constructor(bundles: ReadonlyMap<string, Bundle>) {
    this.#bundles = bundles
  }
  current(): readonly SkillDescriptor[] {
    return [...this.#bundles.values()].map(({ descriptor }) => descriptor)
  }
  describe(_tenant: string, id: string): SkillDescriptor | null {
    return this.#bundles.get(id)?.descriptor ?? null
  }
  choose(tenant: string, id: string, asked: string | undefined): SkillRecord | null {
    const bundle = this.#bundles.get(id)
    if (bundle === undefined || (asked !== undefined && asked !== '1' && asked !== bundle.descriptor.version)) return null
    const { version, effect } = bundle.descriptor
    const descriptor: JsonObject = { id, version, effect }
    return {
      tenant,
      id,
      version,
      digest: bundle.digest,
      descriptor,
      isEnabled: true,
      deprecated: null,
      signature: null,
      createdAt: 0,
      createdBy: '',
    }
  }
  async load({ id }: SkillRecord): Promise<Bundle> {
    const bundle = this.#bundles.get(id)
    if (bundle === undefined || id === 'broken') throw new Error('its bundle is gone')
    return bundle
  }
  async faultsOf(bundle: Bundle, side: 'inputs' | 'outputs', value: JsonValue): Promise<readonly Fault[]> {
    const { type } = bundle.descriptor[side]
    return type === undefined || type === typeof value ? [] : [{ pointer: '#', detail: `must be ${JSON.stringify(type)}` }]
  }
  observe({ id }: SkillRecord, { status }: SkillOutcome, ms: number): void {
    this.observed.push(`${id} ${status} ${ms}`)
  }
}

export interface WorldOptions {
  readonly skills: { readonly [id: string]: ScriptedSkill }
  readonly settings?: Partial<SkillsSettings>
  readonly clock?: FakeClock
  readonly store?: Pick<RunStore, 'add' | 'finish'>
  readonly tracer?: Tracer
}

const FORGETFUL: Pick<RunStore, 'add' | 'finish'> = { add: async () => null, finish: async () => undefined }

export function worldOf({ skills, settings, clock = new FakeClock(), store = FORGETFUL, tracer = noTracer }: WorldOptions): World {
  const entries = Object.entries(skills).map(([id, { run: _run, ...over }]) => {
    const descriptor = skillDescriptor({ id, timeoutMs: 10_000, ...over })
    return [id, { digest: `sha256-${id}`, descriptor, files: {} } satisfies Bundle] as const
  })
  const library = new ScriptedLibrary(new Map(entries))
  const sandbox = new ScriptedSandbox(
    new Map(Object.entries(skills).flatMap(([id, { run }]) => (run === undefined ? [] : [[id, run] as const]))),
  )
  let all: SkillsSettings = { ...defaultSettings, ...settings }
  const ended: World['ended'] = []
  const metrics = new Registry()
  const ledger = new Ledger({ store, clock })
  const runner = new Runner({
    settings: () => all,
    library,
    ledger,
    sandboxes: new Sandboxes({ settings: all, clock, make: { gateway: async () => sandbox } }),
    clock,
    log: quietLog,
    metrics,
    tracer,
    random: () => 0,
    onEnded: (run, execution) => ended.push({ run, execution }),
  })
  return {
    clock,
    runner,
    ledger,
    sandbox,
    library,
    metrics,
    ended,
    change: (next) => {
      all = next
      runner.reconfigured()
    },
    run: (skill, input = 'in', change = {}) => runner.run(runOf(skill, input, change)),
  }
}

export const runOf = (skill: string, input: JsonValue = 'in', change: Partial<SkillRun> = {}): SkillRun => ({
  skill,
  input,
  key: newRunId(0),
  attempt: 1,
  tenant: 'default',
  caller: { is: 'client', principal: 'ann' },
  signal: new AbortController().signal,
  ...change,
})

export function codeOf(outcome: SkillOutcome): string {
  return outcome.status === 'ok' ? 'ok' : outcome.code
}
export function messageOf(outcome: SkillOutcome): string {
  assert.equal(outcome.status, 'error', JSON.stringify(outcome))
  return outcome.message
}
