/**
 * The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a structured-field string (RFC 9651 §3.3.3), or bare as
 * most clients write it, so that `"abc"` and abc are the same key. What a key protects is each route's own matter.
 */
import type { JsonObject } from './envelope.ts'

export const MAX_IDEMPOTENCY_KEY_CHARS = 255

/** The same for OpenAPI and people. */
export const idempotencyKeySchema: JsonObject = {
  description: 'The same key gives the same answer for 24 hours. Bare, or in double quotes.',
  anyOf: [
    { type: 'string', maxLength: MAX_IDEMPOTENCY_KEY_CHARS, pattern: '^[!#-~][!-~]*$' },
    { type: 'string', maxLength: MAX_IDEMPOTENCY_KEY_CHARS + 2, pattern: '^"([ !#-[\\]-~]|\\\\["\\\\])+"$' },
  ],
  examples: ['0194f3c2-6a4e-7b1d-9d55-3f1c2a8e7b60'],
}

/** null: malformed. It has 1 to 255 printable ASCII characters, and no space unless it is quoted. */
export function readIdempotencyKey(header: string): string | null {
  const key = QUOTED.test(header) ? header.slice(1, -1).replaceAll(/\\(["\\])/g, '$1') : BARE.test(header) ? header : ''
  return key === '' || key.length > MAX_IDEMPOTENCY_KEY_CHARS ? null : key
}

const BARE = /^[\x21\x23-\x7e][\x21-\x7e]*$/
const QUOTED = /^"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"$/
