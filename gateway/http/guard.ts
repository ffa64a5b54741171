/**
 * What a browser may be tricked into, refused: names that an attacker makes point at us (DNS rebinding), and requests that foreign pages
 * send in the user's name. Pages of listed origins are guests: CORS (https://fetch.spec.whatwg.org/#http-cors-protocol) lets them read what they
 * asked for with a key of their own. Who may do what is not decided here.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { InvalidError } from '#contract'
import { ProtocolError } from './problem.ts'

export class Guard {
  readonly #hosts: ReadonlySet<string>
  readonly #port: number
  readonly #origins: ReadonlySet<string>

  /** `publicHosts`: names under which a proxy or another machine reaches us, with the port unless it is the scheme's own. */
  constructor(options: {
    readonly host: string
    readonly port: number
    readonly publicHosts: readonly string[]
    readonly origins: readonly string[]
  }) {
    const { host, port, publicHosts, origins } = options
    const own = ['localhost', '127.0.0.1', '[::1]', bracketed(host)].map((name) => `${name}:${port}`)
    this.#hosts = new Set(
      [...own, ...(port === 80 ? ['localhost', '127.0.0.1', '[::1]'] : []), ...publicHosts].map((name) => name.toLowerCase()),
    )
    this.#port = port
    this.#origins = new Set(origins.map(originOf))
  }

  /** Throws unless the request was meant for us. */
  checkHost(request: IncomingMessage): void {
    const { host } = request.headers
    if (host !== undefined && (this.#hosts.has(host) || this.#hosts.has(host.toLowerCase()) || this.#isOwnAddress(host, request))) return
    throw new ProtocolError('This gateway does not answer to that host name. Add it to `server.public_hosts` if it should.', {
      code: 'HOST_NOT_ALLOWED',
      slug: 'misdirected-request',
    })
  }

  /** Throws if a foreign page sent it that is no guest. No `Origin`: not a page, or a page of ours that only reads. */
  checkOrigin(headers: IncomingHttpHeaders): void {
    const { origin } = headers
    if (!isForeignPage(headers) || (origin !== undefined && this.#origins.has(origin))) return
    throw foreignOrigin()
  }

  /** The same where guests have no business: signing in and out is for our own pages. */
  checkOwnOrigin(headers: IncomingHttpHeaders): void {
    if (isForeignPage(headers)) throw foreignOrigin()
  }

  /**
   * Lets a guest's page read the answer, whatever that will be. Credentials are not allowed for: a browser that sends the cookie all the same
   * withholds the answer. Before any byte of it is written.
   */
  welcome({ headers }: IncomingMessage, response: ServerResponse): void {
    if (this.#origins.size === 0) return
    // Also where there is no guest: an answer for one page must not be kept for another.
    response.setHeader('vary', 'Origin')
    const { origin } = headers
    if (origin === undefined || !this.#origins.has(origin)) return
    response.setHeader('access-control-allow-origin', origin)
    response.setHeader('access-control-expose-headers', EXPOSED)
  }

  /** What a preflight of a guest's page is told; nothing for all other requests. `allow`: the methods of the path. */
  permits({ origin, ...headers }: IncomingHttpHeaders, allow: string): { readonly [name: string]: string } {
    if (origin === undefined || !this.#origins.has(origin) || headers['access-control-request-method'] === undefined) return {}
    return {
      'access-control-allow-methods': allow,
      'access-control-allow-headers': asked(headers['access-control-request-headers']),
      'access-control-max-age': PREFLIGHT_SECONDS,
    }
  }

  /**
   * Throws unless one of our own pages sent it on purpose: a browser adds the cookie by itself, also to what another page makes
   * it send. The header cannot be set across origins without a preflight, which never allows it.
   */
  checkForgery(headers: IncomingHttpHeaders): void {
    const isOwn = headers.origin === undefined ? headers['sec-fetch-site'] === 'same-origin' : isSameOrigin(headers.origin, headers)
    if (isOwn && headers['x-openclaw-csrf'] === '1') return
    throw new ProtocolError('Requests with the page cookie need their own Origin and the header `X-OpenClaw-CSRF: 1`.', {
      code: 'FORGERY_SUSPECTED',
      slug: 'forbidden-origin',
    })
  }

  /** An address (never a name) that the connection really goes to cannot be rebound. */
  #isOwnAddress(host: string, request: IncomingMessage): boolean {
    const { localAddress } = request.socket
    if (localAddress === undefined) return false
    const address = localAddress.replace(/^::ffff:/, '')
    return isIP(address) !== 0 && host === `${bracketed(address)}:${this.#port}`
  }
}

/** What a page may read beside the few that it always may. */
const EXPOSED =
  'etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-openclaw-message, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-request-id'
const PREFLIGHT_SECONDS = '600'
const MAX_ASKED = 64

/** Any header that a client wants to send (OpenAI's has a dozen of its own), save the mark of our own pages. */
const asked = (names: string | undefined): string =>
  (names ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => /^[a-z0-9-]{1,64}$/.test(name) && name !== 'x-openclaw-csrf')
    .slice(0, MAX_ASKED)
    .join(', ')

/** As browsers write it: lower case, without the scheme's own port. */
function originOf(text: string): string {
  const url = URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/` && !text.includes('*')) return url.origin
  const detail = `${JSON.stringify(text)} is no origin such as https://app.example.com`
  throw new InvalidError(`server.origins: ${detail}.`, { code: 'CONFIG_INVALID', faults: [{ pointer: 'server.origins', detail }] })
}

const foreignOrigin = (): ProtocolError =>
  new ProtocolError('Pages of other origins may not use this gateway.', { code: 'ORIGIN_REFUSED', slug: 'forbidden-origin' })

/** It says so itself: browsers do, for all but what a page only reads from its own place. */
export const isForeignPage = (headers: IncomingHttpHeaders): boolean =>
  headers.origin !== undefined && !isSameOrigin(headers.origin, headers)

/** Scheme and Host as the page sees them; TLS may end before us. */
const isSameOrigin = (origin: string, headers: IncomingHttpHeaders): boolean =>
  headers.host !== undefined && (origin === `http://${headers.host}` || origin === `https://${headers.host}`)

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)

/** Of a `Host` field, with or without a port: what leads nowhere but to this machine, whoever answers for names. */
export const isLoopbackHost = (host: string): boolean =>
  isLoopback(
    host
      .toLowerCase()
      .replace(/:\d+$/, '')
      .replace(/^\[(.*)\]$/, '$1'),
  )

export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** Keys in the clear over a network can be read on their way: somebody must have said that this is all right. */
export function checkBinding(host: string, isDecided: boolean, pointer = 'server.host'): void {
  if (isLoopback(host) || isDecided) return
  throw new InvalidError(
    `Refusing to listen on ${host}: requests and keys would cross the network unencrypted. Give it a certificate (\`server.tls\`), listen on 127.0.0.1 behind a TLS proxy, or set \`server.insecure_http: true\`.`,
    { code: 'LISTEN_INSECURE', faults: [{ pointer, detail: 'beyond loopback without TLS' }] },
  )
}
