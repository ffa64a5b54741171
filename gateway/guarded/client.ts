/**
 * The guarded client: makes requests to where somebody outside points. The address is checked after the name was resolved and on the very
 * connection that is made, so that no second answer of a name server leads elsewhere; size and time are bounded, redirects are answers
 * like others, and no proxy is taken from the environment. What an answer means is left to whoever asked.
 */
import { lookup } from 'node:dns/promises'
import type { LookupAddress, LookupOptions } from 'node:dns'
import { request as requestHttp } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Socket } from 'node:net'
import { InvalidError, OutboundFault } from '#contract'
import type { Clock, Outbound, OutboundAnswer, OutboundReason, OutboundRequest } from '#contract'
import { Destinations, hostOf } from './destination.ts'
import type { DestinationRules } from './destination.ts'
import { keptConnections } from './kept.ts'
import type { KeptConnections } from './kept.ts'

export interface GuardedClientOptions extends Partial<DestinationRules> {
  readonly clock: Clock
  /** Asks a name server; the system's unless told. */
  readonly resolve?: (host: string) => Promise<readonly LookupAddress[]>
  /** Connections are used again, each only for the host and port that it was checked for. */
  readonly keepAlive?: boolean
}

const CONNECT_MS = 5_000
const TOTAL_MS = 30_000

export class GuardedClient implements Outbound {
  readonly #destinations: Destinations
  readonly #clock: Clock
  readonly #resolve: (host: string) => Promise<readonly LookupAddress[]>
  readonly #agents: KeptConnections | null

  constructor(options: GuardedClientOptions) {
    this.#clock = options.clock
    this.#destinations = new Destinations({
      allowNetworks: options.allowNetworks ?? [],
      isHttpsOnly: options.isHttpsOnly ?? false,
      own: options.own ?? (() => []),
    })
    this.#resolve = options.resolve ?? ((host) => lookup(host, { all: true }))
    this.#agents = options.keepAlive === true ? keptConnections() : null
  }

  check(url: string): URL {
    return this.#destinations.check(url)
  }

  async send(request: OutboundRequest): Promise<OutboundAnswer> {
    const url = this.#admit(request)
    const bounds = new Bounds(this.#clock, request, url)
    try {
      return await this.#attempt(url, request, bounds)
    } catch (error) {
      if (!(error instanceof StaleConnection)) throw error
      return await this.#attempt(url, request, bounds, { isFresh: true })
    } finally {
      bounds.end()
    }
  }

  /** Lets go of the connections that are idle. */
  close(): void {
    this.#agents?.http.destroy()
    this.#agents?.https.destroy()
  }

  #admit({ url, trusted }: OutboundRequest): URL {
    if (trusted !== undefined && URL.canParse(url) && new URL(url).origin === new URL(trusted).origin) return new URL(url)
    try {
      return this.#destinations.check(url)
    } catch (error) {
      if (error instanceof InvalidError) throw new OutboundFault(error.message, { code: 'OUTBOUND_REFUSED', reason: 'refused' })
      throw error
    }
  }

  async #attempt(
    url: URL,
    request: OutboundRequest,
    bounds: Bounds,
    { isFresh = false }: { readonly isFresh?: boolean } = {},
  ): Promise<OutboundAnswer> {
    const response = await this.#open(url, request, bounds, isFresh)
    const { body, isCut } = await read(response, request, { url, bounds })
    return { status: response.statusCode ?? 0, headers: headersOf(response), body, isCut }
  }

  #open(url: URL, request: OutboundRequest, bounds: Bounds, isFresh: boolean): Promise<IncomingMessage> {
    const isSecure = url.protocol === 'https:'
    const isTrusted = request.trusted !== undefined && url.origin === new URL(request.trusted).origin
    const agents = isFresh || isTrusted ? null : this.#agents
    const options = {
      method: request.method ?? 'GET',
      headers: { ...request.headers, ...lengthOf(request.body) },
      // An agent of its own rather than the global one, which may go through a proxy that the environment names.
      agent: (isSecure ? agents?.https : agents?.http) ?? false,
      ...(isTrusted ? {} : { lookup: this.#lookup(url) }),
    }
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const outgoing = isSecure ? requestHttps(url, options, resolve) : requestHttp(url, options, resolve)
    bounds.watch(outgoing)
    outgoing.once('error', (error) => reject(this.#fault(error, { url, outgoing, bounds, isFresh })))
    // An answer of status 101 ends like this, without a word.
    outgoing.once('close', () => reject(faultOf('broken', `${url.host} ended the connection without an answer.`)))
    outgoing.end(request.body)
    return promise
  }

  #fault(
    error: Error,
    {
      url,
      outgoing,
      bounds,
      isFresh,
    }: { readonly url: URL; readonly outgoing: ClientRequest; readonly bounds: Bounds; readonly isFresh: boolean },
  ): Error {
    if (error instanceof OutboundFault) return error
    if (outgoing.reusedSocket && !isFresh && bounds.fault === null) return new StaleConnection()
    return faultOf(bounds.isConnected ? 'broken' : 'unreachable', `${url.host} cannot be reached (${reasonOf(error)}).`, error)
  }

  /**
   * The resolver of the connection: what it lets through is what is connected to. It is not asked for a literal address, which
   * `check` has judged.
   */
  #lookup(url: URL): (name: string, options: LookupOptions, found: Found) => void {
    return (_name, { all, family }, found) => {
      void this.#addresses(hostOf(url), family).then(
        (addresses) => {
          const [first] = addresses
          if (all === true || first === undefined) return found(null, [...addresses])
          return found(null, first.address, first.family)
        },
        (error: unknown) => found(error instanceof Error ? error : new Error(String(error)), []),
      )
    }
  }

  async #addresses(host: string, family: LookupOptions['family']): Promise<readonly LookupAddress[]> {
    const found = await this.#resolve(host).catch((error: unknown) => {
      throw faultOf('unreachable', `The name ${host} cannot be resolved.`, error)
    })
    const permitted = this.#destinations.filter(found).filter((one) => !family || one.family === family)
    if (permitted.length === 0) throw faultOf('refused', `${host} has no public address, so it is not reached.`)
    return permitted
  }
}

