/**
 * How answers are written: whole, with one set of header fields prepared beforehand. Nothing that the gateway sends may be sniffed, framed,
 * cached by others or run as a page; the console's files have their own rules (`console-files.ts`).
 */
import { STATUS_CODES, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { JsonObject } from '#contract'

type Headers = { readonly [name: string]: string }

const SECURITY: readonly string[] = [
  'cache-control',
  'no-store',
  'x-content-type-options',
  'nosniff',
  'content-security-policy',
  "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy',
  'no-referrer',
  // Also what a client certificate, which a browser shows to whoever asks, has paid for.
  'cross-origin-resource-policy',
  'same-origin',
]
const NONE: Headers = {}

export function writeProblem(
  response: ServerResponse,
  id: string,
  { status, headers, body, quota = [] }: { status: number; headers: Headers; body: JsonObject; quota?: readonly string[] },
): void {
  writeText(response, { id, status, text: JSON.stringify(body), contentType: 'application/problem+json', headers, quota })
}

export interface Text {
  readonly id: string
  readonly status: number
  readonly text: string
  readonly contentType: string
  readonly headers: Headers
  /** Names and values in turn, of what is limited. */
  readonly quota?: readonly string[]
}

export type Bytes = Omit<Text, 'text'> & { readonly bytes: Uint8Array }

export function writeText(response: ServerResponse, { id, status, text, contentType, headers, quota }: Text): void {
  const fields = ['content-type', contentType, 'content-length', String(Buffer.byteLength(text)), 'x-request-id', id, ...SECURITY]
  if (quota !== undefined) fields.push(...quota)
  appendFields(fields, headers)
  response.writeHead(status, fields)
  response.end(text)
}

export function writeBytes(response: ServerResponse, { id, status, bytes, contentType, headers, quota }: Bytes): void {
  const fields = ['content-type', contentType, 'content-length', String(bytes.byteLength), 'x-request-id', id, ...SECURITY]
  if (quota !== undefined) fields.push(...quota)
  appendFields(fields, headers)
  response.writeHead(status, fields)
  response.end(bytes)
}

/** An answer without content. */
export function writeEmpty(
  response: ServerResponse,
  { id, status, headers = NONE, quota }: { id: string; status: number; headers?: Headers | undefined; quota?: readonly string[] },
): void {
  const fields = ['x-request-id', id, ...SECURITY]
  if (quota !== undefined) fields.push(...quota)
  // RFC 9110 §8.6: a 204 has no length.
  if (status !== 204) fields.push('content-length', '0')
  appendFields(fields, headers)
  response.writeHead(status, fields)
  response.end()
}

export function beginStream(response: ServerResponse, id: string, quota: readonly string[]): void {
  // The connection is of no further use: its end tells the client that the stream ended.
  response.shouldKeepAlive = false
  // Proxies that buffer would hold events back.
  response.writeHead(200, ['content-type', 'text/event-stream', 'x-request-id', id, 'x-accel-buffering', 'no', ...quota, ...SECURITY])
  response.flushHeaders()
}

/** A problem on a socket that has no `ServerResponse`: the request could not be parsed, or it was an upgrade. Ends the socket. */
export function endSocket(socket: Duplex, problem: { status: number; headers: Headers; body: JsonObject }): void {
  const text = JSON.stringify(problem.body)
  const fields = [
    'content-type',
    'application/problem+json',
    'content-length',
    String(Buffer.byteLength(text)),
    'connection',
    'close',
    ...SECURITY,
  ]
  appendFields(fields, problem.headers)
  let head = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? 'Error'}\r\n`
  for (let i = 0; i + 1 < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`
  socket.once('finish', () => socket.destroy())
  socket.end(`${head}\r\n${text}`)
}

function appendFields(fields: string[], headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) {
    const own = fields.indexOf(name)
    if (own < 0) fields.push(name, value)
    else fields[own + 1] = value
  }
}
