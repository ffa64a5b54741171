/**
 * Skills without a gateway: the same catalogue, runner and sandboxes, over a store that is gone afterwards, with what the operator's
 * configuration in this folder says of sandboxes, secrets and hosts. Nothing that a running gateway has is touched.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_TENANT } from '#contract'
import type { Clock, Log, Metrics, SandboxReport, SkillDescriptor, SkillTest } from '#contract'
import { isPublicAddress } from '../../gateway/guarded/address.ts'
import { SqliteStore } from '../../gateway/store/sqlite.ts'
import { missed } from '../../skills/runner/expectation.ts'
import { defaultSettings } from '../../skills/settings.ts'
import type { SkillsSettings } from '../../skills/settings.ts'
import { SkillSet } from '../../skills/skills.ts'
import type { SkillFolder } from './folder.ts'

export interface TestResult {
  readonly name: string
  /** What came instead of what should; null: it passed. */
  readonly fault: string | null
  readonly ms: number
  readonly logs: string
}

const BY = { tenant: DEFAULT_TENANT, by: 'openclaw skills', signature: null }

export class Workbench {
  readonly #dir: string
  readonly #store: SqliteStore
  readonly #skills: SkillSet

  private constructor(dir: string, settings: SkillsSettings) {
    this.#dir = dir
    this.#store = new SqliteStore({ file: join(dir, 'sessions.db'), log: SILENT, clock: CLOCK })
    this.#skills = new SkillSet({
      // Who signs is the gateway's question; hooks are for calls that somebody makes.
      settings: { ...settings, signatures: defaultSettings.signatures, hooks: defaultSettings.hooks },
      store: this.#store,
      clock: CLOCK,
      log: SILENT,
      metrics: UNMEASURED,
      random: Math.random,
      dir: join(dir, '.openclaw'),
      env: process.env,
      isPublicAddress,
      emit: () => undefined,
    })
  }

  /** Stopped and swept away after `use`, whatever comes of it. */
  static async with<T>(settings: SkillsSettings, use: (workbench: Workbench) => Promise<T>): Promise<T> {
    const dir = await mkdtemp(join(tmpdir(), 'openclaw-skills-'))
    const workbench = new Workbench(dir, settings)
    try {
      await workbench.#store.start()
      await workbench.#skills.start()
      return await use(workbench)
    } finally {
      await workbench.#skills.stop()
      await workbench.#store.stop()
      await rm(workbench.#dir, { recursive: true, force: true })
    }
  }

  /** @throws InvalidError with every fault */
  validate({ descriptor, files }: SkillFolder): Promise<SkillDescriptor> {
    return this.#skills.catalogue.validate({ ...BY, descriptor, files })
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
