/**
 * Fetches for code that has no sockets (QuickJS, bundled skills), by the same rules as the proxy. Redirects are followed, each hop judged; a secret
 * for one origin is none for the next.
 */
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Duplex } from 'node:stream'
import { DeniedError, InvalidError, UnavailableError } from '#contract'
import type { Log, Metrics } from '#contract'
import { Audit } from './audit.ts'
import type { Tally } from './audit.ts'
import type { EgressFetch, EgressRequest, EgressResponse } from './egress.ts'
import type { Gate } from './gate.ts'
import { endToEnd, fieldsOf } from './headers.ts'
import { authority, parseRule, targetOf } from './match.ts'
import type { Rule, Target } from './match.ts'

export interface EgressFetchOptions {
  readonly gate: Gate
  readonly log: Log
  readonly metrics: Metrics
  /** Certificates (PEM) trusted instead of the system's. */
  readonly ca?: string
}

const MAX_HOPS = 5
const MAX_HEADER_BYTES = 16_384
const TIMEOUT_MS = 60_000
const METHOD = /^[A-Z]{1,16}$/
const FIELD = /^[!#$%&'*+.^`|~\w-]+$/
const VALUE = /^[\t\u0020-\u007E\u0080-\u00FF]*$/
const REDIRECTS = [301, 302, 303, 307, 308]
/** All that an origin to which another redirects is told; which of the others is a secret, nobody knows. */
const PUBLIC = ['accept', 'accept-language', 'content-type', 'user-agent']
const OURS = ['content-length', 'accept-encoding']

interface Hop {
  readonly url: URL
  readonly method: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array | null
}

export function egressFetch(options: EgressFetchOptions): EgressFetch {
  const audit = new Audit(options)
  return async (request) => {
    const tally = audit.tally(request, request.maxBytes)
    const rules = request.allow.map((text) => parseRule(text)).filter((rule) => rule !== null)
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)])
    let hop = firstHop(request)
    for (let count = 0; count <= MAX_HOPS; count++) {
      const response = await exchange(hop, { ...options, rules, tally, signal, maxBytes: request.maxBytes })
      const location = response.headers['location']
      if (!REDIRECTS.includes(response.status) || location === undefined) return response
      hop = nextHop(hop, response.status, location)
    }
    throw invalid(`${hop.url.host} redirects without end.`)
  }
}

interface Means extends EgressFetchOptions {
  readonly rules: readonly Rule[]
  readonly tally: Tally
  readonly signal: AbortSignal
  readonly maxBytes: number
}

async function exchange(hop: Hop, { gate, rules, tally, signal, maxBytes, ca }: Means): Promise<EgressResponse> {
  const target = targetOf(hop.url)
  if (target === null) throw invalid('That address has no host that could be asked.')
  const judged = await gate.judge(rules, target, signal)
  if (judged.verdict !== 'allowed') {
    tally.record({ target, verdict: judged.verdict, why: judged.why, up: 0, down: 0 })
    if (judged.verdict === 'unresolved') throw new UnavailableError(judged.why, { code: 'EGRESS_UNREACHABLE' })
    throw new DeniedError(judged.why, { code: 'EGRESS_DENIED', reason: 'forbidden' })
  }
  let socket: Socket | null = null
  try {
    socket = await gate.dial(judged.addresses, target.port, signal)
    socket.on('error', () => {})
    const answer = await send(hop, { socket, signal, ...(ca === undefined ? {} : { ca }) })
    const body = await read(answer, target, maxBytes)
    tally.record({ target, verdict: 'allowed', why: null, up: socket.bytesWritten, down: socket.bytesRead })
    return { status: answer.statusCode ?? 0, headers: headersOf(answer), body }
  } catch (cause) {
    const isOver = cause instanceof InvalidError
    const counts = { up: socket?.bytesWritten ?? 0, down: socket?.bytesRead ?? 0 }
    tally.record({ target, verdict: isOver ? 'limit' : 'unreachable', why: null, ...counts })
    if (isOver) throw cause
    throw new UnavailableError(`${authority(target)} cannot be reached, or broke off.`, { code: 'EGRESS_UNREACHABLE', cause })
  } finally {
    socket?.destroy()
  }
}

