/** Registered skills: immutable versions, their bundles by digest, and how each major is rolled out. */
import type { JsonObject } from '../envelope.ts'

export interface SkillRecord {
  readonly tenant: string
  readonly id: string
  readonly version: string
  /** `sha256-<hex>` over descriptor and files: the same digest is the same skill. */
  readonly digest: string
  /** As it was written. */
  readonly descriptor: JsonObject
  readonly isEnabled: boolean
  /** What to use instead, and why; null: not deprecated. */
  readonly deprecated: string | null
  /** Detached JWS as given; verified again when it is loaded. */
  readonly signature: string | null
  readonly createdAt: number
  readonly createdBy: string
}

/** One major of one skill. `weight`: ten-thousandths of its calls that the canary gets. */
export interface SkillTrack {
  readonly tenant: string
  readonly id: string
  readonly major: number
  readonly stable: string
  /** Stable before this one, for a rollback. */
  readonly previous: string | null
  readonly canary: string | null
  readonly weight: number
  /** Why the last rollback happened; null: none did. */
  readonly note: string | null
  readonly updatedAt: number
}

export interface SkillStore {
  /** taken: that version exists with another digest. same: it exists just so, and nothing was done. `track` null: the rollout stays as it is. */
  add(record: SkillRecord, bundle: Uint8Array, track: SkillTrack | null): Promise<'added' | 'same' | 'taken'>
  /** All of all tenants, without bundles. */
  list(): Promise<readonly SkillRecord[]>
  tracks(): Promise<readonly SkillTrack[]>
  bundle(digest: string): Promise<Uint8Array | null>
  change(
    skill: SkillRef,
    change: { readonly isEnabled?: boolean; readonly deprecated?: string | null; readonly signature?: string },
  ): Promise<boolean>
  /** One version, or with `version` null all of them; tracks whose stable one goes and bundles that nobody has any more go too. False: there was none. */
  remove(skill: { readonly tenant: string; readonly id: string; readonly version: string | null }): Promise<boolean>
  setTrack(track: SkillTrack): Promise<void>
}
export interface SkillRef {
  readonly tenant: string
  readonly id: string
  readonly version: string
}
