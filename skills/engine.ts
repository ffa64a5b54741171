/**
 * What runs skills, composed: runner, sandboxes, and what is kept of runs. Made when the first skill is run, or when a former life left
 * something to look after; what there is to run is the catalogue's.
 */
import { newRunId } from '#contract'
import type { Clock, Fault, Log, Metrics, SkillRun, Store, Tracer } from '#contract'
import type { Bundle } from './bundle/bundle.ts'
import type { Catalogue } from './catalogue/catalogue.ts'
import type { Execution } from './runner/execution.ts'
import { missed } from './runner/expectation.ts'
import { Ledger } from './runner/ledger.ts'
import { Recorder } from './runner/recorder.ts'
import { endOf } from './runner/run-end.ts'
import { Runner } from './runner/runner.ts'
import { Runs } from './runner/runs.ts'
import { Sandboxes } from './runner/sandboxes.ts'
import { Workshop } from './sandbox/workshop.ts'
import type { SkillsSettings } from './settings.ts'

export interface EngineOptions {
  /** What sandboxes are made with, for good. */
  readonly settings: SkillsSettings
  /** As they are now. */
  readonly now: () => SkillsSettings
  readonly catalogue: Catalogue
  readonly store: Pick<Store, 'runs'>
  /** The gateway's folder `.openclaw`. */
  readonly dir: string
  readonly env: { readonly [name: string]: string | undefined }
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly tracer: Tracer
  /** 0 to 1. */
  readonly random: () => number
  readonly isPublicAddress: (address: string) => boolean
}

/** Stored runs at once: they leave room for those that somebody waits for. */
const WORKERS = 8

export class Engine {
  readonly runner: Runner
  readonly runs: Runs
  readonly sandboxes: Sandboxes
  readonly #recorder: Recorder
  readonly #workshop: Workshop
  readonly #clock: Clock

  constructor(options: EngineOptions) {
    const { settings, now, store, catalogue, clock, log } = options
    this.#clock = clock
    this.#recorder = new Recorder({ store: store.runs, clock, log })
    this.#workshop = new Workshop(options)
    const ledger = new Ledger({ store: store.runs, clock })
    this.sandboxes = new Sandboxes({ settings, clock, make: this.#workshop.make })
    this.runner = new Runner({
      ...options,
      settings: now,
      library: catalogue,
      sandboxes: this.sandboxes,
      ledger,
      onEnded: (run, execution) => this.#record(run, execution),
    })
    const maxWorkers = (): number => Math.min(WORKERS, Math.max(1, Math.floor(now().maxConcurrent / 2)))
    this.runs = new Runs({ store: store.runs, runner: this.runner, recorder: this.#recorder, ledger, clock, log, maxWorkers })
  }

  async stop(): Promise<void> {
    await this.runs.stop()
    await this.runner.stop()
    await this.#workshop.stop()
    await this.#recorder.stop()
  }

  /** The tests of a descriptor, in the sandbox it will run in. */
  async test(bundle: Bundle, tenant: string): Promise<readonly Fault[]> {
    const faults: Fault[] = []
    for (const [at, test] of bundle.descriptor.tests.entries()) {
      const { outcome } = await this.runner.trial(bundle, tenant, test.input)
      const detail = missed(test, outcome)
      if (detail !== null) faults.push({ pointer: `#/tests/${at}`, detail: `${test.name}: ${detail}` })
    }
    return faults
  }

  /** Of a turn, or of a skill that another called. Their callers know what became of them, so nothing of them is a dead letter. */
  #record(run: SkillRun, execution: Execution): void {
    if (execution.version === null) return
    const now = this.#clock.now()
    const { skill, tenant, key, caller, input, version, timeoutMs, traceparent } = run
    const asked = { asked: version ?? null, timeoutMs: timeoutMs ?? null, traceparent: traceparent ?? null }
    this.#recorder.add({
      run: { id: newRunId(now), tenant, key, skill, caller, input, effect: execution.effect, createdAt: execution.startedAt, ...asked },
      end: { ...endOf(execution, now), dead: null, freesKey: false },
      startedAt: execution.startedAt,
    })
  }
}
