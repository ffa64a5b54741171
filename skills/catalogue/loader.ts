/**
 * Bundles ready to run: fetched from the store, held to their digest, their signature verified, and kept for those used last, so many
 * bytes of them. A signature is verified again when the settings are others: a key that is gone must not run.
 */
import { ConflictError, describeError, InvalidError } from '#contract'
import type { Log, SkillRecord, SkillStore } from '#contract'
import type { Bundle, Files } from '../bundle/bundle.ts'
import { digestOf } from '../bundle/digest.ts'
import { unpack } from '../bundle/pack.ts'
import { judge } from '../bundle/signature.ts'
import { readDescriptor } from '../descriptor/read.ts'
import type { SkillsSettings } from '../settings.ts'

const MAX_BYTES = 64 * 1_048_576
/** What a bundle weighs beside its files. */
const OVERHEAD = 4_096
const MAX_TRUSTED = 1_000

interface Kept {
  readonly bundle: Bundle
  readonly bytes: number
}

export interface LoaderOptions {
  readonly store: SkillStore
  readonly log: Log
  readonly settings: () => SkillsSettings
  readonly maxBytes?: number
}

export class Loader {
  readonly #options: LoaderOptions
  readonly #maxBytes: number
  /** By digest, in the order of their last use. */
  readonly #kept = new Map<string, Kept>()
  readonly #loading = new Map<string, Promise<Bundle>>()
  /** Digest and signature → the settings under which it was good. */
  #trusted = new Map<string, SkillsSettings['signatures']>()
  #bytes = 0

  constructor(options: LoaderOptions) {
    this.#options = options
    this.#maxBytes = options.maxBytes ?? MAX_BYTES
  }

  get bytes(): number {
    return this.#bytes
  }

  async load(record: SkillRecord): Promise<Bundle> {
    const bundle = await this.files(record)
    await this.#verify(record, bundle.files)
    return bundle
  }

  /** Without a look at its signature: to be shown, not to be run. */
  async files(record: SkillRecord): Promise<Bundle> {
    const { digest } = record
    const kept = this.#kept.get(digest)
    if (kept !== undefined) {
      this.#kept.delete(digest)
      this.#kept.set(digest, kept)
      return kept.bundle
    }
    const loading = this.#loading.get(digest) ?? this.#fetch(record).finally(() => this.#loading.delete(digest))
    this.#loading.set(digest, loading)
    return loading
  }

  async #fetch(record: SkillRecord): Promise<Bundle> {
    const { id, version, digest } = record
    const packed = await this.#options.store.bundle(digest)
    if (packed === null) throw damaged(record, 'is not in the store')
    const files = await unpack(packed).catch((error: unknown) => {
      throw damaged(record, `cannot be read: ${describeError(error).message}`)
    })
    if (digestOf(record.descriptor, files) !== digest) throw damaged(record, 'is not what was registered')
    const bundle = { digest, descriptor: readDescriptor(record.descriptor), files }
    this.#keep(bundle)
    this.#options.log.debug({ skill: id, version, digest }, 'skill loaded')
    return bundle
  }

  #keep(bundle: Bundle): void {
    const bytes = OVERHEAD + Object.values(bundle.files).reduce((sum, content) => sum + content.byteLength, 0)
    this.#kept.set(bundle.digest, { bundle, bytes })
    this.#bytes += bytes
    for (const [digest, { bytes: theirs }] of this.#kept) {
      if (this.#bytes <= this.#maxBytes || digest === bundle.digest) break
      this.#kept.delete(digest)
      this.#bytes -= theirs
    }
  }

  async #verify(record: SkillRecord, files: Files): Promise<void> {
    const { signatures } = this.#options.settings()
    if (signatures.policy === 'off') return
    const key = `${record.digest} ${record.signature ?? ''}`
    if (this.#trusted.get(key) === signatures) return
    const verdict = await judge({ descriptor: record.descriptor, files, signature: record.signature }, signatures.keys)
    if (verdict.is !== 'good') {
      const what = `Skill "${record.id}" ${record.version} ${verdict.is === 'unsigned' ? 'is not signed' : `is not vouched for: its signature ${verdict.reason}`}.`
      if (signatures.policy === 'enforce')
        throw new InvalidError(`${what} Sign it with a key of \`skills.signatures.keys\` and register it again.`, {
          code: 'SKILL_UNSIGNED',
        })
      this.#options.log.warn({ skill: `${record.id}@${record.version}` }, what)
    }
    // As many as there are bundles to run; begun anew with other settings, or when there are too many.
    if (this.#trusted.size >= MAX_TRUSTED) this.#trusted = new Map()
    this.#trusted.set(key, signatures)
  }
}

const damaged = ({ id, version }: SkillRecord, why: string): ConflictError =>
  new ConflictError(`The files of skill "${id}" ${version}: what is stored ${why}. Remove the version and register it again.`, {
    code: 'SKILL_DAMAGED',
  })
