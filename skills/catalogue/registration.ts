/** How a skill gets into the catalogue: examined, stored, put on its shelf, told. The same again is the same record. */
import { ConflictError } from '#contract'
import type { Clock, JsonObject, Log, NewSkill, SkillDescriptor, SkillRecord, SkillStore, SkillTrack } from '#contract'
import { pack } from '../bundle/pack.ts'
import { DescriptorParser } from '../descriptor/descriptor.ts'
import { compareVersions, parseVersion } from '../descriptor/version.ts'
import type { Version } from '../descriptor/version.ts'
import type { SkillsSettings } from '../settings.ts'
import { compatible, formed, works } from './examination.ts'
import type { Candidate, RunTests } from './examination.ts'
import type { OneByOne } from './one-by-one.ts'
import type { Held } from './shelf.ts'
import type { Shelves } from './shelves.ts'
import { keyOf, trackOf } from './steering.ts'
import type { Steering } from './steering.ts'

export interface RegistrationOptions {
  readonly shelves: Shelves
  readonly changes: OneByOne
  readonly steering: Steering
  readonly store: SkillStore
  readonly clock: Clock
  readonly log: Log
  readonly settings: () => SkillsSettings
  readonly runTests: RunTests
  readonly emit: (name: string, data: JsonObject & { readonly tenant: string }) => void
}

/** Versions of one tenant. */
const MAX_VERSIONS = 5_000

export class Registration {
  readonly #options: RegistrationOptions
  readonly #parser = new DescriptorParser()

  constructor(options: RegistrationOptions) {
    this.#options = options
  }

  async validate(skill: NewSkill): Promise<SkillDescriptor> {
    const candidate = await this.#formed(skill)
    if (this.#known(candidate, skill) === null) await this.#examine(candidate, skill)
    return candidate.bundle.descriptor
  }

  async register(skill: NewSkill): Promise<SkillRecord> {
    const candidate = await this.#formed(skill)
    return this.#options.changes.run(keyOf(skill.tenant, candidate.bundle.descriptor.id), async () => {
      const known = this.#known(candidate, skill)
      if (known !== null) return this.#signed(known, skill.signature)
      await this.#examine(candidate, skill)
      return this.#add(candidate, skill)
    })
  }

  #formed(skill: NewSkill): Promise<Candidate> {
    return formed(skill, { settings: this.#options.settings(), log: this.#options.log, parser: this.#parser })
  }

  /** The same content under the same version. @throws ConflictError (`SKILL_VERSION_TAKEN`) */
  #known({ bundle }: Candidate, { tenant }: NewSkill): Held | null {
    const { id, version } = bundle.descriptor
    const held = this.#options.shelves.of(tenant, id)?.get(version) ?? null
    if (held !== null && held.record.digest !== bundle.digest) throw taken(id, version)
    return held
  }

  async #examine(candidate: Candidate, skill: NewSkill): Promise<void> {
    const { shelves, runTests } = this.#options
    if (shelves.count(skill.tenant) >= MAX_VERSIONS) {
      throw new ConflictError(`There are ${MAX_VERSIONS} versions of skills already. Remove some first.`, { code: 'TOO_MANY_SKILLS' })
    }
    compatible(candidate, versionOf(candidate), shelves.of(skill.tenant, candidate.bundle.descriptor.id))
    await works(candidate, skill, runTests)
  }

  /** A version that was there gets another signature, by a newer key for one. */
  async #signed(held: Held, signature: string | null): Promise<SkillRecord> {
    if (signature === null || signature === held.record.signature) return held.record
    return this.#options.steering.alter(held, { signature })
  }

  async #add(candidate: Candidate, { tenant, by, signature, hold = false }: NewSkill): Promise<SkillRecord> {
    const { bundle, written } = candidate
    const { id, version } = bundle.descriptor
    const { store, clock, shelves, emit, log } = this.#options
    const created = { createdAt: clock.now(), createdBy: by }
    const state = { isEnabled: true, deprecated: null, signature }
    const record: SkillRecord = { tenant, id, version, digest: bundle.digest, descriptor: written, ...state, ...created }
    const track = hold ? null : this.#promoted(record, versionOf(candidate))
    const added = await store.add(record, await pack(bundle.files), track)
    if (added === 'taken') throw taken(id, version)
    shelves.put(record)
    if (track !== null) shelves.setTrack(track)
    log.info({ skill: `${id}@${version}`, tenant, digest: bundle.digest }, 'skill registered')
    emit('skill.registered', { tenant, id, version, digest: bundle.digest, stable: track !== null })
    return record
  }

  /** A release that is newer than the stable one takes its place, unless a canary is out. */
  #promoted(record: SkillRecord, version: Version): SkillTrack | null {
    if (version.prerelease.length > 0) return null
    const track = this.#options.shelves.of(record.tenant, record.id)?.track(version.major)
    const next = { ...trackOf({ record, version }), updatedAt: this.#options.clock.now() }
    if (track === undefined) return next
    const stable = parseVersion(track.stable)
    const isNewer = stable === null || compareVersions(version, stable) > 0
    return isNewer && track.canary === null ? { ...next, previous: track.stable } : null
  }
}

function versionOf({ bundle }: Candidate): Version {
  const version = parseVersion(bundle.descriptor.version)
  if (version === null) throw new Error('A version that was checked is none.')
  return version
}

const taken = (id: string, version: string): ConflictError =>
  new ConflictError(`Version ${version} of skill "${id}" exists with other content, and a version never changes. Raise the version.`, {
    code: 'SKILL_VERSION_TAKEN',
  })
