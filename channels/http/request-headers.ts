/**
 * What an HTTP request says in its headers: the idempotency key, metadata, trace and the names routes may match on.
 * Node hands header values over as Latin-1; where a value may hold other letters its UTF-8 is restored here.
 */
import { InvalidError, MAX_IDEMPOTENCY_KEY_CHARS, isTraceparent, readIdempotencyKey, readMetadata, readName } from '#contract'
import type { Fault, JsonValue, Metadata } from '#contract'

export type RequestHeaders = { readonly [name: string]: string | undefined }

/**
 * The key of `Idempotency-Key`. Without the header, the body's.
 * @throws InvalidError if it is malformed, or if the body says something else
 */
export function idempotencyKey(headers: RequestHeaders, ofBody: string | null): string | null {
  const header = headers['idempotency-key']
  if (header === undefined) return ofBody
  const key = readIdempotencyKey(header)
  if (key === null) {
    throw refusal({ code: 'INVALID_IDEMPOTENCY_KEY' }, [
      {
        pointer: '#/headers/idempotency-key',
        detail: `Must be 1 to ${MAX_IDEMPOTENCY_KEY_CHARS} printable ASCII characters, bare or in double quotes.`,
      },
    ])
  }
  if (ofBody !== null && ofBody !== key) {
    throw refusal({ code: 'IDEMPOTENCY_KEY_MISMATCH' }, [
      { pointer: '#/idempotency_key', detail: 'Differs from the header Idempotency-Key. Send one of them, or the same in both.' },
    ])
  }
  return key
}

/** `ofBody` with what `X-Channel-ID` and `X-OpenClaw-Metadata` (a JSON object) add to it; the body wins. */
export function withSaidHeaders(ofBody: Metadata, headers: RequestHeaders): Metadata {
  const label = headers['x-channel-id']
  const extra = headers['x-openclaw-metadata']
  if (label === undefined && extra === undefined) return ofBody
  const faults: Fault[] = []
  const fromExtra = extra === undefined ? {} : readMetadata(parseJson(extra, faults), '#/headers/x-openclaw-metadata', faults)
  const named = label === undefined ? undefined : utf8(label, 'x-channel-id', faults)
  const channel = named === undefined ? null : readName(named, '#/headers/x-channel-id', faults)
  if (faults.length > 0) throw refusal({ code: 'SCHEMA_VIOLATION' }, faults)
  return { ...fromExtra, ...(channel === null ? {} : { channel_id: channel }), ...ofBody }
}

/** `said` with the headers that routes may match on and the trace. These differ between two tries of the same request. */
export function withCarriedHeaders(said: Metadata, headers: RequestHeaders): Metadata {
  const carried = routingHeaders(headers)
  const traceparent = headers['traceparent']
  const traced = traceparent !== undefined && said.traceparent === undefined && isTraceparent(traceparent)
  if (carried === null && !traced) return said
  return {
    ...said,
    ...(carried === null ? {} : { headers: { ...carried, ...said.headers } }),
    ...(traced ? { traceparent } : {}),
  }
}

const MAX_CARRIED = 16
const MAX_CARRIED_CHARS = 1_024
/** Credentials, addresses and what was read already. */
const NOT_CARRIED = /auth|token|secret|key|cookie|forward|csrf|xsrf|passw|signature|-ip$|^x-openclaw-metadata$/

/** Names beginning with `x-`, as Node has them in lower case; null: none. */
function routingHeaders(headers: RequestHeaders): { readonly [name: string]: string } | null {
  let carried: { [name: string]: string } | null = null
  let count = 0
  for (const name in headers) {
    if (!name.startsWith('x-') || NOT_CARRIED.test(name)) continue
    const value = headers[name]
    if (value === undefined || value.length > MAX_CARRIED_CHARS) continue
    if (++count > MAX_CARRIED) break
    carried ??= {}
    carried[name] = value
  }
  return carried
}

function parseJson(header: string, faults: Fault[]): JsonValue | undefined {
  const text = utf8(header, 'x-openclaw-metadata', faults)
  try {
    return text === undefined ? undefined : (JSON.parse(text) as JsonValue)
  } catch {
    faults.push({ pointer: '#/headers/x-openclaw-metadata', detail: 'Must be a JSON object.' })
    return undefined
  }
}

function utf8(latin1: string, name: string, faults: Fault[]): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(latin1, 'latin1'))
  } catch {
    faults.push({ pointer: `#/headers/${name}`, detail: 'Must be UTF-8.' })
    return undefined
  }
}

const refusal = ({ code }: { readonly code: string }, faults: readonly Fault[]): InvalidError =>
  new InvalidError(`The request was refused at ${faults[0]?.pointer}: ${faults[0]?.detail}`, { code, faults })
