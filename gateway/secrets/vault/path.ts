/** What stands after `vault:` in a reference: `path#field`, with `?version=3` behind a path of KV v2. */
export interface VaultPath {
  readonly path: string
  readonly version: number | null
  readonly field: string
}

const SHAPE = /^([^#?]*)(?:\?version=([1-9][0-9]{0,8}))?#([^#]+)$/
/** Segments that mean themselves in an address: none is empty, and none climbs. */
const PATH = /^(?!\.\.?(?:\/|$))[\w.~@+-]+(?:\/(?!\.\.?(?:\/|$))[\w.~@+-]+)+$/

/** `#field` alone is a field of `home`. null: it has another form. */
export function parsePath(text: string, home: string | null): VaultPath | null {
  const [, path = '', version, field = ''] = SHAPE.exec(text) ?? []
  const whole = path === '' ? (home ?? '') : path
  return field === '' || !isPath(whole) ? null : { path: whole, version: version === undefined ? null : Number(version), field }
}

export const isPath = (text: string): boolean => PATH.test(text)
