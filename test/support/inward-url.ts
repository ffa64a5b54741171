/**
 * URLs that lead inside: to this machine, to private networks, to what clouds tell their machines. In all the spellings in which they have been
 * reached. Whoever takes a URL from outside is held against them, with a canary behind those that mean loopback.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** `:0` is where the canary's port goes. */
const SPELLINGS: readonly string[] = [
  'http://127.0.0.1:0/',
  'http://127.0.0.1.:0/',
  'http://127.0.0.1..:0/',
  'http://127.1:0/',
  'http://127.0.1:0/',
  'http://127.000000.000.1:0/',
  'http://0177.0.0.1:0/',
  'http://0x7f.1:0/',
  'http://0x7f.0.0.0x1:0/',
  'http://0x7f000001:0/',
  'http://2130706433:0/',
  'http://017700000001:0/',
  'http://１２７.0.0.1:0/',
  'http://①②⑦.0.0.1:0/',
  'http://127。0。0。1:0/',
  'http://%31%32%37.0.0.1:0/',
  'http://127.0.0.1\t:0/',
  'http:\\\\127.0.0.1:0/',
  'http:/127.0.0.1:0/',
  'http:127.0.0.1:0/',
  ' http://127.0.0.1:0/ ',
  'hTtP://127.0.0.1:0/',
  'http://127.0.0.1:0/\r\nHost: public.example',
  'http://127.0.0.1:0#@public.example/',
  'http://127.0.0.1:0\\@public.example/',
  'http://public.example@127.0.0.1:0/',
  'http://0:0/',
  'http://00000000:0/',
  'http://0.0.0.0:0/',
  'http://127.255.255.254:0/',
  'http://[::]:0/',
  'http://[::1]:0/',
  'http://[0:0:0:0:0:0:0:1]:0/',
  'http://[::1%25lo]:0/',
  'http://[::ffff:127.0.0.1]:0/',
  'http://[::ffff:7f00:1]:0/',
  'http://[::ffff:0:127.0.0.1]:0/',
  'http://[::127.0.0.1]:0/',
  'http://[64:ff9b::127.0.0.1]:0/',
  'http://[64:ff9b:1::7f00:1]:0/',
  'http://[2001:0:7f00:1::]:0/',
  'http://[2002:7f00:1::]:0/',
  'http://localhost:0/',
  'http://LOCALHOST:0/',
  'http://localhost.:0/',
  'http://localhost..:0/',
  'http://a.b.localhost:0/',
  'http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:0/',
  'http://user:secret@localhost:0/',
  'http://[fe80::1]/',
  'http://[fe80::1%25eth0]/',
  'http://[fd00:ec2::254]/',
  'http://169.254.169.254/latest/meta-data/',
  'http://2852039166/',
  'http://0xa9fea9fe/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://168.63.129.16/machine?comp=goalstate',
  'http://100.100.100.200/latest/meta-data/',
  'http://192.0.0.192/opc/v2/',
  'http://10.0.0.1:8080/',
  'http://172.16.0.1/',
  'http://192.168.0.1/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
  'http://metadata.google.internal/computeMetadata/v1/',
  'http://metadata.google.internal./computeMetadata/v1/',
  'http://metadata.google.internal../computeMetadata/v1/',
  'http://metadata/',
  'http://db.internal/',
  'http://user:secret@public.example/',
  'http://user@public.example/',
  'http://.../',
  'ftp://public.example/',
  'file:///etc/passwd',
  'gopher://127.0.0.1:0/_INFO',
  'data:text/plain,x',
  'ws://127.0.0.1:0/',
  'unix:/var/run/docker.sock',
  '//127.0.0.1:0/',
  '/relative',
  'http://',
  '',
]

/** With and without TLS: what only speaks https must not refuse them for that alone. */
export const inwardUrls = (port: number): readonly string[] =>
  SPELLINGS.flatMap((spelling) => {
    const url = spelling.replace(/:0(?=[/\\#]|$)/, `:${port}`)
    const secure = url.replace(/^( ?)http:/i, '$1https:')
    return secure === url ? [url] : [url, secure]
  })

/** What a name server says of a name that leads inside. */
export const INWARD_ADDRESSES: readonly string[] = [
  '127.0.0.1',
  '127.0.0.2',
  '0.0.0.0',
  '10.0.0.1',
  '169.254.169.254',
  '168.63.129.16',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  'fe80::1%lo',
  'fd00:ec2::254',
]

export interface Canary {
  readonly port: number
  /** Connections that came. */
  readonly heard: number
}

/** Listens on loopback, of both families where there are both, and counts whoever comes. */
export async function openCanary(context: { after(run: () => void): void }): Promise<Canary> {
  const sockets: Socket[] = []
  const listen = async (host: string, port: number): Promise<number> => {
    const server = createServer((socket) => {
      sockets.push(socket.on('error', () => undefined))
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nsecrets')
    })
    server.listen(port, host)
    await once(server, 'listening')
    context.after(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    return (server.address() as AddressInfo).port
  }
  const port = await listen('127.0.0.1', 0)
  // Where there is no IPv6, or somebody else has the port, nothing is lost but a second ear.
  await listen('::1', port).catch(() => undefined)
  return {
    port,
    get heard() {
      return sockets.length
    },
  }
}
