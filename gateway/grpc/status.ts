/**
 * A problem of the HTTP API as the end of a gRPC call: a status of the same meaning, and the document in the trailers, because a status has room
 * for one sentence only.
 */
import type { Metadata, ServiceError, status } from '@grpc/grpc-js'
import type { Problem } from '../http/problem.ts'

/** What of the library is needed here; it is loaded only where gRPC is on. */
export interface Wire {
  readonly Metadata: typeof Metadata
  readonly status: typeof status
}

export function statusOf(wire: Wire, { status, headers, body }: Problem): ServiceError {
  const code = typeof body['code'] === 'string' ? body['code'] : 'INTERNAL'
  const details = shortened(typeof body['detail'] === 'string' ? body['detail'] : '')
  const metadata = new wire.Metadata()
  metadata.set('openclaw-code', code)
  metadata.set('openclaw-problem-bin', documentOf(body, details))
  const retryAfter = headers['retry-after']
  if (retryAfter !== undefined) metadata.set('retry-after', retryAfter)
  return Object.assign(new Error(details), { code: codeOf(wire.status, status, code), details, metadata })
}

/** Clients end a connection, with all that is on it, for trailers of more than 8 KiB. */
const MAX_DETAILS = 300
const MAX_DOCUMENT_BYTES = 4_096

/** The library percent-encodes it, and throws for half a character: in a place where nobody could catch that. */
const shortened = (detail: string): string => (detail.length > MAX_DETAILS ? `${detail.slice(0, MAX_DETAILS)}…` : detail).toWellFormed()

/** Whole where it fits; else without the list of faults. */
function documentOf(body: Problem['body'], detail: string): Buffer {
  const whole = Buffer.from(JSON.stringify(body))
  if (whole.byteLength <= MAX_DOCUMENT_BYTES) return whole
  const { errors: _tooMany, ...rest } = body
  return Buffer.from(JSON.stringify({ ...rest, detail }))
}

function codeOf(codes: Wire['status'], status: number, code: string): status {
  switch (status) {
    case 401:
      return codes.UNAUTHENTICATED
    case 403:
      return codes.PERMISSION_DENIED
    case 404:
      return codes.NOT_FOUND
    case 405:
    case 501:
      return codes.UNIMPLEMENTED
    case 408:
    case 504:
      return codes.DEADLINE_EXCEEDED
    case 409:
      // The same call may be made again in a moment, or the thing is there already.
      return code === 'IDEMPOTENCY_IN_PROGRESS' ? codes.ABORTED : codes.ALREADY_EXISTS
    case 412:
      return codes.FAILED_PRECONDITION
    case 413:
    case 429:
      return codes.RESOURCE_EXHAUSTED
    case 502:
      return codes.UNKNOWN
    case 503:
      return codes.UNAVAILABLE
    default:
      return status < 500 ? codes.INVALID_ARGUMENT : codes.INTERNAL
  }
}
