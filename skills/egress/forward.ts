/**
 * A plain HTTP request passed on to a host that was judged: parsed by Node on the way in, written anew on the way out, so that
 * nothing which two parsers could read differently gets through. One request, one connection.
 */
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { Tally } from './audit.ts'
import { endToEnd } from './headers.ts'
import type { Target } from './match.ts'

export interface ForwardOptions {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly target: Target
  readonly upstream: Socket
  readonly tally: Tally
  readonly idleMs: number
  readonly maxHeaderBytes: number
}

export interface ForwardEnd {
  readonly up: number
  readonly down: number
  readonly is: 'done' | 'over' | 'broken'
}

/** Resolves when both connections are done with. */
export function forward({ request, response, url, target, upstream, tally, idleMs, maxHeaderBytes }: ForwardOptions): Promise<ForwardEnd> {
  const { promise, resolve } = Promise.withResolvers<ForwardEnd>()
  let is: ForwardEnd['is'] = 'done'
  const isChunked = request.headers['transfer-encoding'] !== undefined
  const headers = [
    'Host',
    url.host,
    ...endToEnd(request.rawHeaders),
    ...(isChunked ? ['Transfer-Encoding', 'chunked'] : []),
    'Connection',
    'close',
  ]
  const outgoing = httpRequest({
    method: request.method ?? 'GET',
    path: url.pathname + url.search,
    headers,
    setHost: false,
    maxHeaderSize: maxHeaderBytes,
    // Only without an agent is this asked; with one the host would be resolved and dialled again.
    createConnection: () => upstream,
  })
  const fail = (how: 'over' | 'broken'): void => {
    if (is !== 'done') return
    is = how
    upstream.destroy()
    if (response.headersSent) response.destroy()
    else if (how === 'over') response.writeHead(413, PLAIN).end('A call may not send that much.\n')
    else response.writeHead(502, PLAIN).end('The host broke off, or answered what is no HTTP.\n')
  }
  const counted = (from: Readable, way: 'up' | 'down'): void => {
    from.on('data', (chunk: Buffer) => {
      if (!tally.bytes(way, chunk.byteLength, target)) fail('over')
    })
  }
  upstream.setTimeout(idleMs, () => fail('broken'))
  outgoing.on('error', () => fail('broken'))
  outgoing.once('close', () => {
    if (!response.headersSent) fail('broken')
  })
  request.on('error', () => upstream.destroy())
  response.on('error', () => upstream.destroy())
  outgoing.on('response', (answer) => {
    answer.on('error', () => fail('broken'))
    answer.once('close', () => {
      if (!answer.complete) fail('broken')
    })
    try {
      response.writeHead(answer.statusCode ?? 502, [...endToEnd(answer.rawHeaders), 'Connection', 'close'])
    } catch {
      return fail('broken')
    }
    counted(answer, 'down')
    answer.pipe(response)
  })
  const onClose = (): void => {
    upstream.destroy()
    resolve({ up: upstream.bytesWritten, down: upstream.bytesRead, is })
  }
  // The client went, now or while the host was looked for, or has all it will get.
  if (response.destroyed) onClose()
  else response.once('close', onClose)
  counted(request, 'up')
  request.pipe(outgoing)
  return promise
}

export const PLAIN = { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }
