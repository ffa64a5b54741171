/**
 * The skills of one gateway, composed: what there is, what it runs in, what is kept of it. Whatever is heavy (engines, sandboxes, validators)
 * is loaded when it is first needed, so a gateway whose skills nobody calls pays for none of it.
 */
import { newRunId } from '#contract'
import type {
  Clock,
  Fault,
  JsonObject,
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
import { bundled } from './bundled/bundled.ts'
import type { Bundle } from './bundle/bundle.ts'
import { shipped } from './catalogue/bundled.ts'
import type { Bundled } from './catalogue/bundled.ts'
import { Catalogue } from './catalogue/catalogue.ts'
import type { Execution } from './runner/execution.ts'
import { Ledger } from './runner/ledger.ts'
import { missed } from './runner/expectation.ts'
import { Recorder } from './runner/recorder.ts'
import { endOf } from './runner/run-end.ts'
import { Runner } from './runner/runner.ts'
import { Runs } from './runner/runs.ts'
import { Sandboxes } from './runner/sandboxes.ts'
import { readInstance } from './sandbox/docker/instance.ts'
import { ownBundles } from './sandbox/gateway/gateway.ts'
import { Workshop } from './sandbox/workshop.ts'
import type { SkillsSettings } from './settings.ts'

export interface SkillSetOptions {
  readonly settings: SkillsSettings
  readonly store: Pick<Store, 'runs' | 'skills'>
  /** The gateway's folder `.openclaw`: what outlives it is found by what stands there. */
  readonly dir: string
  readonly env: { readonly [name: string]: string | undefined }
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** 0 to 1. */
  readonly random: () => number
  /** What everybody can reach, so that skills may. */
  readonly isPublicAddress: (address: string) => boolean
  /** Tells the feed what happens to the catalogue. */
  readonly emit: (name: string, data: JsonObject) => void
}

/** Stored runs at once: they leave room for those that somebody waits for. */
const WORKERS = 8

export class SkillSet implements Skills {
  readonly runner: SkillRunner
  readonly catalogue: SkillCatalogue
  readonly runs: SkillRuns
  readonly archives: SkillArchives
  readonly #dir: string
  readonly #catalogue: Catalogue
  readonly #runner: Runner
  readonly #runs: Runs
  readonly #recorder: Recorder
  readonly #sandboxes: Sandboxes
  readonly #workshop: Workshop
  readonly #clock: Clock
  #settings: SkillsSettings

  constructor(options: SkillSetOptions) {
    const { settings, store, dir, clock, log, emit } = options
    this.#settings = settings
    this.#dir = dir
    this.#clock = clock
    this.#catalogue = new Catalogue({
      store: store.skills,
      clock,
      log,
      settings: () => this.#settings,
      bundled: [...ownSkills(), ...bundled.map(shipped)],
      runTests: (bundle, tenant) => this.#test(bundle, tenant),
      emit,
    })
    this.#recorder = new Recorder({ store: store.runs, clock, log })
    this.#workshop = new Workshop(options)
    const ledger = new Ledger({ store: store.runs, clock })
    this.#sandboxes = new Sandboxes({ settings, clock, make: this.#workshop.make })
    this.#runner = new Runner({
      ...options,
      settings: this.#live(),
      library: this.#catalogue,
      sandboxes: this.#sandboxes,
      ledger,
      onEnded: (run, execution) => this.#record(run, execution),
    })
    const maxWorkers = Math.min(WORKERS, Math.max(1, Math.floor(settings.maxConcurrent / 2)))
    this.#runs = new Runs({ store: store.runs, runner: this.#runner, recorder: this.#recorder, ledger, clock, log, maxWorkers })
    this.runner = this.#runner
    this.runs = this.#runs
    this.catalogue = this.#catalogue
    this.archives = {
      read: async (archive) => (await archivist()).read(archive),
      write: async (...skill) => (await archivist()).write(...skill),
    }
  }

  /**
   * In force from the next call on: what each skill is given, its grade, and whose signatures count. The rest (sandboxes, bounds, hooks,
   * private hosts) is what was made at the start.
   */
  reload({ entries, grade, signatures }: SkillsSettings): void {
    this.#settings = { ...this.#settings, entries, grade, signatures }
  }

  async start(): Promise<void> {
    await this.#catalogue.start()
    // Containers outlive a gateway that is killed; only a folder that ever had one is looked after.
    if ((await readInstance(this.#dir)) !== null) this.#sandboxes.revive(['docker'])
    await this.#runs.start()
  }

  drain(ms: number): Promise<void> {
    return this.#runs.drain(ms)
  }

  async stop(): Promise<void> {
    await this.#runs.stop()
    await this.#runner.stop()
    await this.#workshop.stop()
    await this.#recorder.stop()
    await this.#catalogue.stop()
  }

  runtime(): Promise<readonly SandboxReport[]> {
    return this.#sandboxes.reports()
  }

  /** As they are when they are read. */
  #live(): SkillsSettings {
    const current = (): SkillsSettings => this.#settings
    return {
      ...this.#settings,
      get entries() {
        return current().entries
      },
      get grade() {
        return current().grade
      },
    }
  }

  /** The tests of a descriptor, in the sandbox it will run in. */
  async #test(bundle: Bundle, tenant: string): Promise<readonly Fault[]> {
    const faults: Fault[] = []
    for (const [at, test] of bundle.descriptor.tests.entries()) {
      const { outcome } = await this.#runner.trial(bundle, tenant, test.input)
      const detail = missed(test, outcome)
      if (detail !== null) faults.push({ pointer: `#/tests/${at}`, detail: `${test.name}: ${detail}` })
    }
    return faults
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

const archivist = async (): Promise<SkillArchives> => (await import('./bundle/archives.ts')).archives

const ownSkills = (): readonly Bundled[] =>
  ownBundles().map((bundle) => ({ descriptor: bundle.descriptor, load: () => Promise.resolve(bundle) }))
