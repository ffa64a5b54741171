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
    const [value, ...more] = metadata.get(name)
    if (more.length > 0) throw refused(name, 'is given twice')
    if (typeof value === 'string') headers[name] = value
  }
  if (key === undefined || key === '') return headers
  const given = headers['idempotency-key']
  if (given !== undefined && given !== key) throw refused('idempotency-key', 'differs from the message')
  return { ...headers, 'idempotency-key': key }
}

/** `127.0.0.1:4711`, `[::1]:4711`, maybe with `ipv4:` before it. */
export const addressOf = (peer: string): string => {
  const [, six, four] = /(?:\[([^\]]+)\]|(\d+\.\d+\.\d+\.\d+)):\d+$/.exec(peer) ?? []
  return (six ?? four ?? '').replace(/^::ffff:(?=\d+\.)/, '')
}

const refused = (name: string, detail: string): InvalidError =>
  new InvalidError(`The metadata is refused: ${name} ${detail}.`, {
    code: 'METADATA_REFUSED',
    faults: [{ pointer: `#/metadata/${name}`, detail }],
  })