type Found = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/** The other side had closed a connection that was kept; nothing was answered on it. */
class StaleConnection extends Error {}

/** How long everything may take. Ends the request and what is read of its answer. */
class Bounds {
  readonly #clock: Clock
  readonly #url: URL
  readonly #request: OutboundRequest
  readonly #stopTotal: () => void
  readonly #abort = (): void =>
    this.#over(faultOf('broken', `The request to ${this.#url.host} was called off.`, this.#request.signal.reason))
  #stopConnect = (): void => undefined
  #current: ClientRequest | null = null
  /** What it ran into; null: nothing yet. */
  fault: OutboundFault | null = null
  isConnected = false

  constructor(clock: Clock, request: OutboundRequest, url: URL) {
    this.#clock = clock
    this.#url = url
    this.#request = request
    const ms = request.timeoutMs ?? TOTAL_MS
    this.#stopTotal = clock.after(ms, () => this.#over(faultOf('timeout', `${url.host} did not answer within ${ms} ms.`)))
    request.signal.addEventListener('abort', this.#abort, { once: true })
  }

  watch(outgoing: ClientRequest): void {
    this.#current = outgoing
    if (this.#request.signal.aborted) this.#abort()
    if (this.fault !== null) outgoing.destroy(this.fault)
    const ms = this.#request.connectTimeoutMs ?? CONNECT_MS
    this.#stopConnect = this.#clock.after(ms, () =>
      this.#over(faultOf('timeout', `There was no connection to ${this.#url.host} within ${ms} ms.`)),
    )
    outgoing.once('socket', (socket: Socket) => {
      if (outgoing.reusedSocket) this.#connected()
      else socket.once(this.#url.protocol === 'https:' ? 'secureConnect' : 'connect', () => this.#connected())
    })
  }

  end(): void {
    this.#stopTotal()
    this.#stopConnect()
    this.#request.signal.removeEventListener('abort', this.#abort)
  }

  #connected(): void {
    this.isConnected = true
    this.#stopConnect()
  }

  #over(fault: OutboundFault): void {
    this.fault ??= fault
    this.#current?.destroy(this.fault)
  }
}

async function read(
  response: IncomingMessage,
  request: OutboundRequest,
  { url, bounds }: { readonly url: URL; readonly bounds: Bounds },
): Promise<{ readonly body: Uint8Array; readonly isCut: boolean }> {
  const isCutting = request.overflow === 'cut'
  const chunks: Uint8Array[] = []
  let room = request.maxBytes
  let isCut = false
  try {
    for await (const chunk of response) {
      const bytes: unknown = chunk
      if (!(bytes instanceof Uint8Array)) continue
      if (bytes.byteLength > room && !isCutting)
        throw faultOf('too_large', `What ${url.host} has is larger than ${request.maxBytes} bytes.`)
      chunks.push(bytes.subarray(0, room))
      isCut = bytes.byteLength > room
      room -= Math.min(room, bytes.byteLength)
      if (isCut) break
    }
  } catch (error) {
    if (!isCutting || request.signal.aborted) throw bounds.fault ?? brokenOff(error, url)
    isCut = true
  } finally {
    if (isCut || !response.complete) response.destroy()
  }
  return { body: Buffer.concat(chunks), isCut }
}

function headersOf({ headers }: IncomingMessage): { readonly [name: string]: string | undefined } {
  const plain: { [name: string]: string | undefined } = Object.create(null)
  for (const [name, value] of Object.entries(headers)) plain[name] = Array.isArray(value) ? value.join(', ') : value
  return plain
}

const brokenOff = (error: unknown, url: URL): Error =>
  error instanceof OutboundFault ? error : faultOf('broken', `${url.host} broke off its answer.`, error)

const lengthOf = (body: string | Uint8Array | undefined): { readonly 'content-length'?: string } =>
  body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }

/** What the system calls it (`ECONNREFUSED`, `CERT_HAS_EXPIRED`), never what the other side said. */
const reasonOf = (error: Error): string => ('code' in error && typeof error.code === 'string' ? error.code : error.name)

const CODES: { readonly [reason in OutboundReason]: string } = {
  refused: 'OUTBOUND_REFUSED',
  unreachable: 'OUTBOUND_UNREACHABLE',
  timeout: 'OUTBOUND_TIMEOUT',
  broken: 'OUTBOUND_BROKEN',
  too_large: 'OUTBOUND_TOO_LARGE',
}
const faultOf = (reason: OutboundReason, message: string, cause?: unknown): OutboundFault =>
  new OutboundFault(message, { code: CODES[reason], reason, cause })
