/** What operators change about registered skills, and what canaries that fail change by themselves. The store first, then memory, then the feed. */
import { ConflictError, describeError } from '#contract'
import type { Clock, JsonObject, Log, SkillOutcome, SkillRecord, SkillStore, SkillTrack } from '#contract'
import { parseVersion } from '../descriptor/version.ts'
import type { OneByOne } from './one-by-one.ts'
import { WHOLE, Windows } from './rollout.ts'
import type { Held, Shelf } from './shelf.ts'
import { noVersion } from './shelves.ts'
import type { Shelves } from './shelves.ts'

export interface SteeringOptions {
  readonly shelves: Shelves
  readonly changes: OneByOne
  readonly store: SkillStore
  readonly clock: Clock
  readonly log: Log
  readonly emit: (name: string, data: JsonObject & { readonly tenant: string }) => void
}

export class Steering {
  readonly #options: SteeringOptions
  readonly #windows: Windows

  constructor(options: SteeringOptions) {
    this.#options = options
    this.#windows = new Windows(options.clock)
  }

  setEnabled(tenant: string, id: string, version: string, isEnabled: boolean): Promise<void> {
    const { shelves } = this.#options
    return this.#change(tenant, id, async () => void (await this.alter(shelves.version(tenant, id, version), { isEnabled })))
  }

  deprecate(tenant: string, id: string, version: string, note: string | null): Promise<void> {
    const { shelves } = this.#options
    return this.#change(tenant, id, async () => void (await this.alter(shelves.version(tenant, id, version), { deprecated: note })))
  }

  remove(tenant: string, id: string, version: string | null): Promise<void> {
    const { shelves, store, emit } = this.#options
    return this.#change(tenant, id, async () => {
      const shelf = shelves.mine(tenant, id)
      if (version !== null) refuseInUse(shelf, shelves.version(tenant, id, version))
      await store.remove({ tenant, id, version })
      shelves.take(tenant, id, version)
      emit('skill.removed', { tenant, id, version })
    })
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
      track?.stable === version ? track : { ...trackOf(held), previous: track?.stable ?? null },
    )
  }

  rollback(tenant: string, id: string, major: number): Promise<SkillTrack> {
    return this.#change(tenant, id, async () => {
      const track = this.#options.shelves.mine(tenant, id).track(major)
      if (track === undefined) throw noVersion(id, `${major}`)
      return this.#rolledBack(track, 'by hand')
    })
  }

  observe({ tenant, id, version }: SkillRecord, outcome: SkillOutcome, ms: number): void {
    const { shelves, log } = this.#options
    const now = (): SkillTrack | undefined => shelves.of(tenant, id)?.track(parseVersion(version)?.major ?? -1)
    const track = now()
    const reason = track === undefined ? null : this.#windows.observe(track, { version, outcome, ms })
    if (track === undefined || reason === null) return
    // Many calls may say the same before the first of them was heard.
    const back = async (): Promise<void> => void (now() === track && (await this.#rolledBack(track, reason)))
    this.#change(tenant, id, back).catch((error: unknown) =>
      log.error({ skill: `${id}@${version}`, ...describeError(error) }, 'canary could not be rolled back'),
    )
  }

  async alter({ record }: Held, change: Parameters<SkillStore['change']>[1]): Promise<SkillRecord> {
    const { tenant, id, version } = record
    const { store, shelves, emit } = this.#options
    if (!(await store.change({ tenant, id, version }, change))) throw noVersion(id, version)
    const changed = { ...record, ...change }
    shelves.put(changed)
    emit('skill.changed', { tenant, id, version, enabled: changed.isEnabled, deprecated: changed.deprecated })
    return changed
  }

  #roll(tenant: string, id: string, version: string, next: (track: SkillTrack | null, held: Held) => SkillTrack): Promise<SkillTrack> {
    const { shelves, emit } = this.#options
    return this.#change(tenant, id, async () => {
      const held = shelves.version(tenant, id, version)
      if (!held.record.isEnabled) throw conflict(`Version ${version} of skill "${id}" is switched off. Enable it first.`)
      const track = await this.#set(next(shelves.mine(tenant, id).track(held.version.major) ?? null, held))
      emit('skill.changed', { tenant, id, version, stable: track.stable, canary: track.canary, weight: track.weight })
      return track
    })
  }

  async #rolledBack(track: SkillTrack, reason: string): Promise<SkillTrack> {
    const { tenant, id, major, stable, canary, previous } = track
    if (canary === null && previous === null) {
      throw conflict(
        `Skill "${id}" has nothing to go back to in major ${major}: no canary is out, and no version was stable before ${stable}.`,
      )
    }
    const version = canary ?? stable
    const back = canary !== null ? { stable, previous } : { stable: previous ?? stable, previous: null }
    const note = `${version} was rolled back: ${reason}`
    const next = await this.#set({ ...track, ...back, canary: null, weight: 0, note })
    this.#options.log.warn({ skill: `${id}@${version}`, tenant, reason }, 'skill rolled back')
    this.#options.emit('skill.rolled_back', { tenant, id, major, version, stable: next.stable, note })
    return next
  }

  async #set(changed: SkillTrack): Promise<SkillTrack> {
    const track = { ...changed, updatedAt: this.#options.clock.now() }
    await this.#options.store.setTrack(track)
    this.#options.shelves.setTrack(track)
    return track
  }

  #change<Result>(tenant: string, id: string, work: () => Promise<Result>): Promise<Result> {
    return this.#options.changes.run(keyOf(tenant, id), work)
  }
}

/** Of the changes of one skill. */
export const keyOf = (tenant: string, id: string): string => JSON.stringify([tenant, id])

/** A track on which one version has all calls. */
export const trackOf = ({ record: { tenant, id, version }, version: { major } }: Pick<Held, 'record' | 'version'>): SkillTrack => ({
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

/** The last of its major takes the major with it. */
function refuseInUse(shelf: Shelf, { record, version }: Held): void {
  const track = shelf.track(version.major)
  const isLast = shelf.versions().filter((held) => held.version.major === version.major).length === 1
  if (isLast || (track?.stable !== record.version && track?.canary !== record.version)) return
  throw new ConflictError(
    `Version ${record.version} of skill "${record.id}" is ${track.stable === record.version ? 'the stable one' : 'the canary'} of its major. Promote another or roll back first, or remove the skill whole.`,
    { code: 'SKILL_IN_USE' },
  )
}

const conflict = (message: string): ConflictError => new ConflictError(message, { code: 'SKILL_ROLLOUT_REFUSED' })
