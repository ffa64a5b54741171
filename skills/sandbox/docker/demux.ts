/**
 * Takes apart what an engine sends over one connection of an attached container: pieces of standard output, which go on, and of
 * standard error, of which the end is kept (Docker Engine API, "Stream format": `u8 stream, u24 0, u32 length`, then the piece).
 * Passes on in the pace in which it is read.
 */
import { Transform, type TransformCallback } from 'node:stream'

const HEADER_BYTES = 8
const STDERR = 2
const MAX_KEPT_CHARS = 4_096

export class Demux extends Transform {
  readonly #header: Buffer = Buffer.alloc(HEADER_BYTES)
  #headerLength = 0
  /** Of the piece that is being read. */
  #left = 0
  #isError = false
  #complaints = ''

  get complaints(): string {
    return this.#complaints
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#left === 0) {
        const taken = chunk.copy(this.#header, this.#headerLength, at, at + HEADER_BYTES - this.#headerLength)
        at += taken
        this.#headerLength += taken
        if (this.#headerLength < HEADER_BYTES) break
        this.#headerLength = 0
        const stream = this.#header[0] ?? 0
        if (stream > STDERR) return done(new Error(`The engine sent a piece of an unknown stream (${stream}).`))
        this.#isError = stream === STDERR
        this.#left = this.#header.readUInt32BE(4)
        continue
      }
      const piece = chunk.subarray(at, at + this.#left)
      at += piece.length
      this.#left -= piece.length
      if (this.#isError) this.#complaints = (this.#complaints + piece.toString()).slice(-MAX_KEPT_CHARS)
      else this.push(piece)
    }
    done()
  }
}
