/**
 * The guarded client: fetches what somebody outside points at. The address is checked after the name was resolved and on the very
 * connection that is made, so that no second answer of a name server leads elsewhere; size, time and redirects are bounded.
 */
import { lookup } from 'node:dns'
import type { LookupAddress, LookupOptions } from 'node:dns'
import { get as getHttp } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { get as getHttps } from 'node:https'
import { isIP } from 'node:net'
import { ChannelFault } from '#contract'
import type { GuardedRequest, Media, SendFault } from '#contract'
import { isPublicAddress } from './address.ts'

const MAX_BYTES = 20 * 1_048_576
const MAX_REDIRECTS = 3
const TIMEOUT_MS = 30_000

/** @throws ChannelFault permanent where it is not allowed, gone or too large, transient where another try may help */
export async function fetchGuarded(request: GuardedRequest): Promise<Media> {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)])
  let url = parse(request.url)
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const isTrusted = request.trusted !== undefined && url.origin === new URL(request.trusted).origin
    // A secret for one host is none for the host that it redirects to.
    const headers = url.origin === parse(request.url).origin ? (request.headers ?? {}) : {}
    const response = await open(url, { headers, isTrusted, signal })
    const status = response.statusCode ?? 0
    if (status >= 300 && status < 400 && response.headers.location !== undefined) {
      response.destroy()
      url = parse(new URL(response.headers.location, url).href)
      continue
    }
    if (status !== 200) {
      response.destroy()
      throw fault(`${url.host} answered ${status}.`, status === 429 || status >= 500 ? TRANSIENT : PERMANENT)
    }
    const mediaType = response.headers['content-type'] ?? 'application/octet-stream'
    return { mediaType, bytes: await read(response, request.maxBytes ?? MAX_BYTES, url) }
  }
  throw fault(`${url.host} redirects without end.`, PERMANENT)
}

function open(
  url: URL,
  {
    headers,
    isTrusted,
    signal,
  }: { readonly headers: { readonly [name: string]: string }; readonly isTrusted: boolean; readonly signal: AbortSignal },
): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // For an address no name is resolved, so `lookup` below is never asked.
  if (isIP(host) !== 0 && !isTrusted && !isPublicAddress(host)) throw refusal(url)
  const options = { headers: { ...headers }, agent: false, signal, ...(isTrusted ? {} : { lookup: publicOnly(url) }) }
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? getHttps(url, options, resolve) : getHttp(url, options, resolve)
    request.on('error', (error) =>
      reject(error instanceof ChannelFault ? error : fault(`${url.host} cannot be reached.`, TRANSIENT, error)),
    )
  })
}

type Found = (error: Error | null, address: string | LookupAddress[], family?: number) => void

/** The resolver of the connection: what it lets through is what is connected to. */
function publicOnly(url: URL): (name: string, options: LookupOptions, found: Found) => void {
  return (name, options, found) => {
    lookup(name, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return found(error, [])
      const [first] = addresses
      if (first === undefined || !addresses.every(({ address }) => isPublicAddress(address))) return found(refusal(url), [])
      if (options.all === true) found(null, addresses)
      else found(null, first.address, first.family)
    })
  }
}

async function read(response: IncomingMessage, maxBytes: number, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of response) {
      const bytes: unknown = chunk
      if (!(bytes instanceof Uint8Array)) continue
      size += bytes.byteLength
      if (size > maxBytes) throw fault(`What ${url.host} has is larger than ${maxBytes} bytes.`, PERMANENT)
      chunks.push(bytes)
    }
  } catch (error) {
    throw error instanceof ChannelFault ? error : fault(`${url.host} broke off.`, TRANSIENT, error)
  } finally {
    response.destroy()
  }
  return Buffer.concat(chunks)
}

function parse(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw fault('Only http and https addresses are fetched.', PERMANENT)
  return url
}

const refusal = (url: URL): ChannelFault => fault(`${url.host} is no public address, so it is not fetched.`, PERMANENT)

const PERMANENT: SendFault = { is: 'permanent' }
const TRANSIENT: SendFault = { is: 'transient', maybeSent: false }
const fault = (message: string, of: SendFault, cause?: unknown): ChannelFault =>
  new ChannelFault(message, { code: of.is === 'permanent' ? 'MEDIA_REFUSED' : 'MEDIA_UNREACHABLE', fault: of, cause })
