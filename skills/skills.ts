/**
 * The skills of one gateway: what there is, and by way of it what runs it. What there is stands in memory from the start; all else (engines,
 * sandboxes, validators) is loaded when it is first needed, so a gateway whose skills nobody calls pays for none of it.
 */
import { describeError } from '#contract'
import type {
  Clock,
  JsonObject,
  Log,
  Metrics,
  SandboxReport,
  SchemaDesk,
  SkillArchives,
  SkillCatalogue,
  SkillRunner,
  SkillRuns,
  Skills,
  Store,
  Tracer,
} from '#contract'
import { bundled } from './bundled/bundled.ts'
import { shipped } from './catalogue/bundled.ts'
import type { Bundled } from './catalogue/bundled.ts'
import { Catalogue } from './catalogue/catalogue.ts'
import type { Engine } from './engine.ts'
import { once } from './once.ts'
import type { Once } from './once.ts'
import { readInstance } from './sandbox/docker/instance.ts'
import { ownBundles } from './sandbox/gateway/own.ts'
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
  readonly tracer: Tracer
  /** 0 to 1. */
  readonly random: () => number
  /** What everybody can reach, so that skills may. */
  readonly isPublicAddress: (address: string) => boolean
  /** Tells the feed what happens to the catalogue. */
  readonly emit: (tenant: string, name: string, data: JsonObject) => void
}

/** What sandboxes are made with, by its key in the configuration. */
const AT_START: { readonly [key: string]: (settings: SkillsSettings) => unknown } = {
  'skills.sandbox': ({ sandbox }) => sandbox,
  'skills.docker': ({ docker }) => docker,
  'skills.private_hosts': ({ privateHosts }) => privateHosts,
  'skills.dependencies': ({ dependencies }) => dependencies,
}

export class SkillSet implements Skills {
  readonly runner: SkillRunner
  readonly catalogue: SkillCatalogue
  readonly runs: SkillRuns
  readonly archives: SkillArchives
  readonly schemas: SchemaDesk
  readonly #options: SkillSetOptions
  readonly #catalogue: Catalogue
  readonly #engine: Once<Engine>
  #settings: SkillsSettings
  #isDraining = false

  constructor(options: SkillSetOptions) {
    const { settings, store, clock, log, metrics, emit } = options
    this.#options = options
    this.#settings = settings
    const now = (): SkillsSettings => this.#settings
    const rollbacks = metrics.counter({
      name: 'openclaw_skill_rollbacks_total',
      help: 'Versions of skills that were taken back, by hand or by themselves.',
    })
    this.#catalogue = new Catalogue({
      store: store.skills,
      clock,
      log,
      settings: now,
      bundled: [...ownSkills(), ...bundled.map(shipped)],
      runTests: async (bundle, tenant) => (await this.#engine()).test(bundle, tenant),
      emit: (name, data) => {
        if (name === 'skill.rolled_back') rollbacks.inc()
        emit(data.tenant, name, data)
      },
    })
    this.#engine = once(async () => {
      const engine = new (await import('./engine.ts')).Engine({ ...options, now, catalogue: this.#catalogue })
      if (this.#isDraining) await engine.runs.drain(0)
      return engine
    })
    this.catalogue = this.#catalogue
    this.runner = this.#lazyRunner()
    this.runs = this.#lazyRuns()
    this.archives = {
      read: async (archive) => (await archivist()).read(archive),
      write: async (...skill) => (await archivist()).write(...skill),
    }
    const schemas = once(async () => new (await import('./descriptor/schema-desk.ts')).Schemas())
    this.schemas = {
      fault: async (schema) => (await schemas()).fault(schema),
      check: async (schema, value) => (await schemas()).check(schema, value),
    }
  }

  async start(): Promise<void> {
    const [instance] = await Promise.all([readInstance(this.#options.dir), this.#catalogue.start()])
    // Containers outlive a gateway that is killed; only a folder that ever had one is looked after.
    if (instance !== null) (await this.#engine()).sandboxes.revive(['docker'])
  }

  /**
   * In force from now on, for runs that are admitted from now on. What sandboxes were made with stays as it is until the next start:
   * the answer names the keys of that kind which are others than they were then.
   */
  async reconfigure(settings: SkillsSettings): Promise<readonly string[]> {
    this.#settings = settings
    const engine = await this.#engine.made()
    engine?.runner.reconfigured()
    return Object.entries(AT_START)
      .filter(([, part]) => JSON.stringify(part(this.#options.settings)) !== JSON.stringify(part(settings)))
      .map(([key]) => key)
  }

  async drain(ms: number): Promise<void> {
    this.#isDraining = true
    await (await this.#engine.made())?.runs.drain(ms)
  }

  async stop(): Promise<void> {
    this.#isDraining = true
    await (await this.#engine.made())?.stop()
    await this.#catalogue.stop()
  }

  async runtime(): Promise<readonly SandboxReport[]> {
    return (await this.#engine()).sandboxes.reports()
  }

  /** What can be called is known without what calls it. */
  #lazyRunner(): SkillRunner {
    return {
      list: (tenant) => this.#catalogue.current(tenant),
      find: (tenant, id, version) => this.#catalogue.describe(tenant, id, version),
      run: async (run) => (await this.#engine()).runner.run(run),
      adopt: async (run) => (await this.#engine()).runner.adopt(run),
      stop: async () => (await this.#engine.made())?.runner.stop(),
    }
  }

  #lazyRuns(): SkillRuns {
    return {
      invoke: async (...call) => (await this.#engine()).runs.invoke(...call),
      submit: async (invocation) => (await this.#engine()).runs.submit(invocation),
      get: async (...run) => (await this.#engine()).runs.get(...run),
      watch: async (...run) => (await this.#engine()).runs.watch(...run),
      cancel: async (...run) => (await this.#engine()).runs.cancel(...run),
      wake: () => void this.#wake(),
    }
  }

  async #wake(): Promise<void> {
    const { store, log } = this.#options
    try {
      // A store that does not answer may have some: the engine looks until it does.
      const isNothing = async (): Promise<boolean> =>
        store.runs.unfinished(0, 1).then(
          (runs) => runs.length === 0,
          () => false,
        )
      if ((this.#engine.made() === null && (await isNothing())) || this.#isDraining) return
      ;(await this.#engine()).runs.wake()
    } catch (error) {
      log.error({ 'error.code': describeError(error).code }, 'What runs skills could not be loaded.')
    }
  }
}

const archivist = async (): Promise<SkillArchives> => (await import('./bundle/archives.ts')).archives

const ownSkills = (): readonly Bundled[] =>
  ownBundles().map((bundle) => ({ descriptor: bundle.descriptor, load: () => Promise.resolve(bundle) }))
