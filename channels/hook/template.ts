/**
 * Where in a request something stands: a JSON Pointer (RFC 6901) into the body, or words with `{/pointer}` and `{header:name}` in them.
 * What is not there is not there; nothing is ever an error, because senders send many kinds of events to one place.
 */
import { isJsonObject, readPayload } from '#contract'
import type { JsonValue } from '#contract'

export interface Source {
  /** undefined: it is no JSON. */
  readonly body: JsonValue | undefined
  readonly headers: { readonly [name: string]: string | undefined }
}

type Piece = { readonly words: string } | { readonly pointer: readonly string[] } | { readonly header: string }
/** `isWhole`: it is one pointer and nothing else, so that what it points at may be more than words. */
export interface Template {
  readonly isWhole: boolean
  readonly pieces: readonly Piece[]
}

/** null: neither a pointer nor words with whole pointers in them. */
export function parseTemplate(text: string): Template | null {
  if (text.startsWith('/')) {
    const pointer = parsePointer(text)
    return pointer === null ? null : { isWhole: true, pieces: [{ pointer }] }
  }
  const pieces: Piece[] = []
  // Of what `split` gives every second is a place.
  for (const [at, part] of text.split(/\{((?:\/|header:)[^{}]*)\}/).entries()) {
    if (at % 2 === 0) {
      if (/\{(?:\/|header:)/.test(part)) return null
      if (part !== '') pieces.push({ words: part })
      continue
    }
    const place = parsePlace(part)
    if (place === null) return null
    pieces.push(place)
  }
  return { isWhole: false, pieces }
}

/** As it stands there: of a whole pointer any JSON within bounds, otherwise words. undefined: not there. */
export function valueAt(template: Template, source: Source): JsonValue | undefined {
  const [first] = template.pieces
  if (!template.isWhole || first === undefined || !('pointer' in first)) return textAt(template, source) ?? undefined
  const value = dig(source.body, first.pointer)
  return value === undefined || value === null || !isBounded(value) ? undefined : value
}

/** A map that says a place often makes a body many times as large. */
const MAX_CHARS = 2 * 1_048_576

/** null: nothing of what it points at is there, or more than is taken in one piece. */
export function textAt({ pieces }: Template, source: Source): string | null {
  let isThere = pieces.every((piece) => 'words' in piece)
  let room = MAX_CHARS
  const words = pieces.map((piece) => {
    if (room < 0) return ''
    if ('words' in piece) return piece.words
    const found = 'header' in piece ? (source.headers[piece.header] ?? '') : wordsOf(dig(source.body, piece.pointer))
    if (found !== '') isThere = true
    room -= found.length
    return found
  })
  return isThere && room >= 0 ? words.join('') : null
}

function wordsOf(value: JsonValue | undefined): string {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'object') return String(value)
  return isBounded(value) ? JSON.stringify(value) : ''
}

/** Deep JSON overflows the stack of whoever writes it out. */
function isBounded(value: JsonValue): boolean {
  return readPayload({ json: value }, '#', []) !== null
}

function dig(body: JsonValue | undefined, pointer: readonly string[]): JsonValue | undefined {
  let at = body
  for (const token of pointer) {
    if (Array.isArray(at)) at = /^(?:0|[1-9]\d{0,5})$/.test(token) ? (at as readonly JsonValue[])[Number(token)] : undefined
    else if (isJsonObject(at) && Object.hasOwn(at, token)) at = at[token]
    else return undefined
  }
  return at
}

function parsePlace(text: string): Piece | null {
  if (text.startsWith('/')) {
    const pointer = parsePointer(text)
    return pointer === null ? null : { pointer }
  }
  const header = text.slice('header:'.length).toLowerCase()
  return /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(header) ? { header } : null
}

/** RFC 6901 §3 and §4; null: a `~` that escapes nothing. */
function parsePointer(text: string): readonly string[] | null {
  if (/~(?![01])/.test(text)) return null
  return text
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}
