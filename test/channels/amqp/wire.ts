/**
 * Reads AMQP 0-9-1 as it passes by on one connection: which messages were delivered, acknowledged, published, confirmed. Knows no more
 * of the protocol (§2.3, §4.2) than that takes.
 */
import type { Direction } from '../../support/tcp-proxy.ts'

export type Seen =
  | { readonly is: 'publish' | 'confirmed' }
  /** Message ids. */
  | { readonly is: 'delivered' | 'settled' | 'requeued'; readonly ids: readonly string[] }

const METHOD = 1
const HEADER = 2
const FRAME_OVERHEAD = 8
const PROTOCOL_HEADER_BYTES = 8

export class Wire {
  readonly #rest: Record<Direction, Buffer> = { up: Buffer.alloc(0), down: Buffer.alloc(0) }
  #isGreeted = false
  /** Tag of the delivery whose header comes next, by its channel. */
  readonly #announced = new Map<number, bigint>()
  readonly #outstanding = new Map<number, Map<bigint, string>>()

  read(bytes: Buffer, direction: Direction): readonly Seen[] {
    const seen: Seen[] = []
    let rest = Buffer.concat([this.#rest[direction], bytes])
    if (direction === 'up' && !this.#isGreeted && rest.length >= PROTOCOL_HEADER_BYTES) {
      this.#isGreeted = true
      rest = rest.subarray(PROTOCOL_HEADER_BYTES)
    }
    for (;;) {
      if (rest.length < FRAME_OVERHEAD) break
      const size = rest.readUInt32BE(3) + FRAME_OVERHEAD
      if (rest.length < size) break
      const event = this.#frame(rest.readUInt8(0), rest.readUInt16BE(1), rest.subarray(7, size - 1), direction)
      if (event !== null) seen.push(event)
      rest = rest.subarray(size)
    }
    this.#rest[direction] = rest
    return seen
  }

  #frame(type: number, channel: number, payload: Buffer, direction: Direction): Seen | null {
    if (type === HEADER && direction === 'down') return this.#header(channel, payload)
    if (type !== METHOD) return null
    const method = `${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)} ${direction}`
    switch (method) {
      case '60.40 up':
        return { is: 'publish' }
      case '60.60 down':
        this.#announced.set(channel, payload.readBigUInt64BE(5 + payload.readUInt8(4)))
        return null
      case '60.80 down':
        return { is: 'confirmed' }
      case '60.80 up':
        return { is: 'settled', ids: this.#take(channel, payload.readBigUInt64BE(4), (payload.readUInt8(12) & 1) === 1) }
      case '60.120 up': {
        const bits = payload.readUInt8(12)
        const ids = this.#take(channel, payload.readBigUInt64BE(4), (bits & 1) === 1)
        return { is: (bits & 2) === 2 ? 'requeued' : 'settled', ids }
      }
      default:
        return null
    }
  }

  #header(channel: number, payload: Buffer): Seen | null {
    const tag = this.#announced.get(channel)
    if (tag === undefined) return null
    this.#announced.delete(channel)
    const id = messageId(payload) ?? `tag ${tag}`
    const outstanding = this.#outstanding.get(channel) ?? new Map<bigint, string>()
    this.#outstanding.set(channel, outstanding.set(tag, id))
    return { is: 'delivered', ids: [id] }
  }

  /** Tag 0: all. */
  #take(channel: number, tag: bigint, isMultiple: boolean): readonly string[] {
    const outstanding = this.#outstanding.get(channel) ?? new Map<bigint, string>()
    const taken = [...outstanding].filter(([one]) => one === tag || (isMultiple && (tag === 0n || one < tag)))
    for (const [one] of taken) outstanding.delete(one)
    return taken.map(([, id]) => id)
  }
}

/** Properties stand in the order of their flags, the highest bit first. */
function messageId(payload: Buffer): string | null {
  const flags = payload.readUInt16BE(12)
  let at = 14
  for (let bit = 15; bit > 7; bit--) {
    if ((flags & (1 << bit)) === 0) continue
    if (bit === 13) at += 4 + payload.readUInt32BE(at)
    else if (bit === 12 || bit === 11) at += 1
    else at += 1 + payload.readUInt8(at)
  }
  return (flags & (1 << 7)) === 0 ? null : payload.toString('utf8', at + 1, at + 1 + payload.readUInt8(at))
}
