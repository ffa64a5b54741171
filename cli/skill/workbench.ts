/**
 * Skills without a gateway: the same catalogue, runner and sandboxes, over a store that is gone afterwards, with what the operator's
 * configuration in this folder says of sandboxes, secrets and hosts. Nothing that a running gateway has is touched.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DEFAULT_TENANT, noTracer } from '#contract'
import type { Clock, Log, Metrics, SandboxReport, SkillDescriptor, SkillTest } from '#contract'
import { publicElsewhere } from '../../gateway/guarded/address.ts'
import { SqliteStore } from '../../gateway/store/sqlite.ts'
import { missed } from '../../skills/runner/expectation.ts'
import { defaultSettings } from '../../skills/settings.ts'
import type { SkillsSettings } from '../../skills/settings.ts'
import { SkillSet } from '../../skills/skills.ts'
import { readInstance } from '../../skills/sandbox/docker/instance.ts'
import type { World } from '../command.ts'
import { newFolder, takeLeft } from './bench-folder.ts'
import type { SkillFolder } from './folder.ts'

export interface TestResult {
  readonly name: string
  /** What came instead of what should; null: it passed. */
  readonly fault: string | null
  readonly ms: number
  readonly logs: string
}

export interface WorkbenchOptions {
  readonly settings: SkillsSettings
  readonly env: World['env']
}

const BY = { tenant: DEFAULT_TENANT, by: 'openclaw skills', signature: null }

export class Workbench {
  readonly #dir: string
  readonly #store: SqliteStore
  readonly #skills: SkillSet

  private constructor(dir: string, { settings, env }: WorkbenchOptions) {
    this.#dir = dir
    this.#store = new SqliteStore({ file: join(dir, 'sessions.db'), log: SILENT, clock: CLOCK })
    this.#skills = new SkillSet({
      // Who signs is the gateway's question; hooks are for calls that somebody makes.
      settings: { ...settings, signatures: defaultSettings.signatures, hooks: defaultSettings.hooks },
      store: this.#store,
      clock: CLOCK,
      log: SILENT,
      metrics: UNMEASURED,
      tracer: noTracer,
      random: Math.random,
      dir: join(dir, '.openclaw'),
      env,
      isPublicAddress: publicElsewhere(),
      emit: () => undefined,
    })
  }

  /** Stopped and swept away after `use`, whatever comes of it. */
  static async with<T>(options: WorkbenchOptions, use: (workbench: Workbench) => Promise<T>): Promise<T> {
    // Beside it, for nobody should wait for what somebody else left.
    const sweeping = sweep(options)
    const workbench = new Workbench(await newFolder(), options)
    try {
      await workbench.#start()
      return await use(workbench)
    } finally {
      await workbench.#stop()
      await rm(workbench.#dir, { recursive: true, force: true })
      await sweeping
    }
  }

  /** In the folder of a run that was killed: its sandboxes are found by it, and end. False: they could not be looked for. */
  static async bury(dir: string, options: WorkbenchOptions): Promise<boolean> {
    const workbench = new Workbench(dir, options)
    try {
      await workbench.#start()
      return (await workbench.reports()).some(({ name, isAvailable }) => name === 'docker' && isAvailable)
    } finally {
      await workbench.#stop()
    }
  }

  /** Descriptor and files; its tests are not run. @throws InvalidError with every fault */
  validate({ descriptor, files }: SkillFolder): Promise<SkillDescriptor> {
    return this.#skills.catalogue.validate({ ...BY, descriptor, files, skipTests: true })
  }

  /** One after the other. @throws InvalidError with every fault of descriptor and files */
  async *test(folder: SkillFolder, signal: AbortSignal): AsyncGenerator<TestResult> {
    const { id, version, tests } = await this.validate(folder)
    await this.#skills.catalogue.register({ ...BY, descriptor: folder.descriptor, files: folder.files, skipTests: true })
    for (const test of tests) yield await this.#run({ id, version }, test, signal)
  }

  reports(): Promise<readonly SandboxReport[]> {
    return this.#skills.runtime()
  }

  async #start(): Promise<void> {
    await this.#store.start()
    await this.#skills.start()
  }

  async #stop(): Promise<void> {
    await this.#skills.stop()
    await this.#store.stop()
  }

  async #run({ id, version }: Pick<SkillDescriptor, 'id' | 'version'>, test: SkillTest, signal: AbortSignal): Promise<TestResult> {
    let logs = ''
    const { outcome } = await this.#skills.runs.invoke(
      { tenant: DEFAULT_TENANT, principal: BY.by, skill: id, version, input: test.input, key: null },
      { signal, watch: (event) => (logs += event.is === 'log' ? event.text : '') },
    )
    const { queueMs, startMs, runMs } = outcome.times ?? { queueMs: 0, startMs: 0, runMs: 0 }
    return { name: test.name, fault: missed(test, outcome), ms: queueMs + startMs + runMs, logs }
  }
}

/** After runs that were killed. What cannot be swept now is left for the next one. */
async function sweep(options: WorkbenchOptions): Promise<void> {
  for (const dir of await takeLeft()) {
    try {
      // Its runs are over with it: none of them is taken up.
      for (const end of ['', '-wal', '-shm', '.lock']) await rm(join(dir, `sessions.db${end}`), { force: true })
      const hadSandboxes = (await readInstance(join(dir, '.openclaw'))) !== null
      if (!hadSandboxes || (await Workbench.bury(dir, options))) await rm(dir, { recursive: true, force: true })
    } catch {
      // It is ours as long as we live, and is found again after that.
    }
  }
}

const CLOCK: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
}

/** What goes wrong is an outcome, which is printed. */
const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT,
}

const UNMEASURED: Metrics = {
  counter: () => ({ inc: () => undefined }),
  gauge: () => ({ set: () => undefined, collect: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
}
