/** How many keys there may be. Each tenant has its own bound: whoever may make keys, good or evil, takes nobody else's place. */
import { ConflictError, DEFAULT_TENANT } from '#contract'

/** Of one tenant, that are valid. */
const MAX_VALID = 10_000
/** With those that are not any more: of the operator, of all others together, and a fifth of it of one of these. */
const MAX_RECORDS = 100_000

interface Owned {
  readonly tenant: string
}

/** @throws ConflictError when the tenant may have no more */
export function checkRoom<Key extends Owned>(tenant: string, keys: Iterable<Key>, isValid: (key: Key) => boolean): void {
  let [valid, own, others] = [0, 0, 0]
  for (const key of keys) {
    if (key.tenant !== DEFAULT_TENANT) others++
    if (key.tenant !== tenant) continue
    own++
    if (isValid(key)) valid++
  }
  if (valid >= MAX_VALID) throw tooMany(`There are ${valid} valid keys already. Revoke some first.`)
  if (tenant === DEFAULT_TENANT ? own < MAX_RECORDS : own < MAX_RECORDS / 5 && others < MAX_RECORDS) return
  throw tooMany('Too many keys were made already, with those that ended. Rotate one instead of making another.')
}

const tooMany = (message: string): ConflictError => new ConflictError(message, { code: 'TOO_MANY_KEYS' })
