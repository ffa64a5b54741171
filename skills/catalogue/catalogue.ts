/**
 * The skills there are, in memory from the start, each change in the store first. Which version a call gets is `shelf.ts`, what is asked
 * of a new one `examination.ts`, when a canary is taken back `rollout.ts`. It runs nothing.
 */
import { ConflictError, describeError, NotFoundError } from '#contract'
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
import { pack } from '../bundle/pack.ts'
import { readDescriptor } from '../descriptor/descriptor.ts'
import { Validators } from '../descriptor/validator.ts'
import { compareVersions, parseVersion } from '../descriptor/version.ts'
import type { Version } from '../descriptor/version.ts'
import type { SkillsSettings } from '../settings.ts'
import { NOBODY, ownShelf } from './bundled.ts'
import type { Bundled, OwnShelf } from './bundled.ts'
import { compatible, formed, works } from './examination.ts'
import type { Candidate, RunTests } from './examination.ts'
import { Loader } from './loader.ts'
import { bucketOf, WHOLE, Windows } from './rollout.ts'
import { Shelf } from './shelf.ts'
import type { Held } from './shelf.ts'

export interface CatalogueOptions {
  readonly store: SkillStore
  readonly clock: Clock
  readonly log: Log
  /** As they are now. */
  readonly settings: () => SkillsSettings
  readonly bundled: readonly Bundled[]
  readonly runTests: RunTests
  /** Tells the feed: `skill.registered`, `skill.changed`, `skill.removed`, `skill.rolled_back`. Must not throw. */
  readonly emit: (name: string, data: JsonObject) => void
}

/** Versions of one tenant. */
const MAX_VERSIONS = 5_000

export class Catalogue implements SkillCatalogue, Lifecycle {
  readonly #options: CatalogueOptions
  readonly #own: ReadonlyMap<string, OwnShelf>
  /** Tenant → id. */
  readonly #shelves = new Map<string, Map<string, Shelf>>()
  readonly #loader: Loader
  readonly #validators = new Validators()
  readonly #windows: Windows
  /** The last change of each skill that is still under way: one after the other. */
  readonly #changes = new Map<string, Promise<void>>()
  #starting: Promise<void> | null = null

  constructor(options: CatalogueOptions) {
    const { store, log, settings, clock, bundled } = options
    this.#options = options
    this.#own = new Map(bundled.map((each) => [each.descriptor.id, ownShelf(each)]))
    this.#loader = new Loader({ store, log, settings })
    this.#windows = new Windows(clock)
  }

  start(): Promise<void> {
    this.#starting ??= this.#read()
    return this.#starting
  }

