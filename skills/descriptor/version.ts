/**
 * Versions by Semantic Versioning 2.0, and what a caller may ask for: one version, a major, or a range as npm writes them. Comparing
 * is done here; ranges are the library's, loaded when somebody first asks for one.
 */
import { createRequire } from 'node:module'
import type { Range } from 'semver'

export interface Version {
  readonly text: string
  readonly major: number
  readonly minor: number
  readonly patch: number
  /** `rc.1` as its parts; empty: a release. */
  readonly prerelease: readonly (number | string)[]
}

const NUMBER = '(0|[1-9]\\d{0,14})'
const SHAPE = new RegExp(`^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-([0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*))?$`)
const MAX_LENGTH = 64

/** null: it is none, or has build metadata, by which two versions would differ that are the same. */
export function parseVersion(text: string): Version | null {
  const [, major, minor, patch, tail] = text.length > MAX_LENGTH ? [] : (SHAPE.exec(text) ?? [])
  const parts = tail?.split('.') ?? []
  if (major === undefined || parts.some((part) => /^0\d+$/.test(part))) return null
  const prerelease = parts.map((part) => (/^\d{1,15}$/.test(part) ? Number(part) : part))
  return { text, major: Number(major), minor: Number(minor), patch: Number(patch), prerelease }
}

/** SemVer §11: negative when `a` comes before `b`. */
export function compareVersions(a: Version, b: Version): number {
  const numbers = a.major - b.major || a.minor - b.minor || a.patch - b.patch
  if (numbers !== 0) return numbers
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return b.prerelease.length - a.prerelease.length
  for (const [at, part] of a.prerelease.entries()) {
    const other = b.prerelease[at]
    if (other === undefined) return 1
    if (part === other) continue
    if (typeof part !== typeof other) return typeof part === 'number' ? -1 : 1
    return part < other ? -1 : 1
  }
  return a.prerelease.length - b.prerelease.length
}

/** What a caller asked for. */
export type Asked =
  | { readonly is: 'version'; readonly version: string }
  | { readonly is: 'major'; readonly major: number }
  | { readonly is: 'range'; readonly fits: (version: Version) => boolean }
  | { readonly is: 'nonsense' }

export function parseAsked(text: string): Asked {
  if (parseVersion(text) !== null) return { is: 'version', version: text }
  const major = /^v?(0|[1-9]\d{0,14})$/.exec(text)?.[1]
  if (major !== undefined) return { is: 'major', major: Number(major) }
  if (text.length > MAX_LENGTH * 2 || text.trim() === '') return { is: 'nonsense' }
  const range = rangeOf(text)
  return range === null ? { is: 'nonsense' } : { is: 'range', fits: (version) => range.test(version.text) }
}

function rangeOf(text: string): Range | null {
  const load = createRequire(import.meta.url)
  const Ranges: typeof Range = load('semver/classes/range')
  try {
    return new Ranges(text)
  } catch {
    return null
  }
}
