/** gRPC by hand over HTTP/2: what a client of the library would never send. */
import { connect } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, Settings } from 'node:http2'

export interface RawCall {
  readonly stream: ClientHttp2Stream
  /** What the call ended with. */
  readonly ended: Promise<Ended>
}
export interface Ended {
  /** `grpc-status`; null: it was reset. */
  readonly status: number | null
  readonly code: string
}

export class RawClient {
  readonly session: ClientHttp2Session
  readonly #key: string

  constructor(address: string, key: string, settings: Settings = {}) {
    this.session = connect(`http://${address}`, { settings })
    this.session.on('error', () => undefined)
    this.#key = key
  }

  /** `key` null: none. */
  call(method: string, { key = this.#key, metadata = {} }: { key?: string | null; metadata?: { [name: string]: string } } = {}): RawCall {
    const stream = this.session.request({
      ':method': 'POST',
      ':path': method.startsWith('/') ? method : `/openclaw.v1.Gateway/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(key !== null && { authorization: `Bearer ${key}` }),
      ...metadata,
    })
    const ended = new Promise<Ended>((resolve) => {
      const read = (headers: IncomingHttpHeaders): void => {
        if (headers['grpc-status'] !== undefined)
          resolve({ status: Number(headers['grpc-status']), code: String(headers['openclaw-code'] ?? '') })
      }
      stream.on('response', read).on('trailers', read)
      stream.on('error', () => undefined)
      stream.on('close', () => resolve({ status: null, code: '' }))
    })
    return { stream, ended }
  }

  close(): void {
    this.session.destroy()
  }
}

/** A message as it stands on the wire; `claimed`: the length it says it has. */
export function framed(bytes: Uint8Array, claimed: number = bytes.byteLength): Buffer {
  const frame = Buffer.alloc(5 + bytes.byteLength)
  frame.writeUInt32BE(claimed, 1)
  frame.set(bytes, 5)
  return frame
}
