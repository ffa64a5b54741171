/**
 * The rules of the architecture as functions over parsed source: each answers with the breaches it found, in words.
 * What is allowed stands as data in `test/architecture.test.ts`.
 */
import { basename } from 'node:path'
import type { Source } from './source.ts'

export type Table = { readonly [name: string]: readonly string[] }

export interface ImportRules {
  /** Part → what of ours it may import beside itself. `x/*`: each folder of x is a part. The longest match counts. */
  readonly parts: Table
  /** Outside package → the only parts that import it. */
  readonly owners: Table
  /** The folder that others enter by one specifier only. */
  readonly door: { readonly folder: string; readonly specifier: string }
  /** Parts that may use any package. */
  readonly free: readonly string[]
}

export interface LeakRules {
  readonly kinds: readonly string[]
  readonly registry: string
  /** Names that are words of their own: only a whole string literal counts, and not in a line of another sense. */
  readonly ordinary: ReadonlySet<string>
  readonly otherSense: RegExp
}

export const within = (path: string, part: string): boolean => path === part || path.startsWith(`${part}/`)

export function importBreaches(files: readonly Source[], rules: ImportRules): readonly string[] {
  return files.flatMap((file) => {
    const part = partOf(file.path, rules.parts)
    if (part === null) return [`${file.path} belongs to no part of the table`]
    return file.imports.flatMap(({ specifier, ours, outside }) => {
      if (outside !== null) {
        const owners = rules.owners[outside]
        const isFree = rules.free.includes(part.name) || (owners === undefined && outside.startsWith('node:'))
        return isFree || owners?.includes(part.name)
          ? []
          : [`${file.path} imports ${outside}, which belongs to ${owners?.join(', ') ?? 'no part'}`]
      }
      if (ours === null || within(ours, part.name)) return []
      if (within(ours, rules.door.folder) && specifier !== rules.door.specifier)
        return [`${file.path} enters ${ours} past ${rules.door.specifier}`]
      return part.may.some((other) => within(ours, other)) ? [] : [`${file.path} imports ${ours}`]
    })
  })
}

export function cycleBreaches(files: readonly Source[]): readonly string[] {
  const edges = new Map(files.map((file) => [file.path, file.imports.flatMap(({ ours }) => ours ?? [])]))
  const settled = new Set<string>()
  const visit = (path: string, trail: readonly string[]): readonly string[] => {
    if (trail.includes(path)) return [[...trail.slice(trail.indexOf(path)), path].join(' → ')]
    if (settled.has(path)) return []
    const found = (edges.get(path) ?? []).flatMap((next) => visit(next, [...trail, path]))
    settled.add(path)
    return found
  }
  return [...edges.keys()].flatMap((path) => visit(path, []))
}

export function leaks(files: readonly Source[], rules: LeakRules): readonly string[] {
  const isNamed = (file: Source, kind: string): boolean =>
    rules.ordinary.has(kind)
      ? file.literals.some(({ value, line }) => value === kind && !rules.otherSense.test(line))
      : file.code.toLowerCase().includes(kind.toLowerCase())
  const strangers = (kind: string): readonly Source[] =>
    files.filter(({ path }) => path !== rules.registry && !within(path, `channels/${kind}`))
  return rules.kinds.flatMap((kind) =>
    strangers(kind)
      .filter((file) => isNamed(file, kind))
      .map((file) => `${file.path} names ${kind}`),
  )
}

const EMPTY_NAME = /^(utils?|helpers?|common|misc|types?|manager|service)\./

export function nameBreaches(files: readonly Source[]): readonly string[] {
  return files.filter(({ path }) => EMPTY_NAME.test(basename(path))).map(({ path }) => `${path} has a name that says nothing`)
}

export function lengthBreaches(files: readonly Source[], max: number): readonly string[] {
  return files.filter(({ lines }) => lines > max).map(({ path, lines }) => `${path} has ${lines} lines of code, more than ${max}`)
}

export function openingBreaches(files: readonly Source[]): readonly string[] {
  return files
    .filter(({ text }) => !/^(#![^\n]*\n)?\s*\/[/*]/.test(text))
    .map(({ path }) => `${path} does not begin by saying what it is for`)
}

/** Codes that the catalogue lacks, and entries that no source can give. A row of it begins "| `CODE` |". */
export function codeBreaches(files: readonly Source[], catalogue: string): readonly string[] {
  const given = files.flatMap(({ code }) => [...code.matchAll(/\bcode: ([^,}\n]*)/g)]).flatMap(([, value = '']) => codesIn(value))
  const literals = new Set(files.flatMap((file) => file.literals.map(({ value }) => value)))
  const entries = [...catalogue.matchAll(/^\| `([A-Z][A-Z0-9_]*)` \|/gm)].flatMap(([, code]) => code ?? [])
  return [
    ...[...new Set(given)].filter((code) => !entries.includes(code)).map((code) => `${code} is not in the catalogue`),
    ...entries.filter((code) => !literals.has(code)).map((code) => `${code} is in the catalogue and nowhere in the source`),
    ...entries.filter((code, at) => entries.indexOf(code) !== at).map((code) => `${code} is in the catalogue twice`),
  ]
}

const codesIn = (expression: string): readonly string[] => expression.match(/(?<=')[A-Z][A-Z0-9_]+(?=')/g) ?? []

function partOf(path: string, parts: Table): { readonly name: string; readonly may: readonly string[] } | null {
  const segments = path.split('/')
  const fits = (key: string): boolean => (key.endsWith('/*') ? segments.length > 2 && segments[0] === key.slice(0, -2) : within(path, key))
  const key = Object.keys(parts)
    .filter(fits)
    .sort((a, b) => b.length - a.length)[0]
  if (key === undefined) return null
  return { name: key.endsWith('/*') ? segments.slice(0, 2).join('/') : key, may: parts[key] ?? [] }
}
