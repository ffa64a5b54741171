/** Tar by hand, so that it can be wrong in every way. */

export interface Entry {
  readonly name: string | Buffer
  readonly content?: string | Uint8Array
  readonly type?: string
  readonly link?: string
  readonly size?: string
  readonly magic?: string
  readonly prefix?: string
  readonly checksum?: string
}

export function entry({ name, content = '', type = '0', link = '', size, magic = 'ustar\x0000', prefix = '', checksum }: Entry): Buffer {
  const body = Buffer.from(content)
  const block = Buffer.alloc(512)
  Buffer.from(name).copy(block)
  block.write('0000644\0', 100)
  block.write(size ?? `${body.byteLength.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
  block.write(`        ${type}`, 148)
  block.write(link, 157)
  block.write(magic, 257)
  block.write(prefix, 345)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([block, body, Buffer.alloc(-body.byteLength & 511)])
}

export const END: Buffer = Buffer.alloc(1_024)
export const tar = (...entries: readonly Entry[]): Buffer => Buffer.concat([...entries.map(entry), END])

export function pax(values: { readonly [key: string]: string }): string {
  return Object.entries(values)
    .map(([key, value]) => {
      const record = ` ${key}=${value}\n`
      let length = Buffer.byteLength(record) + 1
      while (`${length}`.length + Buffer.byteLength(record) !== length) length++
      return `${length}${record}`
    })
    .join('')
}
