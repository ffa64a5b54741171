/** Entries of `network.allow`: where a skill may go. Only names; an address is allowed with its port alone, because it says nothing of who is there. */
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/** What is wrong with an entry, in words; null: nothing. */
export function hostFault(entry: string): string | null {
  if (entry.includes('/') || entry.includes('@') || entry.includes('?') || entry.includes('#'))
    return 'is an address of the web: write the host alone, like "api.example.com"'
  const [, host, port] = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d{1,5}))?$/.exec(entry) ?? []
  if (host === undefined) return isIP(entry) === 6 ? BARE_ADDRESS : 'must be a host, or a host and a port, like "api.example.com:8443"'
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535 || port.startsWith('0'))) return 'has a port that is none'
  const address = host.startsWith('[') ? host.slice(1, -1) : host
  if (isIP(address) !== 0) return port === undefined ? BARE_ADDRESS : null
  if (host.startsWith('[')) return 'has brackets, which are for IPv6 addresses'
  const name = host.startsWith('*.') ? host.slice(2) : host
  if (name.includes('*')) return 'may have a star only in front, as "*.example.com"'
  if (host !== name && !name.includes('.')) return 'would allow all that ends so: name the domain, as "*.example.com"'
  if (/[^\x21-\x7e]/.test(name)) return `must be written in ASCII, as "${domainToASCII(name) || 'xn--…'}"`
  if (name !== name.toLowerCase()) return 'must be written in lower case'
  if (name.length > 253 || !name.split('.').every((label) => /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/.test(label)))
    return 'is no name of a host'
  // Some programs read all-digit names, 0x7f000001 among them, as addresses.
  if (/^(?:\d+|0x[\da-f]*)$/.test(name.split('.').at(-1) ?? '')) return 'ends in a number, which is an address in disguise'
  return null
}

const BARE_ADDRESS = 'is an address: add its port, as "192.0.2.7:8080"'
