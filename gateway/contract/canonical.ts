/**
 * One spelling for each JSON value (RFC 8785: members in UTF-16 order, no white space), so that two texts which mean the
 * same have the same digest. Lone surrogates, which RFC 8785 refuses, are escaped.
 */
import { hash } from 'node:crypto'

/** Members that are undefined are left out, as in JSON.stringify. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`
  let text = ''
  for (const [name, member] of Object.entries(value).sort(byName)) {
    if (member !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member)}`
  }
  return `{${text}}`
}

/** SHA-256 of the canonical JSON, lower-case hex. */
export const canonicalDigest = (value: unknown): string => hash('sha256', canonicalJson(value), 'hex')

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1)
