/**
 * Reads the first message of TLS (RFC 8446 §4.1.2, as in older versions): for which host it is meant (RFC 6066 §3). Pure; what is not
 * exactly that message is taken for none, so that nobody else can read it otherwise.
 */

export type Hello =
  /** What is there may become one. */
  | { readonly is: 'partial' }
  /** It is no TLS. */
  | { readonly is: 'other' }
  /** It begins as TLS and is no first message, or too long. */
  | { readonly is: 'broken' }
  /** name: null when it names none. isHidden: another name is in it, encrypted (RFC 9849). */
  | { readonly is: 'hello'; readonly name: string | null; readonly isHidden: boolean }

const HANDSHAKE = 22
const MAJOR = 3
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const ENCRYPTED_HELLO = 0xfe0d
const RECORD_BYTES = 5
const HEADER_BYTES = 4
const MAX_RECORD_BYTES = 16_384
/** With all records around it. Those of today have two kilobytes. */
export const MAX_HELLO_BYTES = 16_384

export function readHello(bytes: Buffer): Hello {
  if (bytes.length > 0 && (bytes[0] !== HANDSHAKE || (bytes.length > 1 && bytes[1] !== MAJOR))) return { is: 'other' }
  const message = join(bytes.subarray(0, MAX_HELLO_BYTES))
  if (message === 'broken') return { is: 'broken' }
  if (message === 'partial') return { is: bytes.length < MAX_HELLO_BYTES ? 'partial' : 'broken' }
  try {
    return parse(new Pieces(message))
  } catch (error) {
    if (error instanceof RangeError) return { is: 'broken' }
    throw error
  }
}

/** The message without its header, out of as many records as it was cut into. */
function join(bytes: Buffer): Buffer | 'partial' | 'broken' {
  const parts: Buffer[] = []
  let size = 0
  for (let at = 0; at + RECORD_BYTES <= bytes.length;) {
    const length = bytes.readUInt16BE(at + 3)
    if (bytes[at] !== HANDSHAKE || bytes[at + 1] !== MAJOR || length === 0 || length > MAX_RECORD_BYTES) return 'broken'
    const part = bytes.subarray(at + RECORD_BYTES, at + RECORD_BYTES + length)
    parts.push(part)
    size += part.length
    at += RECORD_BYTES + length
    if (size < HEADER_BYTES) continue
    const message = Buffer.concat(parts)
    const wanted = HEADER_BYTES + message.readUIntBE(1, 3)
    if (message[0] !== CLIENT_HELLO || wanted > MAX_HELLO_BYTES) return 'broken'
    if (size >= wanted) return message.subarray(HEADER_BYTES, wanted)
  }
  return 'partial'
}

/** @throws RangeError where a length leads out of what it is in, or something is left over */
function parse(hello: Pieces): Hello {
  // Version and random; session, ciphers, compression.
  hello.take(34)
  hello.take(hello.number(1))
  hello.take(hello.number(2))
  hello.take(hello.number(1))
  const seen = new Set<number>()
  let name: string | null = null
  // Without any at all, in what is older than TLS 1.2.
  const extensions = hello.isEmpty ? hello : hello.pieces(2)
  while (!extensions.isEmpty) {
    const type = extensions.number(2)
    const extension = extensions.pieces(2)
    if (seen.has(type)) throw new RangeError('an extension comes twice')
    seen.add(type)
    if (type === SERVER_NAME) name = nameIn(extension)
  }
  if (!hello.isEmpty) throw new RangeError('something is left over')
  return { is: 'hello', name, isHidden: seen.has(ENCRYPTED_HELLO) }
}

/** The list has room for more, of kinds that were never made. */
function nameIn(extension: Pieces): string {
  const list = extension.pieces(2)
  const kind = list.number(1)
  const name = list.take(list.number(2)).toString('latin1')
  if (kind !== 0 || name === '' || !list.isEmpty || !extension.isEmpty) throw new RangeError('a list of names that is none')
  return name
}

/** Bytes from the front, never more than there are. */
class Pieces {
  #left: Buffer

  constructor(bytes: Buffer) {
    this.#left = bytes
  }

  get isEmpty(): boolean {
    return this.#left.length === 0
  }

  take(count: number): Buffer {
    if (count > this.#left.length) throw new RangeError('it is too short')
    const taken = this.#left.subarray(0, count)
    this.#left = this.#left.subarray(count)
    return taken
  }

  number(size: 1 | 2): number {
    return this.take(size).readUIntBE(0, size)
  }

  /** What a length of so many bytes goes before. */
  pieces(size: 1 | 2): Pieces {
    return new Pieces(this.take(this.number(size)))
  }
}
