/** Skills in memory: keeps what is registered, judges nothing. What runs them is for tests to set. */
import assert from 'node:assert/strict'
import { satisfies } from 'semver'
import { ConflictError, InvalidError, NotFoundError, isJsonObject } from '#contract'
import type {
  JsonObject,
  NewSkill,
  SandboxReport,
  SkillCatalogue,
  SkillDescriptor,
  SkillRecord,
  SkillRuns,
  Skills,
  SkillTrack,
  SkillView,
} from '#contract'
import { skillDescriptor } from '../../support/skill.ts'

const missing = (): NotFoundError => new NotFoundError('There is none.', { code: 'SKILL_NOT_FOUND' })
const noRuns = (): Promise<never> => Promise.reject(new Error('the double runs nothing'))

export class SkillsDouble implements Skills {
  readonly records: SkillRecord[] = []
  readonly bundles: Map<string, NewSkill> = new Map()
  readonly tracks: SkillTrack[] = []
  readonly calls: (readonly [string, ...unknown[]])[] = []
  reports: SandboxReport[] = []
  runs: SkillRuns = {
    invoke: noRuns,
    submit: noRuns,
    get: async () => null,
    wake: () => undefined,
    watch: async () => null,
    cancel: async () => false,
  }
  readonly runner: Skills['runner'] = {
    list: () => [],
    find: () => null,
    run: async () => ({ status: 'error', code: 'not_found', message: '' }),
    adopt: async () => null,
    stop: async () => undefined,
  }
  /** An archive of the double is the JSON of what is in it. */
  readonly archives: Skills['archives'] = {
    read: async (archive) => {
      const text = Buffer.from(archive).toString()
      if (!text.startsWith('{')) throw new InvalidError('That is no archive.', { code: 'SKILL_INVALID' })
      const { descriptor, files } = JSON.parse(text) as { descriptor: JsonObject; files: { [path: string]: string } }
      return { descriptor, files: Object.fromEntries(Object.entries(files).map(([path, words]) => [path, Buffer.from(words)])) }
    },
    write: async (descriptor, files) => {
      const texts = Object.entries(files).map(([path, content]) => [path, Buffer.from(content).toString()])
      return Buffer.from(JSON.stringify({ descriptor, files: Object.fromEntries(texts) }))
    },
  }

  readonly schemas: Skills['schemas'] = { fault: async () => null, check: async () => [] }

  readonly catalogue: SkillCatalogue = {
    list: (tenant) => [...new Set(this.#of(tenant).map(({ id }) => id))].flatMap((id) => this.catalogue.find(tenant, id) ?? []),
    find: (tenant, id): SkillView | null => {
      const versions = this.#of(tenant).filter((record) => record.id === id)
      const current = versions.find(({ isEnabled }) => isEnabled)
      if (versions.length === 0) return null
      return { id, versions, tracks: this.tracks.filter((track) => track.id === id), current: current ? parsed(current.descriptor) : null }
    },
    resolve: (tenant, id, version = '*') =>
      this.#of(tenant).find((record) => record.id === id && record.isEnabled && satisfies(record.version, version)) ?? null,
    register: async (skill) => {
      const { id, version } = await this.catalogue.validate(skill)
      const digest = `sha256-${JSON.stringify([skill.descriptor, skill.files]).length}`
      const known = this.#of(skill.tenant).find((record) => record.id === id && record.version === version)
      if (known?.digest === digest) return known
      if (known !== undefined) throw new ConflictError('The version is there with other content.', { code: 'SKILL_VERSION_TAKEN' })
      const record: SkillRecord = {
        tenant: skill.tenant,
        id,
        version,
        digest,
        descriptor: isJsonObject(skill.descriptor) ? skill.descriptor : {},
        isEnabled: true,
        deprecated: null,
        signature: skill.signature,
        createdAt: 0,
        createdBy: skill.by,
      }
      this.records.unshift(record)
      this.bundles.set(`${id}@${version}`, skill)
      return record
    },
    validate: async ({ descriptor }) => {
      if (isJsonObject(descriptor) && typeof descriptor['id'] === 'string' && descriptor['id'] !== '') return parsed(descriptor)
      throw new InvalidError('The skill has a fault.', { code: 'SKILL_INVALID', faults: [{ pointer: '#/id', detail: 'is missing' }] })
    },
    setEnabled: async (tenant, id, version, isEnabled) => this.#change(tenant, id, version, { isEnabled }),
    deprecate: async (tenant, id, version, deprecated) => this.#change(tenant, id, version, { deprecated }),
    remove: async (tenant, id, version) => {
      const gone = this.#of(tenant).filter((record) => record.id === id && (version === null || record.version === version))
      if (gone.length === 0) throw missing()
      for (const record of gone) this.records.splice(this.records.indexOf(record), 1)
    },
    canary: async (tenant, id, version, weight) => this.#track(tenant, id, { canary: version, weight }),
    promote: async (tenant, id, version) => this.#track(tenant, id, { stable: version }),
    rollback: async (tenant, id, major) => this.#track(tenant, id, { major, note: 'asked for' }),
    files: async (_tenant, id, version) => this.bundles.get(`${id}@${version}`)?.files ?? assert.fail('no such bundle'),
  }

  runtime: Skills['runtime'] = async () => this.reports
  start = async (): Promise<void> => undefined
  drain = async (): Promise<void> => undefined
  stop = async (): Promise<void> => undefined

  #of(tenant: string): readonly SkillRecord[] {
    return this.records.filter((record) => record.tenant === tenant)
  }

  #change(tenant: string, id: string, version: string, change: Partial<SkillRecord>): void {
    const at = this.records.findIndex((record) => record.tenant === tenant && record.id === id && record.version === version)
    const record = this.records[at]
    if (record === undefined) throw missing()
    this.records[at] = { ...record, ...change }
  }

  #track(tenant: string, id: string, change: Partial<SkillTrack>): SkillTrack {
    if (this.catalogue.find(tenant, id) === null) throw missing()
    const bare = { tenant, id, major: 1, stable: '1.0.0', previous: null, canary: null, weight: 0, note: null, updatedAt: 0 }
    const track = { ...bare, ...change }
    this.tracks.splice(0, this.tracks.length, track)
    return track
  }
}

function parsed(descriptor: JsonObject): SkillDescriptor {
  const { id, version, description } = descriptor
  return skillDescriptor({
    id: typeof id === 'string' ? id : '',
    version: typeof version === 'string' ? version : '1.0.0',
    description: typeof description === 'string' ? description : '',
    network: { allow: ['api.example.com'] },
    secrets: ['TOKEN'],
  })
}