  /** Changes that were begun are ended. */
  async stop(): Promise<void> {
    await Promise.all(this.#changes.values())
  }

  async #read(): Promise<void> {
    const [records, tracks] = await Promise.all([this.#options.store.list(), this.#options.store.tracks()])
    for (const record of records) {
      const held = this.#held(record)
      if (held !== null) this.#shelfOf(record.tenant, record.id).put(held)
    }
    for (const track of tracks) this.#shelves.get(track.tenant)?.get(track.id)?.setTrack(track)
  }

  #held(record: SkillRecord): Held | null {
    const version = parseVersion(record.version)
    if (version !== null) return { record, descriptor: readDescriptor(record.descriptor), version }
    this.#options.log.error({ skill: record.id, version: record.version }, 'skill left out: its version is none')
    return null
  }

  /** Looking up */

  list(tenant: string): readonly SkillView[] {
    const ids = new Set([...(this.#shelves.get(tenant)?.keys() ?? []), ...this.#own.keys()])
    return [...ids].toSorted().flatMap((id) => this.find(tenant, id) ?? [])
  }

  find(tenant: string, id: string): SkillView | null {
    const shelf = this.#seen(tenant, id)
    if (shelf === null) return null
    const current = this.#isOn(id) ? (shelf.current()?.descriptor ?? null) : null
    return { id, tracks: shelf.tracks(), versions: shelf.versions().map((held) => this.#shown(held)), current }
  }

  resolve(tenant: string, id: string, version?: string): SkillRecord | null {
    const held = this.#seen(tenant, id)?.find(version) ?? null
    return held === null ? null : this.#shown(held)
  }

  /** Of each id that can be called the version that a call without one gets. */
  current(tenant: string): readonly SkillDescriptor[] {
    return this.list(tenant).flatMap(({ current }) => current ?? [])
  }

  /** Of what a call of this version, major or range gets; null: nothing of it can be called. */
  describe(tenant: string, id: string, asked: string): SkillDescriptor | null {
    return (this.#isOn(id) ? this.#seen(tenant, id)?.choose(asked, null)?.descriptor : null) ?? null
  }

  /** The version for this call, by the rollout of its major; callers with the same `sticky` get the same one. */
  choose(tenant: string, id: string, asked: string | undefined, sticky: string): SkillRecord | null {
    if (!this.#isOn(id)) return null
    return this.#seen(tenant, id)?.choose(asked, bucketOf(tenant, id, sticky))?.record ?? null
  }

  /** Ready to run. @throws InvalidError (`SKILL_UNSIGNED`), ConflictError (`SKILL_DAMAGED`) */
  load(record: SkillRecord): Promise<Bundle> {
    const own = record.tenant === NOBODY ? this.#own.get(record.id) : undefined
    return own === undefined ? this.#loader.load(record) : own.bundled.load()
  }

  /** What is wrong with an input or output; nothing: it fits. */
  faultsOf(bundle: Bundle, side: 'inputs' | 'outputs', value: JsonValue): Promise<readonly Fault[]> {
    return this.#validators.check(bundle, side, value)
  }

  async files(tenant: string, id: string, version: string): Promise<Files> {
    const held = this.#seen(tenant, id)?.get(version)
    if (held === undefined) throw noVersion(id, version)
    const own = held.record.tenant === NOBODY ? this.#own.get(id) : undefined
    return (own === undefined ? await this.#loader.files(held.record) : await own.bundled.load()).files
  }

  /** Registering */

  async validate(skill: NewSkill): Promise<SkillDescriptor> {
    const candidate = await formed(skill, { settings: this.#options.settings(), log: this.#options.log })
    if (this.#known(candidate, skill) === null) await this.#examine(candidate, skill)
    return candidate.bundle.descriptor
  }

  async register(skill: NewSkill): Promise<SkillRecord> {
    const candidate = await formed(skill, { settings: this.#options.settings(), log: this.#options.log })
    return this.#change(skill.tenant, candidate.bundle.descriptor.id, async () => {
      const known = this.#known(candidate, skill)
      if (known !== null) return this.#signed(known, skill.signature)
      await this.#examine(candidate, skill)
      return this.#add(candidate, skill)
    })
  }

  /** The same content under the same version. @throws ConflictError (`SKILL_VERSION_TAKEN`) */
  #known({ bundle }: Candidate, { tenant }: NewSkill): Held | null {
    const { id, version } = bundle.descriptor
    const held = this.#shelves.get(tenant)?.get(id)?.get(version) ?? null
    if (held !== null && held.record.digest !== bundle.digest) throw taken(id, version)
    return held
  }

  async #examine(candidate: Candidate, skill: NewSkill): Promise<void> {
    const { id } = candidate.bundle.descriptor
    const mine = this.#shelves.get(skill.tenant)
    const count = [...(mine?.values() ?? [])].reduce((sum, shelf) => sum + shelf.size, 0)
    if (count >= MAX_VERSIONS) {
      throw new ConflictError(`There are ${MAX_VERSIONS} versions of skills already. Remove some first.`, { code: 'TOO_MANY_SKILLS' })
    }
    compatible(candidate, versionOf(candidate), mine?.get(id) ?? null)
    await works(candidate, skill, this.#options.runTests)
  }

  /** A version that was there gets another signature, by a newer key for one. */
  async #signed(held: Held, signature: string | null): Promise<SkillRecord> {
    if (signature === null || signature === held.record.signature) return held.record
    return this.#alter(held, { signature })
  }

  async #add({ bundle, written }: Candidate, { tenant, by, signature, hold = false }: NewSkill): Promise<SkillRecord> {
    const { id, version } = bundle.descriptor
    const { store, clock, emit, log } = this.#options
    const created = { createdAt: clock.now(), createdBy: by }
    const state = { isEnabled: true, deprecated: null, signature }
    const record: SkillRecord = { tenant, id, version, digest: bundle.digest, descriptor: written, ...state, ...created }
    const track = hold ? null : this.#promoted(record, versionOf({ bundle, written }))
    const added = await store.add(record, await pack(bundle.files), track)
    if (added === 'taken') throw taken(id, version)
    const held = this.#held(record)
    const shelf = this.#shelfOf(tenant, id)
    if (held !== null) shelf.put(held)
    if (track !== null) shelf.setTrack(track)
    log.info({ skill: id, version, tenant, digest: bundle.digest }, 'skill registered')
    emit('skill.registered', { tenant, id, version, digest: bundle.digest, stable: track !== null })
    return record
  }

  /** A release that is newer than the stable one takes its place, unless a canary is out. */
  #promoted(record: SkillRecord, version: Version): SkillTrack | null {
    if (version.prerelease.length > 0) return null
    const track = this.#shelves.get(record.tenant)?.get(record.id)?.track(version.major)
    const next = { ...fresh({ record, version }), updatedAt: this.#options.clock.now() }
    if (track === undefined) return next
    const stable = parseVersion(track.stable)
    const isNewer = stable === null || compareVersions(version, stable) > 0
    return isNewer && track.canary === null ? { ...next, previous: track.stable } : null
  }

  /** Changing */

  setEnabled(tenant: string, id: string, version: string, isEnabled: boolean): Promise<void> {
    return this.#change(tenant, id, async () => void (await this.#alter(this.#mine(tenant, id, version).held, { isEnabled })))
  }

  deprecate(tenant: string, id: string, version: string, note: string | null): Promise<void> {
    return this.#change(tenant, id, async () => void (await this.#alter(this.#mine(tenant, id, version).held, { deprecated: note })))
  }

  remove(tenant: string, id: string, version: string | null): Promise<void> {
    return this.#change(tenant, id, async () => {
      const shelf = this.#mineOf(tenant, id)
      if (version !== null) this.#refuseInUse(shelf, this.#mine(tenant, id, version).held)
      await this.#options.store.remove({ tenant, id, version })
      if (version !== null) shelf.take(version)
      if (version === null || shelf.size === 0) this.#shelves.get(tenant)?.delete(id)
      this.#options.emit('skill.removed', { tenant, id, version })
    })
  }

  /** The last of its major takes the major with it. */
  #refuseInUse(shelf: Shelf, { record, version }: Held): void {
    const track = shelf.track(version.major)
    const isLast = shelf.versions().filter((held) => held.version.major === version.major).length === 1
    if (isLast || (track?.stable !== record.version && track?.canary !== record.version)) return
    throw new ConflictError(
      `Version ${record.version} of skill "${record.id}" is ${track.stable === record.version ? 'the stable one' : 'the canary'} of its major. Promote another or roll back first, or remove the skill whole.`,
      { code: 'SKILL_IN_USE' },
    )
  }

  canary(tenant: string, id: string, version: string, weight: number): Promise<SkillTrack> {
    return this.#roll(tenant, id, version, (track) => {
      if (track === null) throw conflict(`Skill "${id}" has no stable version in the major of ${version}. Promote one first.`)
      if (weight === 0) return { ...track, canary: null, weight: 0 }
      if (track.stable === version)
        throw conflict(`Version ${version} of skill "${id}" is the stable one already; another can be its canary.`)
      return { ...track, canary: version, weight: Math.min(Math.max(Math.floor(weight), 0), WHOLE), note: null }
    })
  }

  promote(tenant: string, id: string, version: string): Promise<SkillTrack> {
    return this.#roll(tenant, id, version, (track, held) =>
      track?.stable === version ? track : { ...fresh(held), previous: track?.stable ?? null },
    )
  }

  rollback(tenant: string, id: string, major: number): Promise<SkillTrack> {
    return this.#change(tenant, id, async () => {
      const track = this.#mineOf(tenant, id).track(major)
      if (track === undefined) throw noVersion(id, `${major}`)
      return this.#rolledBack(track, 'by hand')
    })
  }

  /** How a run of it went. */
  observe(record: SkillRecord, outcome: SkillOutcome, ms: number): void {
    const { tenant, id, version } = record
    const major = parseVersion(version)?.major
    const track = major === undefined ? undefined : this.#shelves.get(tenant)?.get(id)?.track(major)
    const reason = track === undefined ? null : this.#windows.observe(track, { version, outcome, ms })
    if (track === undefined || reason === null) return
    const isStill = (): boolean => this.#shelves.get(tenant)?.get(id)?.track(track.major) === track
    this.#change(tenant, id, async () => void (isStill() && (await this.#rolledBack(track, reason)))).catch((error: unknown) =>
      this.#options.log.error({ skill: id, version, ...describeError(error) }, 'canary could not be rolled back'),
    )
  }

