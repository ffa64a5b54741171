/**
 * What a browser may be tricked into, refused: names that an attacker makes point at us (DNS rebinding), and requests that foreign pages
 * send in the user's name. Who may do what is not decided here.
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { InvalidError } from '#contract'
import type { Counter } from '#contract'
import { ProtocolError } from './problem.ts'

export class Guard {
  readonly #hosts: ReadonlySet<string>
  readonly #port: number
  readonly #failures: Counter

  /** `publicHosts`: names under which a proxy or another machine reaches us, with the port unless it is the scheme's own. */
  constructor(options: {
    readonly host: string
    readonly port: number
    readonly publicHosts: readonly string[]
    /** Counts what is refused, whichever door it came to. */
    readonly failures: Counter
  }) {
    const { host, port, publicHosts, failures } = options
    this.#failures = failures
    const own = ['localhost', '127.0.0.1', '[::1]', bracketed(host)].map((name) => `${name}:${port}`)
    this.#hosts = new Set(
      [...own, ...(port === 80 ? ['localhost', '127.0.0.1', '[::1]'] : []), ...publicHosts].map((name) => name.toLowerCase()),
    )
    this.#port = port
  }

  /** Throws unless the request was meant for us. */
  checkHost(request: IncomingMessage): void {
    const { host } = request.headers
    if (host !== undefined && (this.#hosts.has(host) || this.#hosts.has(host.toLowerCase()) || this.#isOwnAddress(host, request))) return
    this.#failures.inc(['host'])
    throw new ProtocolError('This gateway does not answer to that host name. Add it to `server.public_hosts` if it should.', {
      code: 'HOST_NOT_ALLOWED',
      slug: 'misdirected-request',
    })
  }

  /** Throws if a foreign page sent it. No `Origin`: not a page, or a page of ours that only reads. */
  checkOrigin(headers: IncomingHttpHeaders): void {
    const { origin } = headers
    if (origin === undefined || isSameOrigin(origin, headers)) return
    this.#failures.inc(['origin'])
    throw new ProtocolError('Pages of other origins may not use this gateway.', { code: 'ORIGIN_REFUSED', slug: 'forbidden-origin' })
  }

  /**
   * Throws unless one of our own pages sent it on purpose: a browser adds the cookie by itself, also to what another page makes
   * it send. The header cannot be set across origins without a preflight, which is never answered.
   */
  checkForgery(headers: IncomingHttpHeaders): void {
    const isOwn = headers.origin === undefined ? headers['sec-fetch-site'] === 'same-origin' : isSameOrigin(headers.origin, headers)
    if (isOwn && headers['x-openclaw-csrf'] === '1') return
    this.#failures.inc(['forgery'])
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

/**
 * Whether what a browser adds by itself, a cookie or a certificate, says who is asking: not on requests of another site's pages, nor of another
 * port's of this host, which share it. Programs, and pages of browsers that do not tell (Fetch Metadata), name no site.
 */
export function isOfOwnPage(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site']
  return site === undefined || site === 'same-origin' || site === 'none'
}

/** Scheme and Host as the page sees them; TLS may end before us. */
const isSameOrigin = (origin: string, headers: IncomingHttpHeaders): boolean =>
  headers.host !== undefined && (origin === `http://${headers.host}` || origin === `https://${headers.host}`)

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)

export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** Keys in the clear over a network can be read on their way: somebody must have said that this is all right. */
export function checkBinding(host: string, isDecided: boolean, pointer = 'server.host'): void {
  if (isLoopback(host) || isDecided) return
  throw new InvalidError(
    `Refusing to listen on ${host}: requests and keys would cross the network unencrypted. Give it a certificate (\`server.tls\`), listen on 127.0.0.1 behind a TLS proxy, or set \`server.insecure_http: true\`.`,
    { code: 'LISTEN_INSECURE', faults: [{ pointer, detail: 'beyond loopback without TLS' }] },
  )
}
