/** All skills in memory: those of the tenants, and behind them those of the gateway itself. Finds, and says in words what is not there. */
import { ConflictError, NotFoundError } from '#contract'
import type { SkillRecord, SkillTrack } from '#contract'
import { readDescriptor } from '../descriptor/read.ts'
import { parseVersion } from '../descriptor/version.ts'
import { NOBODY, ownShelf } from './bundled.ts'
import type { Bundled, OwnShelf } from './bundled.ts'
import { Shelf } from './shelf.ts'
import type { Held } from './shelf.ts'

export class Shelves {
  readonly #own: ReadonlyMap<string, OwnShelf>
  /** Tenant → id. */
  readonly #tenants = new Map<string, Map<string, Shelf>>()

  constructor(bundled: readonly Bundled[]) {
    this.#own = new Map(bundled.map((each) => [each.descriptor.id, ownShelf(each)]))
  }

  put(record: SkillRecord): void {
    const version = parseVersion(record.version)
    if (version === null) throw new Error(`Skill "${record.id}" has the version ${record.version}, which is none.`)
    const tenant = this.#tenants.get(record.tenant) ?? new Map<string, Shelf>()
    this.#tenants.set(record.tenant, tenant)
    const shelf = tenant.get(record.id) ?? new Shelf()
    tenant.set(record.id, shelf)
    shelf.put({ record, descriptor: readDescriptor(record.descriptor), version })
  }

  setTrack(track: SkillTrack): void {
    this.of(track.tenant, track.id)?.setTrack(track)
  }

  take(tenant: string, id: string, version: string | null): void {
    const shelf = this.of(tenant, id)
    if (version !== null) shelf?.take(version)
    if (version === null || shelf?.size === 0) this.#tenants.get(tenant)?.delete(id)
  }

  ids(tenant: string): readonly string[] {
    return [...new Set([...(this.#tenants.get(tenant)?.keys() ?? []), ...this.#own.keys()])].toSorted()
  }

  /** Versions that the tenant registered. */
  count(tenant: string): number {
    return [...(this.#tenants.get(tenant)?.values() ?? [])].reduce((sum, shelf) => sum + shelf.size, 0)
  }

  /** What the tenant sees: its own stands before one of the gateway with the same id, with all its versions. */
  seen(tenant: string, id: string): Shelf | null {
    return this.of(tenant, id) ?? this.#own.get(id)?.shelf ?? null
  }

  /** The one that belongs to the gateway. */
  bundled({ tenant, id }: SkillRecord): Bundled | null {
    return tenant === NOBODY ? (this.#own.get(id)?.bundled ?? null) : null
  }

  /** Of what the tenant registered. */
  of(tenant: string, id: string): Shelf | null {
    return this.#tenants.get(tenant)?.get(id) ?? null
  }

  /** As `of`. @throws NotFoundError (`SKILL_NOT_FOUND`), ConflictError (`SKILL_BUNDLED`) */
  mine(tenant: string, id: string): Shelf {
    const shelf = this.of(tenant, id)
    if (shelf !== null) return shelf
    if (this.#own.has(id)) {
      throw new ConflictError(
        `Skill "${id}" belongs to the gateway. Switch it off with \`skills.entries.${id}.enabled: false\`, or register your own under this id.`,
        { code: 'SKILL_BUNDLED' },
      )
    }
    throw new NotFoundError(`There is no skill "${id}". \`openclaw skills list\` shows those there are.`, { code: 'SKILL_NOT_FOUND' })
  }

  version(tenant: string, id: string, version: string): Held {
    const held = this.mine(tenant, id).get(version)
    if (held === undefined) throw noVersion(id, version)
    return held
  }
}

export const noVersion = (id: string, version: string): NotFoundError =>
  new NotFoundError(`There is no version ${version} of skill "${id}". \`openclaw skills versions ${id}\` shows those there are.`, {
    code: 'SKILL_NOT_FOUND',
  })
