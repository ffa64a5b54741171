/** The files of one version of a skill, as they are kept and as they go into a sandbox. */
import type { SkillDescriptor } from '#contract'

export const MAX_FILES = 256
export const MAX_BUNDLE_BYTES: number = 4 * 1_048_576

/** Path → content. Paths are relative, normalised (NFC), with `/`, without `.` and `..`, unique also when case is ignored. */
export type Files = { readonly [path: string]: Uint8Array }

/** A version ready to run: checked, and its signature verified if one is wanted. */
export interface Bundle {
  /** `sha256-<hex>` over descriptor and files. */
  readonly digest: string
  readonly descriptor: SkillDescriptor
  readonly files: Files
}
