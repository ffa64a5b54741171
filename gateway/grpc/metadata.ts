/**
 * The metadata of a call as header fields of a request. Only what a client may say there is taken over, so that nothing of HTTP's own (how to
 * answer, where it came from) can be said by the side.
 */
import type { Metadata } from '@grpc/grpc-js'
import { InvalidError } from '#contract'
import type { HttpRequest } from '#contract'

const TAKEN = /^(?:authorization|idempotency-key|traceparent|x-(?!forwarded|real-)[a-z0-9_.-]+)$/

export function headersOf(metadata: Metadata): HttpRequest['headers'] {
  const headers: { [name: string]: string } = {}
  for (const name of Object.keys(metadata.getMap())) {
    if (!TAKEN.test(name) || name.endsWith('-bin')) continue
    // One that is given twice comes as one, joined by a comma, as over HTTP.
    const [value] = metadata.get(name)
    if (typeof value === 'string') headers[name] = value
  }
  return headers
}

/** What stood in the message beside the metadata. */
export function keyHeader(metadata: Metadata, key: string | undefined): HttpRequest['headers'] {
  if (key === undefined || key === '') return {}
  const [given] = metadata.get('idempotency-key')
  if (given !== undefined && given !== key) throw mismatch()
  return { 'idempotency-key': key }
}

/** What proxies wrote; no handler sees it. */
export function forwardedFor(metadata: Metadata): string | undefined {
  const [value] = metadata.get('x-forwarded-for')
  return typeof value === 'string' ? value : undefined
}

const mismatch = (): InvalidError =>
  new InvalidError('The metadata has another idempotency-key than the message. Send one of them, or the same in both.', {
    code: 'IDEMPOTENCY_KEY_MISMATCH',
    faults: [{ pointer: '#/idempotency_key', detail: 'differs from the metadata idempotency-key' }],
  })
