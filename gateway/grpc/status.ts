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
  const details = typeof body['detail'] === 'string' ? body['detail'] : ''
  const metadata = new wire.Metadata()
  metadata.set('openclaw-code', code)
  metadata.set('openclaw-problem-bin', Buffer.from(JSON.stringify(body)))
  const retryAfter = headers['retry-after']
  if (retryAfter !== undefined) metadata.set('retry-after', retryAfter)
  return Object.assign(new Error(details), { code: codeOf(wire.status, status, code), details, metadata })
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
