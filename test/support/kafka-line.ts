/**
 * A line to a Kafka broker that reads along: answers a Produce itself with an error, lets one through and keeps its answer, counts who
 * tries to sign in. Between the broker and its proxy; knows nothing of the gateway.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Scope } from './gateway-process.ts'

/** By the numbers of the protocol (kafka.apache.org/protocol). */
const PRODUCE = 0
const SASL_HANDSHAKE = 17
const SASL_AUTHENTICATE = 36
export const PRODUCE_ERROR = { MESSAGE_TOO_LARGE: 10, NOT_ENOUGH_REPLICAS: 19 } as const

type Spoil = { readonly error: number } | 'lose the answer'

export class KafkaLine {
  readonly #listener: Server
  readonly #target: number
  readonly #sockets = new Set<Socket>()
  /** For the next Produces to a topic that `#topic` accepts, in their order; null: let it pass. */
  #plan: (Spoil | null)[] = []
  #isMeant: (topic: string) => boolean = () => true
  /** How often somebody began to sign in. */
  signIns = 0
  /** So many of the next break in the middle. */
  brokenSignIns = 0

  private constructor(target: number) {
    this.#target = target
    this.#listener = createServer({ noDelay: true }, (client) => this.#admit(client))
  }

  static async open(scope: Scope, target: number): Promise<KafkaLine> {
    const line = new KafkaLine(target)
    line.#listener.listen(0, '127.0.0.1')
    await once(line.#listener, 'listening')
    scope.after(async () => {
      for (const socket of line.#sockets) socket.destroy()
      line.#listener.close()
      await once(line.#listener, 'close')
    })
    return line
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port
  }

  /** What happens to the next Produces to such topics. */
  plan(isMeant: (topic: string) => boolean, spoils: readonly (Spoil | null)[]): void {
    this.#isMeant = isMeant
    this.#plan = [...spoils]
  }

  #admit(client: Socket): void {
    const broker = connect({ port: this.#target, host: '127.0.0.1', noDelay: true })
    /** Answers to these are kept, and the line breaks instead. */
    const lost = new Set<number>()
    for (const socket of [client, broker]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        broker.destroy()
      })
    }
    frames(client, (frame) => {
      const api = frame.readInt16BE(4)
      if (api === SASL_HANDSHAKE) this.signIns++
      if (api === SASL_AUTHENTICATE && this.brokenSignIns > 0) {
        this.brokenSignIns--
        client.resetAndDestroy()
        return
      }
      const spoil = api === PRODUCE ? this.#next(frame) : null
      if (spoil === null || spoil === 'lose the answer') {
        if (spoil !== null) lost.add(frame.readInt32BE(8))
        broker.write(frame)
      } else client.write(refusalOf(frame, spoil.error))
    })
    frames(broker, (frame) => {
      if (lost.has(frame.readInt32BE(4))) client.resetAndDestroy()
      else client.write(frame)
    })
  }

  #next(frame: Buffer): Spoil | null {
    if (this.#plan.length === 0 || !this.#isMeant(produceOf(frame).topic)) return null
    return this.#plan.shift() ?? null
  }
}

/** Whole frames, their four bytes of length included. */
function frames(from: Socket, tell: (frame: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  from.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0)
      tell(rest.subarray(0, end))
      rest = rest.subarray(end)
    }
  })
}

/** Of a Produce (v3 to v8) with one topic and one partition. */
function produceOf(frame: Buffer): {
  readonly version: number
  readonly correlation: Buffer
  readonly topic: string
  readonly partition: number
} {
  let at = 12
  const text = (): string => {
    const length = frame.readInt16BE(at)
    at += 2 + Math.max(0, length)
    return length < 0 ? '' : frame.toString('utf8', at - length, at)
  }
  text() // client id
  text() // transactional id
  at += 2 + 4 + 4 // acks, timeout, number of topics
  const topic = text()
  at += 4
  return { version: frame.readInt16BE(6), correlation: frame.subarray(8, 12), topic, partition: frame.readInt32BE(at) }
}

function refusalOf(request: Buffer, error: number): Buffer {
  const { version, correlation, topic, partition } = produceOf(request)
  const name = Buffer.from(topic)
  const head = Buffer.alloc(4 + 2)
  head.writeInt32BE(1, 0)
  head.writeInt16BE(name.length, 4)
  // number of partitions, partition, error, base offset, append time, (start offset), throttle time
  const tail = Buffer.alloc(4 + 4 + 2 + 8 + 8 + (version >= 5 ? 8 : 0) + 4)
  tail.writeInt32BE(1, 0)
  tail.writeInt32BE(partition, 4)
  tail.writeInt16BE(error, 8)
  tail.writeBigInt64BE(-1n, 10)
  tail.writeBigInt64BE(-1n, 18)
  const body = Buffer.concat([correlation, head, name, tail])
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}
