/** The first message of TLS as a real client says it, and the same said otherwise. */
import { once } from 'node:events'
import { duplexPair } from 'node:stream'
import { connect } from 'node:tls'

/** `name` '': it names no host. */
export async function helloFor(name: string): Promise<Buffer> {
  const [near, far] = duplexPair()
  const line = connect({ socket: near, servername: name, host: '127.0.0.1' })
  line.on('error', () => {})
  const [bytes] = (await once(far, 'data')) as [Buffer]
  line.destroy()
  return bytes
}

/** In records of so many bytes. */
export function cut(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size)
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part)
  }
  return Buffer.concat(records)
}

/** With one more extension behind the others. */
export function withExtension(hello: Buffer, type: number, content: Buffer): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt16BE(type, 0)
  header.writeUInt16BE(content.length, 2)
  const longer = Buffer.concat([hello, header, content])
  const more = header.length + content.length
  longer.writeUInt16BE(longer.readUInt16BE(3) + more, 3)
  longer.writeUIntBE(longer.readUIntBE(6, 3) + more, 6, 3)
  const at = extensionsAt(hello)
  longer.writeUInt16BE(longer.readUInt16BE(at) + more, at)
  return longer
}

/** Where the length of all extensions stands. */
function extensionsAt(hello: Buffer): number {
  let at = 5 + 4 + 34
  at += 1 + hello.readUInt8(at)
  at += 2 + hello.readUInt16BE(at)
  return at + 1 + hello.readUInt8(at)
}
