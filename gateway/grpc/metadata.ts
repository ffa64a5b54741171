/**
 * The metadata of a call as header fields of a request. Only what a client may say there is taken over, so that nothing of HTTP's own (how to
 * answer, where it came from) can be said by the side.
 */
import type { Metadata } from '@grpc/grpc-js'
import { InvalidError } from '#contract'
import type { HttpRequest } from '#contract'

const TAKEN = /^(?:authorization|idempotency-key|traceparent|x-(?!forwarded|real-)[a-z0-9_.-]+)$/

/** `key`: an idempotency key that stood in the message. */
export function headersOf(metadata: Metadata, key?: string): HttpRequest['headers'] {
  const headers: { [name: string]: string } = {}
  for (const name of Object.keys(metadata.getMap())) {
    if (!TAKEN.test(name) || name.endsWith('-bin')) continue
    // One that is given twice comes as one, joined by a comma, as over HTTP.
    const [value] = metadata.get(name)
    if (typeof value === 'string') headers[name] = value
  }
  if (key === undefined || key === '') return headers
  const given = headers['idempotency-key']
  if (given !== undefined && given !== key) throw mismatch()
  return { ...headers, 'idempotency-key': key }
}

/** `127.0.0.1:4711`, `[::1]:4711`, maybe with `ipv4:` before it. */
export const addressOf = (peer: string): string => {
  const [, six, four] = /(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+)):\d+$/.exec(peer) ?? []
  return (six ?? four ?? '').replace(/^::ffff:(?=\d+\.)/, '')
}

const mismatch = (): InvalidError =>
  new InvalidError('The metadata has another idempotency-key than the message. Send one of them, or the same in both.', {
    code: 'IDEMPOTENCY_KEY_MISMATCH',
    faults: [{ pointer: '#/idempotency_key', detail: 'differs from the metadata idempotency-key' }],
  })
