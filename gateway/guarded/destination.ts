/**
 * Where a request may go. A URL is judged twice: by its text, when somebody names it, and by its addresses, each time a connection is
 * made, because a name server may answer otherwise the second time. Who connects is client.ts.
 */
import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import { InvalidError } from '#contract'
import { networkList, publicElsewhere } from './address.ts'

export interface DestinationRules {
  /** Networks that may be reached although they are not public. */
  readonly allowNetworks: readonly string[]
  /** http is refused, except to loopback that `allowNetworks` opens: no network lies between. */
  readonly isHttpsOnly: boolean
  /** Addresses of this machine, public or not. */
  readonly own: () => readonly string[]
}

/** Cloud machines answer with credentials under these names; all mean a link-local address. */
const METADATA = new Set(['metadata', 'metadata.google.internal', 'metadata.goog', 'instance-data', 'instance-data.ec2.internal'])

export class Destinations {
  readonly #rules: DestinationRules
  readonly #isAllowed: (address: string) => boolean
  readonly #isPublic: (address: string) => boolean

  constructor(rules: DestinationRules) {
    this.#rules = rules
    this.#isPublic = publicElsewhere(rules.own)
    this.#isAllowed = networkList(rules.allowNetworks)
  }

  /** @throws InvalidError `URL_NOT_ALLOWED` */
  check(text: string): URL {
    // The WHATWG parser is what the connection uses too: it knows 127.1, 0x7f000001, 2130706433 and full-width digits for what they are.
    const url = URL.canParse(text) ? new URL(text) : null
    if (url === null) throw refused('This is no absolute URL. Write it with https:// and a host.')
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused('Only http and https URLs are reached.')
    if (url.username !== '' || url.password !== '') throw refused('A URL with a user name or password in it is not reached.')
    const host = hostOf(url)
    // Dots and nothing else, which are a host for the parser.
    if (host === '') throw refused('This is no absolute URL. Write it with https:// and a host.')
    if (isIP(host) !== 0) {
      if (!this.permits(host)) throw refused(`${url.host} is no public address. ${ADVICE}`)
    } else this.#checkName(host, url)
    if (url.protocol === 'http:' && this.#rules.isHttpsOnly && !this.#isLoopback(host))
      throw refused('Only https URLs are reached. Give one, or open http in the configuration.')
    return url
  }

  /** By address: literal, or as a name server said. */
  permits(address: string): boolean {
    const plain = address.split('%')[0] ?? ''
    return this.#isAllowed(plain) || this.#isPublic(plain)
  }

  /** Of what a name server said, what may be connected to. */
  filter(found: readonly LookupAddress[]): readonly LookupAddress[] {
    return found.filter(({ address }) => this.permits(address))
  }

  #checkName(host: string, url: URL): void {
    const isOpen = METADATA.has(host)
      ? false
      : isLocalName(host)
        ? this.#isLoopback(host)
        : !host.endsWith('.internal') || this.#rules.allowNetworks.length > 0
    if (!isOpen) throw refused(`${url.host} is no public host. ${ADVICE}`)
  }

  #isLoopback(host: string): boolean {
    if (isLocalName(host)) return this.#isAllowed('127.0.0.1') || this.#isAllowed('::1')
    return isIP(host) !== 0 && this.#isAllowed(host) && loopback(host)
  }
}

/** Without the brackets of an IPv6 literal and the dot that ends a full name; more dots make no other name of it. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '')

/** RFC 6761 §6.3. */
const isLocalName = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost')
const loopback = networkList(['127.0.0.0/8', '::1'])

const ADVICE = 'What is inside is only reached where the configuration allows its network.'
const refused = (message: string): InvalidError => new InvalidError(message, { code: 'URL_NOT_ALLOWED' })
