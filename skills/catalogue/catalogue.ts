/**
 * The skills there are, in memory from the start, each change in the store first. Here is what is asked of them; how one comes in is
 * `registration.ts`, what is changed about it `steering.ts`, which version a call gets `shelf.ts`. It runs nothing, and what is of use only
 * to register or to run skills is loaded when somebody does.
 */
import type {
  Clock,
  Fault,
  JsonObject,
  JsonValue,
  Lifecycle,
  Log,
  NewSkill,
  SkillCatalogue,
  SkillDescriptor,
  SkillOutcome,
  SkillRecord,
  SkillStore,
  SkillTrack,
  SkillView,
} from '#contract'
import type { Bundle, Files } from '../bundle/bundle.ts'
import type { Side, Validators } from '../descriptor/validator.ts'
import { once } from '../once.ts'
import type { Once } from '../once.ts'
import type { SkillsSettings } from '../settings.ts'
import type { Bundled } from './bundled.ts'
import type { RunTests } from './examination.ts'
import type { Loader } from './loader.ts'
import { OneByOne } from './one-by-one.ts'
import type { Registration } from './registration.ts'
import { bucketOf } from './rollout.ts'
import type { Held } from './shelf.ts'
import { noVersion, Shelves } from './shelves.ts'
import { Steering } from './steering.ts'

export interface CatalogueOptions {
  readonly store: SkillStore
  readonly clock: Clock
  readonly log: Log
  /** As they are now. */
  readonly settings: () => SkillsSettings
  readonly bundled: readonly Bundled[]
  readonly runTests: RunTests
  /** Tells the feed: `skill.registered`, `skill.changed`, `skill.removed`, `skill.rolled_back`. Must not throw. */
  readonly emit: (name: string, data: JsonObject & { readonly tenant: string }) => void
}

export class Catalogue implements SkillCatalogue, Lifecycle {
  readonly #store: SkillStore
  readonly #settings: () => SkillsSettings
  readonly #shelves: Shelves
  readonly #loader: Once<Loader>
  readonly #validators: Once<Validators> = once(async () => new (await import('../descriptor/validator.ts')).Validators())
  readonly #changes = new OneByOne()
  readonly #steering: Steering
  readonly #registration: Once<Registration>
  #starting: Promise<void> | null = null

  constructor(options: CatalogueOptions) {
    const { store, settings, log, bundled } = options
    this.#store = store
    this.#settings = settings
    this.#shelves = new Shelves(bundled)
    this.#loader = once(async () => new (await import('./loader.ts')).Loader({ store, log, settings }))
    const parts = { ...options, shelves: this.#shelves, changes: this.#changes }
    this.#steering = new Steering(parts)
    this.#registration = once(async () => new (await import('./registration.ts')).Registration({ ...parts, steering: this.#steering }))
  }

  start(): Promise<void> {
    this.#starting ??= this.#read()
    return this.#starting
  }

  /** Changes that were begun are ended. */
  async stop(): Promise<void> {
    await this.#changes.settled()
  }

  async #read(): Promise<void> {
    const [records, tracks] = await Promise.all([this.#store.list(), this.#store.tracks()])
    for (const record of records) this.#shelves.put(record)
    for (const track of tracks) this.#shelves.setTrack(track)
  }

  list(tenant: string): readonly SkillView[] {
    return this.#shelves.ids(tenant).flatMap((id) => this.find(tenant, id) ?? [])
  }

  find(tenant: string, id: string): SkillView | null {
    const shelf = this.#shelves.seen(tenant, id)
    if (shelf === null) return null
    const current = this.#isOn(id) ? (shelf.current()?.descriptor ?? null) : null
    return { id, tracks: shelf.tracks(), versions: shelf.versions().map((held) => this.#shown(held)), current }
  }

  resolve(tenant: string, id: string, version?: string): SkillRecord | null {
    const held = this.#shelves.seen(tenant, id)?.find(version) ?? null
    return held === null ? null : this.#shown(held)
  }

  /** Of each id that can be called the version that a call without one gets. */
  current(tenant: string): readonly SkillDescriptor[] {
    return this.#shelves.ids(tenant).flatMap((id) => (this.#isOn(id) ? (this.#shelves.seen(tenant, id)?.current()?.descriptor ?? []) : []))
  }

  /** Of what a call of this version, major or range gets; null: nothing of it can be called. */
  describe(tenant: string, id: string, asked: string): SkillDescriptor | null {
    return (this.#isOn(id) ? this.#shelves.seen(tenant, id)?.choose(asked, null)?.descriptor : null) ?? null
  }

  /** The version for this call, by the rollout of its major; callers with the same `sticky` get the same one. */
  choose(tenant: string, id: string, asked: string | undefined, sticky: string): SkillRecord | null {
    if (!this.#isOn(id)) return null
    return this.#shelves.seen(tenant, id)?.choose(asked, bucketOf(tenant, id, sticky))?.record ?? null
  }

  /** Ready to run. @throws InvalidError (`SKILL_UNSIGNED`), ConflictError (`SKILL_DAMAGED`) */
  async load(record: SkillRecord): Promise<Bundle> {
    return this.#shelves.bundled(record)?.load() ?? (await this.#loader()).load(record)
  }

  /** What is wrong with an input or output; nothing: it fits. */
  async faultsOf(bundle: Bundle, side: Side, value: JsonValue): Promise<readonly Fault[]> {
    return (await this.#validators()).check(bundle, side, value)
  }

  /** How a run of it went, for canaries. */
  observe(record: SkillRecord, outcome: SkillOutcome, ms: number): void {
    this.#steering.observe(record, outcome, ms)
  }

  async files(tenant: string, id: string, version: string): Promise<Files> {
    const record = this.#shelves.seen(tenant, id)?.get(version)?.record
    if (record === undefined) throw noVersion(id, version)
    const { files } = await (this.#shelves.bundled(record)?.load() ?? (await this.#loader()).files(record))
    return files
  }

  async validate(skill: NewSkill): Promise<SkillDescriptor> {
    return (await this.#registration()).validate(skill)
  }

  async register(skill: NewSkill): Promise<SkillRecord> {
    return (await this.#registration()).register(skill)
  }

  setEnabled(tenant: string, id: string, version: string, isEnabled: boolean): Promise<void> {
    return this.#steering.setEnabled(tenant, id, version, isEnabled)
  }

  deprecate(tenant: string, id: string, version: string, note: string | null): Promise<void> {
    return this.#steering.deprecate(tenant, id, version, note)
  }

  remove(tenant: string, id: string, version: string | null): Promise<void> {
    return this.#steering.remove(tenant, id, version)
  }

  canary(tenant: string, id: string, version: string, weight: number): Promise<SkillTrack> {
    return this.#steering.canary(tenant, id, version, weight)
  }

  promote(tenant: string, id: string, version: string): Promise<SkillTrack> {
    return this.#steering.promote(tenant, id, version)
  }

  rollback(tenant: string, id: string, major: number): Promise<SkillTrack> {
    return this.#steering.rollback(tenant, id, major)
  }

  #isOn(id: string): boolean {
    const { entries } = this.#settings()
    return !Object.hasOwn(entries, id) || entries[id]?.isEnabled !== false
  }

  /** What the operator switched off in the settings is shown as that. */
  #shown({ record }: Held): SkillRecord {
    return record.isEnabled && !this.#isOn(record.id) ? { ...record, isEnabled: false } : record
  }
}
