/** Which addresses may be reached on behalf of somebody outside: the public ones. What is private, local or special is refused. */
import { BlockList, isIP } from 'node:net'

/** IANA special-purpose address registries (RFC 6890 and its updates). */
const IPV4: readonly (readonly [net: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
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
/** Only global unicast (2000::/3) is public, and of it not these. */
const IPV6: readonly (readonly [net: string, prefix: number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
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
