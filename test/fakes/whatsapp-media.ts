/** WhatsApp's media host over loopback HTTP: keeps encrypted files under their direct paths and knows none of their keys. */
import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getMediaKeys } from 'baileys'
import type { MediaType } from 'baileys'

/** The members of a media message that say where it is and how it is opened. */
export interface Uploaded {
  readonly url: string
  readonly directPath: string
  readonly mediaKey: Uint8Array
  readonly fileSha256: Uint8Array
  readonly fileEncSha256: Uint8Array
  readonly fileLength: number
}

export class FakeWhatsAppMedia {
  readonly #files = new Map<string, Buffer>()
  readonly #server = createServer((request, response) => {
    const file = this.#files.get(request.url ?? '')
    if (file === undefined) response.writeHead(404).end()
    else response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(file)
  })
  origin = ''

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
    return this.origin
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** What a sender's phone does before it sends a picture. */
  async put(bytes: Uint8Array, type: MediaType): Promise<Uploaded> {
    const mediaKey = randomBytes(32)
    const { iv, cipherKey, macKey } = await getMediaKeys(mediaKey, type)
    if (!macKey) throw new Error('no key')
    const cipher = createCipheriv('aes-256-cbc', cipherKey, iv)
    const sealed = Buffer.concat([cipher.update(bytes), cipher.final()])
    const mac = createHmac('sha256', macKey).update(iv).update(sealed).digest().subarray(0, 10)
    const file = Buffer.concat([sealed, mac])
    const directPath = `/v/t62.7118-24/${randomBytes(8).toString('hex')}.enc?ccb=11-4`
    this.#files.set(directPath, file)
    const sha256 = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest()
    return {
      url: `${this.origin}${directPath}`,
      directPath,
      mediaKey,
      fileSha256: sha256(bytes),
      fileEncSha256: sha256(file),
      fileLength: bytes.length,
    }
  }

  /** Turns a byte of a file around. */
  spoil(directPath: string): void {
    const file = this.#files.get(directPath)
    if (file !== undefined) file[0] = (file[0] ?? 0) ^ 0xff
  }

  remove(directPath: string): void {
    this.#files.delete(directPath)
  }
}
