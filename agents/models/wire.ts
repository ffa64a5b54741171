/**
 * A wire: how one family of providers wants a request written and how its answer reads. Pure; the bytes are carried by
 * http.ts. One file beside this one per wire, one line in config.ts.
 */
import { isJsonObject } from '#contract'
import type { Ability, AnswerFormat, JsonObject, JsonValue, Message, SkillCall } from '#contract'
import { ModelFault } from './fault.ts'
import type { Completion, ModelRequest } from './model.ts'

export interface Wire {
  /** Below the provider's base URL. */
  readonly path: string
  /** What it has words for. */
  readonly abilities: readonly Ability[]
  /** What proves who we are, and other fixed headers. */
  headers(apiKey: string | null): { readonly [name: string]: string }
  /** The request's body, asking for a stream. */
  encode(request: ModelRequest, baseUrl: URL): string
  /** Reads one answer. */
  read(request: ModelRequest, onText: (text: string) => void): AnswerReader
}

export interface AnswerReader {
  /** One event of a stream; true: it was the last that matters. Throws `ModelFault`. */
  event(data: string, type: string): boolean
  /** A provider that does not stream sent it all at once. */
  whole(body: JsonObject): void
  /** What came. Throws a transient fault if it is not all. */
  finish(): Completion
}

/** What a model's bytes say, or a fault worth another attempt. */
export function parseObject(text: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ModelFault('transient', 'sent malformed JSON')
  }
  if (!isJsonObject(value)) throw new ModelFault('transient', 'sent JSON of an unknown form')
  return value
}

export const truncated = (): ModelFault => new ModelFault('transient', 'broke off in the middle of its answer')

const NOTHING: JsonObject = {}
const NONE: readonly JsonValue[] = []
export const objectAt = (value: JsonValue | undefined): JsonObject => (isJsonObject(value) ? value : NOTHING)
export const listAt = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? value : NONE)
export const textAt = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')
export const countAt = (value: JsonValue | undefined): number => (typeof value === 'number' && value > 0 ? Math.floor(value) : 0)

/** As both of OpenAI's wires write it. */
export const formatOf = ({ name, description, schema, isStrict }: AnswerFormat): JsonObject => ({
  name,
  ...(description !== null && { description }),
  schema,
  ...(isStrict !== null && { strict: isStrict }),
})

/**
 * An assistant's entry in the order in which its model made it. What is its model's own (`own`) stands in `Message.extra`
 * with the places of text and calls around it, and goes back to that model only: others refuse foreign signatures.
 */
export type Piece =
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'call'; readonly call: SkillCall }
  | { readonly is: 'own'; readonly part: JsonObject }

export function piecesOf(message: Message & { readonly role: 'assistant' }, name: string): readonly Piece[] {
  const calls = message.calls ?? []
  const places = isJsonObject(message.extra) && message.extra['from'] === name ? listAt(message.extra['parts']).map(objectAt) : []
  const pieces: Piece[] = []
  let said = 0
  let called = 0
  for (const place of places) {
    const length = countAt(place['text'])
    if (length > 0) pieces.push({ is: 'text', text: message.text.slice(said, (said += length)) })
    const call = place['call'] === true ? calls[called++] : undefined
    if (call !== undefined) pieces.push({ is: 'call', call })
    if (isJsonObject(place['own'])) pieces.push({ is: 'own', part: place['own'] })
  }
  if (said < message.text.length) pieces.push({ is: 'text', text: message.text.slice(said) })
  for (const call of calls.slice(called)) pieces.push({ is: 'call', call })
  return pieces
}

/** The places for `extra`; null when there is nothing but text and calls. */
export class Places {
  readonly #parts: JsonObject[] = []
  #hasOwn = false

  text(text: string): void {
    this.#parts.push({ text: text.length })
  }
  call(): void {
    this.#parts.push({ call: true })
  }
  own(part: JsonObject): void {
    this.#parts.push({ own: part })
    this.#hasOwn = true
  }
  extra(name: string): JsonValue {
    return this.#hasOwn ? { from: name, parts: this.#parts } : null
  }
}
