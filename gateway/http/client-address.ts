/**
 * Where a request comes from. The socket says it, unless a proxy that the operator named stands between: then the last address in
 * `X-Forwarded-For` that no such proxy has. What anybody else writes there is a claim and counts for nothing.
 */
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { InvalidError } from '#contract'

export class ClientAddresses {
  readonly #proxies = new BlockList()
  readonly #hasProxies: boolean

  /** Addresses and networks in CIDR notation. */
  constructor(proxies: readonly string[]) {
    this.#hasProxies = proxies.length > 0
    for (const proxy of proxies) {
      const [address = '', bits] = proxy.split('/', 2)
      const family = isIP(address)
      const prefix = Number(bits ?? (family === 6 ? 128 : 32))
      if (family === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > (family === 6 ? 128 : 32)) {
        throw new InvalidError(`server.trusted_proxies: ${JSON.stringify(proxy)} is no address and no network such as 10.0.0.0/8.`, {
          code: 'CONFIG_INVALID',
          faults: [
            { pointer: 'server.trusted_proxies', detail: `${JSON.stringify(proxy)} is no address and no network such as 10.0.0.0/8` },
          ],
        })
      }
      this.#proxies.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4')
    }
  }

  /** '': the connection is gone. */
  of(request: IncomingMessage): string {
    const peer = plain(request.socket.remoteAddress ?? '')
    if (!this.#hasProxies || !this.#isProxy(peer)) return peer
    // Several header lines are one list (RFC 9110 §5.3), and Node has joined them.
    const claimed = String(request.headers['x-forwarded-for'] ?? '').split(',')
    let address = peer
    for (const hop of claimed.toReversed()) {
      const at = plain(hop.trim())
      if (isIP(at) === 0) return address
      address = at
      if (!this.#isProxy(at)) return at
    }
    return address
  }

  #isProxy(address: string): boolean {
    const family = isIP(address)
    return family !== 0 && this.#proxies.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
}

/**
 * Whom an address is counted with. Of IPv6 one line has a /64 at least (RFC 6177), and each of its 2^64 addresses for the asking: they count as
 * one. IPv4, also in IPv6's clothes, counts for itself.
 */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [text = ''] = address.split('%', 1)
  // The one spelling of RFC 5952, in which a `::` is the longest run of zeros, and dotted ends are hexadecimal.
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::', 2)
  const [before, after] = [groupsOf(head), groupsOf(tail ?? '')]
  const groups = tail === undefined ? before : [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after]
  const [a = '', b = '', c = '', d = '', e, f, high = '', low = ''] = groups
  if ([a, b, c, d, e].every((group) => group === '0') && f === 'ffff')
    return [high, low].flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]).join('.')
  return `${a}:${b}:${c}:${d}::/64`
}

const groupsOf = (text: string): readonly string[] => (text === '' ? [] : text.split(':'))

const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, '')

export const isLoopbackAddress = (address: string): boolean => address === '::1' || address.startsWith('127.')
