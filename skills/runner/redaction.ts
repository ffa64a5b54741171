/**
 * Takes the secrets of one run out of everything that leaves it: output, progress, logs, errors. A secret is looked for as it is, and as it
 * looks in base64 (wherever in a longer text it begins), in hexadecimal, in URLs and in JSON. Whoever wants to hide one
 * better can; this is against accidents.
 */
import type { JsonValue } from '#contract'
import { isJsonObject, secretForms } from '#contract'

const MASK = '[secret]'
/** Shorter ones would mask ordinary words. */
const MIN_CHARS = 4

export class Redaction {
  readonly #pattern: RegExp | null
  /** Longest first. */
  readonly #needles: readonly string[]

  constructor(secrets: readonly string[]) {
    const needles = new Set(
      secrets
        .filter((secret) => secret.length >= MIN_CHARS)
        .flatMap(secretForms)
        .filter((form) => form.length >= MIN_CHARS),
    )
    this.#needles = [...needles].sort((a, b) => b.length - a.length)
    this.#pattern = this.#needles.length === 0 ? null : new RegExp(this.#needles.map(literally).join('|'), 'g')
  }

  text(text: string): string {
    return this.#pattern === null ? text : text.replace(this.#pattern, MASK)
  }

  /** Names of members too. Numbers and truth values stay. */
  value(value: JsonValue): JsonValue {
    if (this.#pattern === null) return value
    if (typeof value === 'string') return this.text(value)
    if (Array.isArray(value)) return value.map((item: JsonValue) => this.value(item))
    if (!isJsonObject(value)) return value
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [this.text(name), this.value(member)]))
  }

  /** For text that comes in pieces: what may be the beginning of a secret is held back until more is known. */
  stream(): { push(piece: string): string; end(): string } {
    let held = ''
    return {
      push: (piece) => {
        const text = this.text(held + piece)
        const kept = this.#openEnd(text)
        held = text.slice(text.length - kept)
        return text.slice(0, text.length - kept)
      },
      end: () => {
        const rest = held
        held = ''
        return rest
      },
    }
  }

  /** How many characters at the end may be the beginning of a secret. */
  #openEnd(text: string): number {
    let longest = 0
    for (const needle of this.#needles) {
      for (let length = Math.min(needle.length - 1, text.length); length > longest; length--) {
        if (text.endsWith(needle.slice(0, length))) longest = length
      }
    }
    return longest
  }
}

const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