  async #rolledBack(track: SkillTrack, reason: string): Promise<SkillTrack> {
    const { tenant, id, major, stable, canary, previous } = track
    if (canary === null && previous === null) {
      throw conflict(
        `Skill "${id}" has nothing to go back to in major ${major}: no canary is out, and no version was stable before ${stable}.`,
      )
    }
    const note = `${canary ?? stable} was rolled back: ${reason}`
    const back = canary !== null ? { stable, previous } : { stable: previous ?? stable, previous: null }
    const next = await this.#track({ ...track, ...back, canary: null, weight: 0, note })
    this.#options.log.warn({ skill: id, version: canary ?? stable, tenant, reason }, 'skill rolled back')
    this.#options.emit('skill.rolled_back', { tenant, id, major, version: canary ?? stable, stable: next.stable, note })
    return next
  }

  #roll(tenant: string, id: string, version: string, next: (track: SkillTrack | null, held: Held) => SkillTrack): Promise<SkillTrack> {
    return this.#change(tenant, id, async () => {
      const { shelf, held } = this.#mine(tenant, id, version)
      if (!held.record.isEnabled) throw conflict(`Version ${version} of skill "${id}" is switched off. Enable it first.`)
      const track = await this.#track(next(shelf.track(held.version.major) ?? null, held))
      this.#options.emit('skill.changed', { tenant, id, version, stable: track.stable, canary: track.canary, weight: track.weight })
      return track
    })
  }

  async #track(changed: SkillTrack): Promise<SkillTrack> {
    const track = { ...changed, updatedAt: this.#options.clock.now() }
    await this.#options.store.setTrack(track)
    this.#shelfOf(track.tenant, track.id).setTrack(track)
    return track
  }

  async #alter({ record }: Held, change: Parameters<SkillStore['change']>[1]): Promise<SkillRecord> {
    const { tenant, id, version } = record
    if (!(await this.#options.store.change({ tenant, id, version }, change))) throw noVersion(id, version)
    const changed = { ...record, ...change }
    const held = this.#held(changed)
    if (held !== null) this.#shelfOf(tenant, id).put(held)
    this.#options.emit('skill.changed', { tenant, id, version, enabled: changed.isEnabled, deprecated: changed.deprecated })
    return changed
  }

  /** One change of a skill after the other; a failed one is over as well. */
  async #change<Result>(tenant: string, id: string, work: () => Promise<Result>): Promise<Result> {
    const key = JSON.stringify([tenant, id])
    const before = this.#changes.get(key) ?? Promise.resolve()
    const result = before.then(work)
    const over = result.then(
      () => undefined,
      () => undefined,
    )
    this.#changes.set(key, over)
    try {
      return await result
    } finally {
      if (this.#changes.get(key) === over) this.#changes.delete(key)
    }
  }

  #isOn(id: string): boolean {
    const { entries } = this.#options.settings()
    return !Object.hasOwn(entries, id) || entries[id]?.isEnabled !== false
  }

  /** What the operator switched off in the settings is shown as that. */
  #shown({ record }: Held): SkillRecord {
    return record.isEnabled && !this.#isOn(record.id) ? { ...record, isEnabled: false } : record
  }

  /** A tenant's own skill stands before one of the gateway with the same id, with all its versions. */
  #seen(tenant: string, id: string): Shelf | null {
    return this.#shelves.get(tenant)?.get(id) ?? this.#own.get(id)?.shelf ?? null
  }

  #shelfOf(tenant: string, id: string): Shelf {
    const mine = this.#shelves.get(tenant) ?? new Map<string, Shelf>()
    this.#shelves.set(tenant, mine)
    const shelf = mine.get(id) ?? new Shelf()
    mine.set(id, shelf)
    return shelf
  }

  #mineOf(tenant: string, id: string): Shelf {
    const shelf = this.#shelves.get(tenant)?.get(id)
    if (shelf !== undefined) return shelf
    if (this.#own.has(id)) {
      throw new ConflictError(
        `Skill "${id}" belongs to the gateway. Switch it off with \`skills.entries.${id}.enabled: false\`, or register your own under this id.`,
        { code: 'SKILL_BUNDLED' },
      )
    }
    throw new NotFoundError(`There is no skill "${id}". \`openclaw skills list\` shows those there are.`, { code: 'SKILL_NOT_FOUND' })
  }

  #mine(tenant: string, id: string, version: string): { readonly shelf: Shelf; readonly held: Held } {
    const shelf = this.#mineOf(tenant, id)
    const held = shelf.get(version)
    if (held === undefined) throw noVersion(id, version)
    return { shelf, held }
  }
}

function versionOf({ bundle }: Candidate): Version {
  const version = parseVersion(bundle.descriptor.version)
  if (version === null) throw new Error('A version that was checked is none.')
  return version
}

/** A track on which one version has all calls. */
const fresh = ({ record: { tenant, id, version }, version: { major } }: Pick<Held, 'record' | 'version'>): SkillTrack => ({
  tenant,
  id,
  major,
  stable: version,
  previous: null,
  canary: null,
  weight: 0,
  note: null,
  updatedAt: 0,
})

const noVersion = (id: string, version: string): NotFoundError =>
  new NotFoundError(`There is no version ${version} of skill "${id}". \`openclaw skills versions ${id}\` shows those there are.`, {
    code: 'SKILL_NOT_FOUND',
  })

const taken = (id: string, version: string): ConflictError =>
  new ConflictError(`Version ${version} of skill "${id}" exists with other content, and a version never changes. Raise the version.`, {
    code: 'SKILL_VERSION_TAKEN',
  })

const conflict = (message: string): ConflictError => new ConflictError(message, { code: 'SKILL_ROLLOUT_REFUSED' })
