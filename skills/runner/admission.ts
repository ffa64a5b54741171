/**
 * What a run needs before anything of it happens: its version, loaded; an input that fits; hosts, secrets and a sandbox. What is missing is said
 * as an outcome. Places, hooks and the attempts are the runner's.
 */
import { describeError } from '#contract'
import type { JsonValue, Log, SkillOutcome, SkillRecord, SkillRun } from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import type { Sandbox } from '../sandbox/sandbox.ts'
import type { SkillsSettings } from '../settings.ts'
import { failed, stickyOf } from './execution.ts'
import { grantOf } from './grant.ts'
import type { Grant } from './grant.ts'
import type { Library } from './library.ts'
import type { Sandboxes } from './sandboxes.ts'

/** Ready to run: all is known and nothing was done. */
export interface Admitted {
  readonly bundle: Bundle
  readonly grant: Grant
  readonly sandbox: Sandbox
}

export type Refusal = SkillOutcome & { readonly status: 'error' }

export interface AdmissionOptions {
  /** As they are now. */
  readonly settings: () => SkillsSettings
  readonly library: Library
  readonly sandboxes: Sandboxes
  readonly log: Log
}

export class Admission {
  readonly #options: AdmissionOptions

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  /** Which version a call would get. */
  resolve(run: Pick<SkillRun, 'tenant' | 'skill' | 'version' | 'caller'>): SkillRecord | null {
    return this.#options.library.choose(run.tenant, run.skill, run.version, stickyOf(run))
  }

  async load(record: SkillRecord): Promise<Bundle | Refusal> {
    try {
      return await this.#options.library.load(record)
    } catch (error) {
      const { code, message } = describeError(error)
      this.#options.log.warn(
        { skill: `${record.id}@${record.version}`, 'error.code': code, error: message },
        'A skill could not be loaded.',
      )
      return failed('unavailable', `${record.id} ${record.version} cannot be loaded: ${message}`)
    }
  }

  /** What is wrong with the input; null: it fits. */
  async invalid(bundle: Bundle, input: JsonValue): Promise<Refusal | null> {
    const faults = await this.#options.library.faultsOf(bundle, 'inputs', input)
    if (faults.length === 0) return null
    return failed('invalid_input', faults.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; '))
  }

  async admit(bundle: Bundle, { tenant, input }: Pick<SkillRun, 'tenant' | 'input'>): Promise<Admitted | Refusal> {
    const invalid = await this.invalid(bundle, input)
    if (invalid !== null) return invalid
    const { descriptor } = bundle
    const grant = grantOf(descriptor, { tenant, settings: this.#options.settings() })
    if (grant.missing.length > 0) {
      const names = grant.missing.map((name) => `\`skills.entries.${descriptor.id}.secrets.${name}\``).join(', ')
      return failed('unavailable', `Skill "${descriptor.id}" needs what nobody gave it: set ${names} in openclaw.yaml.`)
    }
    const found = await this.#options.sandboxes.for(descriptor.runtime.language)
    if ('reason' in found)
      return failed('unavailable', `Skill "${descriptor.id}" (${descriptor.runtime.language}) cannot run here. ${found.reason}`)
    return { bundle, grant, sandbox: found.sandbox }
  }
}

export const unknownSkill = ({ skill, version }: Pick<SkillRun, 'skill' | 'version'>): Refusal =>
  version === undefined
    ? failed('not_found', `There is no skill "${skill}" that can be called. \`openclaw skills list\` shows those there are.`)
    : failed(
        'not_found',
        `There is no version ${version} of skill "${skill}" that can be called. \`openclaw skills versions ${skill}\` shows those there are.`,
      )