function send(
  { url, method, headers, body }: Hop,
  { socket, signal, ca }: { readonly socket: Socket; readonly signal: AbortSignal; readonly ca?: string },
): Promise<IncomingMessage> {
  const servername = url.hostname.replace(/^\[|\]$/g, '')
  const secure = (): Duplex => {
    const line = connectTls({
      socket,
      host: servername,
      ALPNProtocols: ['http/1.1'],
      ...nameOf(servername),
      ...(ca === undefined ? {} : { ca }),
    })
    line.on('error', () => socket.destroy())
    return line
  }
  const options = {
    method,
    headers: {
      ...headers,
      host: url.host,
      // Answers are handed on as they come.
      'accept-encoding': 'identity',
      ...(body === null ? {} : { 'content-length': String(body.byteLength) }),
    },
    signal,
    maxHeaderSize: MAX_HEADER_BYTES,
  } as const
  return new Promise((resolve, reject) => {
    // `createConnection` is asked only where no agent is given.
    const isSecure = url.protocol === 'https:'
    const outgoing = isSecure
      ? httpsRequest(url, { ...options, createConnection: secure })
      : httpRequest(url, { ...options, createConnection: () => socket })
    outgoing.on('response', resolve)
    outgoing.on('error', reject)
    outgoing.once('close', () => reject(new Error('closed without an answer')))
    outgoing.end(body ?? undefined)
  })
}

/** An address is not told as a name (RFC 6066 §3). */
const nameOf = (host: string): { readonly servername?: string } => (/^[\d.]+$|:/.test(host) ? {} : { servername: host })

async function read(answer: IncomingMessage, target: Target, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of answer) {
    const bytes: unknown = chunk
    if (!(bytes instanceof Uint8Array)) continue
    size += bytes.byteLength
    if (size > maxBytes) throw invalid(`What ${authority(target)} has is larger than ${maxBytes} bytes.`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}

function headersOf(answer: IncomingMessage): EgressResponse['headers'] {
  const headers = new Map<string, string>()
  for (const [name, value] of fieldsOf(endToEnd(answer.rawHeaders))) {
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return Object.fromEntries(headers)
}

function firstHop({ url, method, headers, body }: EgressRequest): Hop {
  const verb = method.toUpperCase()
  if (!METHOD.test(verb) || verb === 'CONNECT' || verb === 'TRACE') throw invalid('That is no method of HTTP that may be used.')
  const fields: [string, string][] = []
  for (const [name, value] of Object.entries(headers)) {
    if (!FIELD.test(name) || !VALUE.test(value)) throw invalid('A header has a name or a value that HTTP does not allow.')
    fields.push([name.toLowerCase(), value])
  }
  const kept = fieldsOf(endToEnd(fields.flat())).filter(([name]) => !OURS.includes(name))
  return { url: addressOf(url), method: verb, headers: Object.fromEntries(kept), body: verb === 'GET' || verb === 'HEAD' ? null : body }
}

/** RFC 9110 §15.4: after 303, and by custom after 301 and 302 to a POST, the next is a GET. */
function nextHop(hop: Hop, status: number, location: string): Hop {
  const url = addressOf(URL.canParse(location, hop.url.href) ? new URL(location, hop.url).href : location)
  const becomesGet = status === 303 ? hop.method !== 'HEAD' : status < 303 && hop.method === 'POST'
  const isElsewhere = url.origin !== hop.url.origin
  const drops = (name: string): boolean => (isElsewhere && !PUBLIC.includes(name)) || (becomesGet && name.startsWith('content-'))
  const headers = Object.fromEntries(Object.entries(hop.headers).filter(([name]) => !drops(name)))
  return { url, method: becomesGet ? 'GET' : hop.method, headers, body: becomesGet ? null : hop.body }
}

function addressOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) throw invalid('Only http and https addresses are fetched.')
  if (url.username !== '' || url.password !== '')
    throw invalid('An address with a user name or a password in it is not fetched; use a header.')
  url.hash = ''
  return url
}

const invalid = (message: string): InvalidError => new InvalidError(message, { code: 'EGRESS_INVALID' })
