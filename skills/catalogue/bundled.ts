/** Skills that ship with the gateway: every tenant sees them, nobody registers or changes them. Their files are read when one is first run. */
import { canonicalDigest } from '#contract'
import type { SkillDescriptor } from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import { parseVersion } from '../descriptor/version.ts'
import { written } from '../descriptor/written.ts'
import { Shelf } from './shelf.ts'

export interface Bundled {
  readonly descriptor: SkillDescriptor
  /** May be called often. */
  load(): Promise<Bundle>
}

/** Of what belongs to no tenant. */
export const NOBODY = ''

export interface OwnShelf {
  readonly shelf: Shelf
  readonly bundled: Bundled
}

export function ownShelf(bundled: Bundled): OwnShelf {
  const { descriptor } = bundled
  const { id, version: text } = descriptor
  const version = parseVersion(text)
  if (version === null) throw new Error(`The bundled skill ${id} has the version ${text}, which is none.`)
  const shelf = new Shelf()
  const json = written(descriptor)
  shelf.put({
    record: {
      tenant: NOBODY,
      id,
      version: text,
      digest: `sha256-${canonicalDigest(json)}`,
      descriptor: json,
      isEnabled: true,
      deprecated: null,
      signature: null,
      createdAt: 0,
      createdBy: 'openclaw',
    },
    descriptor,
    version,
  })
  const none = { previous: null, canary: null, weight: 0, note: null }
  shelf.setTrack({ tenant: NOBODY, id, major: version.major, stable: text, ...none, updatedAt: 0 })
  return { shelf, bundled }
}
