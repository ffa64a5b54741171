/**
 * Bytes ↔ frames, on the gateway's side. What comes from a sandbox is judged before it is kept: a length by its type's bound, JSON by its
 * depth. What a frame means is not known here.
 */
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import { HEADER_BYTES, maxPayloadBytes } from './frame.ts'
import type { Frame } from './frame.ts'

/** Deeper JSON is refused: walking it would take the stack. */
export const MAX_DEPTH = 100

/** @throws RangeError when the payload is longer than its type allows */
export function encodeFrame(type: number, call: number, payload: Buffer): Buffer {
  const bound = maxPayloadBytes(type)
  if (bound === null || payload.length > bound) throw new RangeError(`a frame of type ${type} cannot have ${payload.length} bytes`)
  const frame = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  frame.writeUInt32BE(payload.length, 0)
  frame.writeUInt8(type, 4)
  frame.writeUInt32BE(call, 5)
  payload.copy(frame, HEADER_BYTES)
  return frame
}

/** The sandbox said what no supervisor says. */
export class FrameBreach extends Error {}

/** Takes bytes as they come. After a FrameBreach it is of no more use. */
export class FrameDecoder {
  #mark: Buffer | null
  #chunks: Buffer[] = []
  #bytes = 0
  /** Of the frame that is being gathered; 0: its header is not there yet. */
  #wanted = 0

  /** With a mark, everything before and including it is dropped, however long. */
  constructor(mark: Buffer | null = null) {
    this.#mark = mark
  }

  /** Whether bytes of an unfinished frame are here. */
  get isWithin(): boolean {
    return this.#bytes > 0
  }

  /** @throws FrameBreach */
  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#mark !== null && !this.#skipTo(this.#mark)) return []
    const frames: Frame[] = []
    for (;;) {
      if (this.#bytes < Math.max(HEADER_BYTES, this.#wanted)) return frames
      const head = this.#joined()
      const length = head.readUInt32BE(0)
      const type = head.readUInt8(4)
      const bound = maxPayloadBytes(type)
      if (bound === null) throw new FrameBreach(`a frame of the unknown type ${type}`)
      if (length > bound) throw new FrameBreach(`a frame of type ${type} that announces ${length} bytes; at most ${bound} are allowed`)
      this.#wanted = HEADER_BYTES + length
      if (head.length < this.#wanted) return frames
      frames.push({ type, call: head.readUInt32BE(5), payload: head.subarray(HEADER_BYTES, this.#wanted) })
      this.#keep(head.subarray(this.#wanted))
      this.#wanted = 0
    }
  }

  #skipTo(mark: Buffer): boolean {
    const all = this.#joined()
    const at = all.indexOf(mark)
    this.#keep(at === -1 ? all.subarray(-(mark.length - 1)) : all.subarray(at + mark.length))
    if (at !== -1) this.#mark = null
    return at !== -1
  }

  #joined(): Buffer {
    const [first, ...rest] = this.#chunks
    const all = first !== undefined && rest.length === 0 ? first : Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }

  #keep(rest: Buffer): void {
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#bytes = rest.length
  }
}

/**
 * JSON (RFC 8259) of strangers. A member `__proto__` is left out, so that no later copy can set a prototype.
 * @throws FrameBreach when it is none, not UTF-8, or deeper than MAX_DEPTH
 */
export function parseJson(bytes: Buffer): JsonValue {
  if (isTooDeep(bytes)) throw new FrameBreach(`JSON deeper than ${MAX_DEPTH} levels`)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new FrameBreach('text that is not UTF-8')
  }
  try {
    return JSON.parse(text, HIDES_PROTO.test(text) ? withoutProto : undefined) as JsonValue
  } catch {
    throw new FrameBreach('text that is not JSON')
  }
}

/** What a supervisor says of itself. @throws FrameBreach */
export function parseObject({ type, payload }: Frame): JsonObject {
  const value = parseJson(payload)
  if (!isJsonObject(value)) throw new FrameBreach(`a frame of type ${type} that is no object`)
  return value
}

export const jsonBytes = (value: JsonObject): Buffer => Buffer.from(JSON.stringify(value))
/** Of frames that say all by their type. */
export const NOTHING: Buffer = Buffer.alloc(0)

/** As it is, or with any of its characters escaped. */
const HIDES_PROTO = /__proto__|\\u00(?:5f|7[0-4f]|6f)/i
const withoutProto = (name: string, value: unknown): unknown => (name === '__proto__' ? undefined : value)

const QUOTE = 0x22
const BACKSLASH = 0x5c

function isTooDeep(bytes: Buffer): boolean {
  let depth = 0
  let isText = false
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]
    if (isText) {
      if (byte === BACKSLASH) at += 1
      else if (byte === QUOTE) isText = false
    } else if (byte === QUOTE) isText = true
    else if (byte === 0x5b || byte === 0x7b) {
      depth += 1
      if (depth > MAX_DEPTH) return true
    } else if (byte === 0x5d || byte === 0x7d) depth -= 1
  }
  return false
}
