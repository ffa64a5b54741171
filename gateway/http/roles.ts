/**
 * Roles, and what they give: the three that there always are, those of the configuration, for all tenants, and those that were made over
 * the API, each for its own tenant. All are held in memory. Whoever got permissions by a role that changes has to prove who they are anew.
 */
import { BUILTIN_ROLES, ConflictError } from '#contract'
import type { Clock, RoleRecord, RoleStore } from '#contract'

/** In one tenant, made over the API. */
const MAX_ROLES = 1_000

/** Role → what the configuration says that it gives. */
export interface ConfiguredRoles {
  readonly [name: string]: readonly string[]
}

export interface RoleView {
  readonly name: string
  readonly permissions: readonly string[]
  readonly from: 'builtin' | 'config' | 'api'
  /** Of those made over the API. */
  readonly createdAt: number | null
  readonly createdBy: string | null
}

export class Roles {
  readonly #store: RoleStore
  readonly #clock: Clock
  /** Those for all tenants. */
  #shared: ReadonlyMap<string, RoleView>
  readonly #made = new Map<string, Map<string, RoleRecord>>()
  readonly #listeners = new Set<(proofId: string) => void>()

  constructor(options: { readonly store: RoleStore; readonly clock: Clock; readonly configured: ConfiguredRoles }) {
    this.#store = options.store
    this.#clock = options.clock
    this.#shared = sharedRoles(options.configured)
  }

  async start(): Promise<void> {
    this.#made.clear()
    for (const role of await this.#store.list()) this.#hold(role)
  }

  /** What the tenant's principals can be given, by name. */
  list(tenant: string): readonly RoleView[] {
    const made = [...(this.#made.get(tenant)?.values() ?? [])].filter(({ name }) => !this.#shared.has(name)).map(viewOf)
    return [...this.#shared.values(), ...made].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  find(tenant: string, name: string): RoleView | null {
    const made = this.#made.get(tenant)?.get(name)
    return this.#shared.get(name) ?? (made === undefined ? null : viewOf(made))
  }

  /** What these roles give together. A role that nobody knows gives nothing. */
  permissions(tenant: string, names: readonly string[]): ReadonlySet<string> {
    return new Set(names.flatMap((name) => this.find(tenant, name)?.permissions ?? []))
  }

  /** Ids with which a proof ends that stands on these roles. */
  proofIds(tenant: string, names: readonly string[]): readonly string[] {
    return names.flatMap((name) => [sharedId(name), madeId(tenant, name)])
  }

  async create(
    tenant: string,
    role: { readonly name: string; readonly permissions: readonly string[]; readonly by: string },
  ): Promise<RoleView> {
    const { name, permissions, by } = role
    if ((this.#made.get(tenant)?.size ?? 0) >= MAX_ROLES)
      throw new ConflictError(`There are ${MAX_ROLES} roles already. Remove some first.`, { code: 'TOO_MANY_ROLES' })
    const record: RoleRecord = { tenant, name, permissions, createdAt: this.#clock.now(), createdBy: by }
    if (this.find(tenant, name) !== null || !(await this.#store.add(record)))
      throw new ConflictError(`There is a role ${name} already. Choose another name, or remove it first.`, { code: 'ROLE_EXISTS' })
    this.#hold(record)
    this.#changed(madeId(tenant, name))
    return viewOf(record)
  }

  /**
   * Other permissions for one that was made over the API, as `decide` finds them, which is told how it stands and may throw. From when this
   * resolves whoever has it may what it gives now. Null: none such was made over the API.
   */
  async change(tenant: string, name: string, decide: (now: RoleView) => readonly string[]): Promise<RoleView | null> {
    const before = this.#made.get(tenant)?.get(name)
    // One that the configuration has by now under the same name is what counts.
    if (before === undefined || this.#shared.has(name)) return null
    const permissions = decide(viewOf(before))
    if (String(permissions) === String(before.permissions)) return viewOf(before)
    if (!(await this.#store.change(tenant, name, { from: before.permissions, to: permissions }))) {
      throw new ConflictError(`Role ${name} was changed at the same time. Get it again, and decide again.`, { code: 'PRECONDITION_FAILED' })
    }
    const record = { ...before, permissions }
    this.#hold(record)
    this.#changed(madeId(tenant, name))
    return viewOf(record)
  }

  /** From when this resolves it gives nothing any more. False: none such was made over the API. */
  async remove(tenant: string, name: string): Promise<boolean> {
    if (!(await this.#store.remove(tenant, name))) return false
    this.#made.get(tenant)?.delete(name)
    this.#changed(madeId(tenant, name))
    return true
  }

  /** Another configuration. */
  configure(configured: ConfiguredRoles): void {
    const before = this.#shared
    this.#shared = sharedRoles(configured)
    for (const name of new Set([...before.keys(), ...this.#shared.keys()])) {
      if (String(before.get(name)?.permissions) !== String(this.#shared.get(name)?.permissions)) this.#changed(sharedId(name))
    }
  }

  /** Calls `listen` with the id of the proofs that end, until the returned function is called. */
  onChanged(listen: (proofId: string) => void): () => void {
    this.#listeners.add(listen)
    return () => this.#listeners.delete(listen)
  }

  #hold(role: RoleRecord): void {
    const made = this.#made.get(role.tenant) ?? new Map<string, RoleRecord>()
    this.#made.set(role.tenant, made.set(role.name, role))
  }

  #changed(proofId: string): void {
    for (const listen of this.#listeners) listen(proofId)
  }
}

const sharedId = (name: string): string => `role:${name}`
const madeId = (tenant: string, name: string): string => `role:${tenant}/${name}`

function sharedRoles(configured: ConfiguredRoles): ReadonlyMap<string, RoleView> {
  const names = new Set([...Object.keys(BUILTIN_ROLES), ...Object.keys(configured)])
  return new Map(
    [...names].map((name) => {
      const builtin = Object.hasOwn(BUILTIN_ROLES, name) ? (BUILTIN_ROLES[name] ?? []) : null
      const permissions = [...new Set([...(builtin ?? []), ...(configured[name] ?? [])])]
      return [name, { name, permissions, from: builtin === null ? 'config' : 'builtin', createdAt: null, createdBy: null }]
    }),
  )
}

const viewOf = ({ name, permissions, createdAt, createdBy }: RoleRecord): RoleView => ({
  name,
  permissions,
  from: 'api',
  createdAt,
  createdBy,
})
