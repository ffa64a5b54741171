/**
 * What a version is: its descriptor and files by one digest, and the manifest that a signature is made over. Both are canonical JSON
 * (RFC 8785), so that spelling and order make no difference.
 */
import { hash } from 'node:crypto'
import { canonicalJson } from '#contract'
import type { JsonObject } from '#contract'
import type { Files } from './bundle.ts'

/** Files are only ever read, never run by their mode; it stands in the manifest so that it can never mean something else. */
const MODE = '0644'

export function manifest(descriptor: JsonObject, files: Files): Uint8Array {
  const listed = Object.entries(files)
    .map(([path, content]) => ({ path, mode: MODE, size: content.byteLength, sha256: hash('sha256', content, 'hex') }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
  return new TextEncoder().encode(canonicalJson({ format: 'openclaw-skill-1', descriptor, files: listed }))
}

/** `sha256-<hex>`. */
export const digestOf = (descriptor: JsonObject, files: Files): string => `sha256-${hash('sha256', manifest(descriptor, files), 'hex')}`
