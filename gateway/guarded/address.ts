/** Which addresses may be reached on behalf of somebody outside: the public ones. What is private, local or special is refused. */
import { BlockList, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { InvalidError } from '#contract'

/**
 * IANA special-purpose address registries (RFC 6890 and its updates), and one address that is in none of them: every machine of Azure finds
 * the platform's agent there, which knows its certificates.
 */
const IPV4: readonly (readonly [net: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]
/**
 * Only global unicast (2000::/3) is public, which leaves out ::, ::1, v4-mapped addresses, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), 100::/64,
 * 5f00::/16, fc00::/7, fe80::/10 and ff00::/8; and of it not these.
 */
const IPV6: readonly (readonly [net: string, prefix: number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const refused = new BlockList()
for (const [net, prefix] of IPV4) refused.addSubnet(net, prefix, 'ipv4')
for (const [net, prefix] of IPV6) refused.addSubnet(net, prefix, 'ipv6')
const globalUnicast = new BlockList()
globalUnicast.addSubnet('2000::', 3, 'ipv6')

export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !refused.check(address, 'ipv4')
    case 6:
      return globalUnicast.check(address, 'ipv6') && !refused.check(address, 'ipv6')
    default:
      return false
  }
}

/** Networks as the operator writes them: `10.0.0.0/8`, `fd00::/8`, `192.168.1.7`. A v4-mapped address counts as the one it maps. */
export function networkList(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [net = '', prefix, more] = network.split('/')
    const family = isIP(net)
    const bits = prefix === undefined ? widthOf(family) : Number(prefix)
    if (family === 0 || more !== undefined || !/^\d{1,3}$/.test(prefix ?? '0') || bits > widthOf(family)) {
      throw new InvalidError(`${JSON.stringify(network)} is no network; write an address and its prefix, like 10.0.0.0/8.`, {
        code: 'NETWORK_INVALID',
      })
    }
    list.addSubnet(net, bits, family === 4 ? 'ipv4' : 'ipv6')
  }
  return (address) => {
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}

/** Addresses of this machine: also a public one leads back inside. */
export const ownAddresses = (): readonly string[] =>
  Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))

/** For who has only addresses to judge: public, and not this machine. */
export const publicElsewhere =
  (own: () => readonly string[] = ownAddresses): ((address: string) => boolean) =>
  (address) =>
    isPublicAddress(address) && !own().includes(address)

const widthOf = (family: number): number => (family === 4 ? 32 : 128)
