/** The catalogue of the gateway's own skills alone: nothing can be registered. */
import { ConflictError, NotFoundError } from '#contract'
import type { Fault, JsonObject, JsonValue, SkillCatalogue, SkillDescriptor, SkillRecord, SkillView } from '#contract'
import type { ValidateFunction } from 'ajv'
import type { Bundle } from './bundle/bundle.ts'
import type { Library } from './runner/library.ts'

export class OwnCatalogue implements SkillCatalogue, Library {
  readonly #bundles: ReadonlyMap<string, Bundle>
  readonly #checks = new Map<string, Promise<{ readonly inputs: ValidateFunction; readonly outputs: ValidateFunction }>>()

  constructor(bundles: readonly Bundle[]) {
    this.#bundles = new Map(bundles.map((bundle) => [bundle.descriptor.id, bundle]))
  }

  current(): readonly SkillDescriptor[] {
    return [...this.#bundles.values()].map(({ descriptor }) => descriptor)
  }
  describe(tenant: string, id: string, asked: string): SkillDescriptor | null {
    const isThere = this.resolve(tenant, id, asked) !== null
    return isThere ? (this.#bundles.get(id)?.descriptor ?? null) : null
  }
  choose(tenant: string, id: string, asked: string | undefined): SkillRecord | null {
    return this.resolve(tenant, id, asked)
  }
  async load({ id }: SkillRecord): Promise<Bundle> {
    const bundle = this.#bundles.get(id)
    if (bundle === undefined) throw none(id)
    return bundle
  }
  async faultsOf(bundle: Bundle, side: 'inputs' | 'outputs', value: JsonValue): Promise<readonly Fault[]> {
    const { id } = bundle.descriptor
    let checks = this.#checks.get(id)
    if (checks === undefined) this.#checks.set(id, (checks = compile(bundle.descriptor)))
    const check = (await checks)[side]
    if (check(value)) return []
    return (check.errors ?? []).map((error) => ({ pointer: `#${error.instancePath}`, detail: error.message ?? 'is wrong' }))
  }
  observe(): void {}

  list(): readonly SkillView[] {
    return [...this.#bundles.values()].map(viewOf)
  }
  find(_tenant: string, id: string): SkillView | null {
    const bundle = this.#bundles.get(id)
    return bundle === undefined ? null : viewOf(bundle)
  }
  resolve(_tenant: string, id: string, version?: string): SkillRecord | null {
    const bundle = this.#bundles.get(id)
    if (bundle === undefined) return null
    const { version: own } = bundle.descriptor
    return version === undefined || version === own || version === own.split('.')[0] ? recordOf(bundle) : null
  }
  register(): Promise<never> {
    return Promise.reject(fixed())
  }
  validate(): Promise<never> {
    return Promise.reject(fixed())
  }
  setEnabled(): Promise<never> {
    return Promise.reject(fixed())
  }
  deprecate(): Promise<never> {
    return Promise.reject(fixed())
  }
  remove(): Promise<never> {
    return Promise.reject(fixed())
  }
  canary(): Promise<never> {
    return Promise.reject(fixed())
  }
  promote(): Promise<never> {
    return Promise.reject(fixed())
  }
  rollback(): Promise<never> {
    return Promise.reject(fixed())
  }
  files(_tenant: string, id: string): Promise<never> {
    return Promise.reject(none(id))
  }
}

/** Ajv is loaded when the first skill runs. */
async function compile(descriptor: SkillDescriptor): Promise<{ readonly inputs: ValidateFunction; readonly outputs: ValidateFunction }> {
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  const ajv = new Ajv2020({ strict: false })
  return { inputs: ajv.compile(descriptor.inputs), outputs: ajv.compile(descriptor.outputs) }
}

function recordOf({ digest, descriptor }: Bundle): SkillRecord {
  const { id, version } = descriptor
  const written: JsonObject = { id, version, effect: descriptor.effect, inputs: descriptor.inputs, outputs: descriptor.outputs }
  return {
    tenant: '',
    id,
    version,
    digest,
    descriptor: written,
    isEnabled: true,
    deprecated: null,
    signature: null,
    createdAt: 0,
    createdBy: '',
  }
}

const viewOf = (bundle: Bundle): SkillView => ({
  id: bundle.descriptor.id,
  tracks: [],
  versions: [recordOf(bundle)],
  current: bundle.descriptor,
})

const none = (id: string): NotFoundError => new NotFoundError(`There is no skill "${id}".`, { code: 'SKILL_NOT_FOUND' })
const fixed = (): ConflictError => new ConflictError('The skills of the gateway itself cannot be changed.', { code: 'SKILL_IN_USE' })
