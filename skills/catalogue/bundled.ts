/** Skills that ship with the gateway: every tenant sees them, nobody registers or changes them. Their files are read when one is first run. */
import { canonicalDigest, isJsonObject } from '#contract'
import type { JsonValue, SkillDescriptor } from '#contract'
import type { Bundle, Files } from '../bundle/bundle.ts'
import { readDescriptor } from '../descriptor/read.ts'
import { parseVersion } from '../descriptor/version.ts'
import { written } from '../descriptor/written.ts'
import { Shelf } from './shelf.ts'

export interface Bundled {
  readonly descriptor: SkillDescriptor
  /** May be called often. */
  load(): Promise<Bundle>
}

/** One that lies in a folder: its descriptor is read now, its files and whether they go together when it is first run. */
export function shipped(folder: {
  readonly id: string
  describe(): JsonValue
  load(): Promise<{ readonly descriptor: JsonValue; readonly files: Files }>
}): Bundled {
  const descriptor = folder.describe()
  let loading: Promise<Bundle> | null = null
  const load = async (): Promise<Bundle> => {
    const [{ admit }, given] = await Promise.all([import('../bundle/admit.ts'), folder.load()])
    const admitted = await admit(given)
    if (admitted.ok) return admitted.bundle
    throw new Error(
      `The bundled skill ${folder.id} is broken: ${admitted.faults.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ')}`,
    )
  }
  return {
    descriptor: readDescriptor(isJsonObject(descriptor) ? descriptor : {}),
    load() {
      loading ??= load().catch((error: unknown) => {
        loading = null
        throw error
      })
      return loading
    },
  }
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
