/**
 * The skills of one gateway, composed: what there is, what it runs in, what is kept of it. Whatever is heavy (engines, sandboxes, validators)
 * is loaded when it is first needed, so a gateway whose skills nobody calls pays for none of it.
 */
import { NotFoundError, newRunId } from '#contract'
import type {
  Clock,
  Log,
  Metrics,
  SandboxReport,
  SkillArchives,
  SkillCatalogue,
  SkillRun,
  SkillRunner,
  SkillRuns,
  Skills,
  Store,
} from '#contract'
import { OwnCatalogue } from './own-catalogue.ts'
import type { Execution } from './runner/execution.ts'
import { Recorder } from './runner/recorder.ts'
import { endOf } from './runner/run-end.ts'
import { Runner } from './runner/runner.ts'
import { Runs } from './runner/runs.ts'
import { Sandboxes } from './runner/sandboxes.ts'
import { GatewaySandbox, ownBundles } from './sandbox/gateway/gateway.ts'
import type { SkillsSettings } from './settings.ts'

export interface SkillSetOptions {
  readonly settings: SkillsSettings
  readonly store: Pick<Store, 'runs'>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** 0 to 1. */
  readonly random: () => number
}

/** Stored runs at once: they leave room for those that somebody waits for. */
const WORKERS = 8

export class SkillSet implements Skills {
  readonly runner: SkillRunner
  readonly catalogue: SkillCatalogue
  readonly runs: SkillRuns
  readonly archives: SkillArchives
  readonly #runner: Runner
  readonly #runs: Runs
  readonly #recorder: Recorder
  readonly #sandboxes: Sandboxes
  readonly #clock: Clock

  constructor({ settings, store, clock, log, metrics, random }: SkillSetOptions) {
    const catalogue = new OwnCatalogue(ownBundles())
    this.#clock = clock
    this.#recorder = new Recorder({ store: store.runs, clock, log })
    this.#sandboxes = new Sandboxes({ settings, clock, make: { gateway: async () => new GatewaySandbox({ clock, log }) } })
    this.#runner = new Runner({
      settings,
      library: catalogue,
      sandboxes: this.#sandboxes,
      clock,
      log,
      metrics,
      random,
      onEnded: (run, execution) => this.#record(run, execution),
    })
    const maxWorkers = Math.min(WORKERS, Math.max(1, Math.floor(settings.maxConcurrent / 2)))
    this.#runs = new Runs({ store: store.runs, runner: this.#runner, recorder: this.#recorder, clock, log, maxWorkers })
    this.runner = this.#runner
    this.runs = this.#runs
    this.catalogue = catalogue
    this.archives = { read: noArchives, write: noArchives }
  }

  async start(): Promise<void> {
    await this.#runs.start()
  }

  drain(ms: number): Promise<void> {
    return this.#runs.drain(ms)
  }

  async stop(): Promise<void> {
    await this.#runs.stop()
    await this.#runner.stop()
    await this.#recorder.stop()
  }

  runtime(): Promise<readonly SandboxReport[]> {
    return this.#sandboxes.reports()
  }

  /** Of a turn, or of a skill that another called. Their callers know what became of them, so nothing of them is a dead letter. */
  #record(run: SkillRun, execution: Execution): void {
    if (execution.version === null) return
    const now = this.#clock.now()
    const { skill, tenant, key, caller, input } = run
    const at = { id: newRunId(now), tenant, key, skill, caller, input, effect: execution.effect, createdAt: execution.startedAt }
    this.#recorder.add({
      run: { ...at, asked: run.version ?? null, timeoutMs: run.timeoutMs ?? null },
      end: { ...endOf(execution, now), dead: null, freesKey: false },
      startedAt: execution.startedAt,
    })
  }
}

const noArchives = (): Promise<never> =>
  Promise.reject(new NotFoundError('There are no archives of skills here.', { code: 'SKILL_NOT_FOUND' }))
