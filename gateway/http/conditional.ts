/**
 * Conditional requests (RFC 9110 §13): what a document was when a client saw it, and refusing to change what has become another since. The
 * tag stands for the settings of a thing, not for what it does by itself (running turns, its connection).
 */
import { hash } from 'node:crypto'
import { ConflictError, canonicalJson } from '#contract'
import type { HttpReply, HttpRequest, JsonObject, Route } from '#contract'

const problem = (description: string): Route['responses'][string] => ({ description, contentType: 'application/problem+json' })

/** What a change of the configuration may answer beside what every route may. */
export const CHANGE_PROBLEMS: Route['responses'] = {
  404: problem('There is nothing of this name, or nothing to take away.'),
  409: problem('openclaw.yaml declares it so, or has faults now.'),
  412: problem('`If-Match` names another state: it was changed since.'),
}

/** A strong validator: the digest of the settings. */
const etagOf = (settings: JsonObject): string => `"${hash('sha256', canonicalJson(settings), 'base64url').slice(0, 27)}"`

/** @throws ConflictError (412) when `If-Match` names another state than this; null: there is none. No `If-Match`: anything goes. */
export function checkMatch({ headers }: HttpRequest, settings: JsonObject | null): void {
  const given = headers['if-match']
  if (given === undefined) return
  if (settings !== null && (given.trim() === '*' || listed(given).includes(etagOf(settings)))) return
  throw new ConflictError('It was changed since you saw it. Get it again, and send its ETag in If-Match.', { code: 'PRECONDITION_FAILED' })
}

/** A document with the tag of its settings. */
export const tagged = (settings: JsonObject, body: JsonObject): HttpReply => ({ status: 200, headers: { etag: etagOf(settings) }, body })

/** Taken away; the tag is that of what is there in its place. */
export const withdrawn = (settings: JsonObject | null): HttpReply => ({
  status: 204,
  ...(settings !== null && { headers: { etag: etagOf(settings) } }),
})

/** Weak tags match nothing here (RFC 9110 §13.1.1). */
const listed = (field: string): readonly string[] =>
  [...field.matchAll(/(W\/)?("[^"]*")/g)].flatMap(([, weak, tag]) => (weak ? [] : [tag ?? '']))
