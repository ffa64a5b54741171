/**
 * What has arrived together is accepted together, in order, and acknowledged after. A message that comes a second time because its
 * acknowledgement was lost is known by the broker's number of it and its words, even where it has no id of its own.
 */
import type { IPublishPacket } from 'mqtt'
import { ChannelFault, describeError } from '#contract'
import type { ChannelHost, Inbound, StateChanges } from '#contract'
import { PAYLOAD_INVALID } from './connection.ts'
import type { Connection } from './connection.ts'
import { batched, digestOf, inboundOf } from './inbound.ts'
import type { Around } from './inbound.ts'

export interface IntakeParts {
  readonly host: ChannelHost
  readonly around: () => Around
  readonly connection: Connection
  /** Names the session whose numbers the broker's are. */
  readonly session: string
  readonly onUndecodable: (packet: IPublishPacket, reason: string) => void
}

interface Item {
  readonly packet: IPublishPacket
  readonly messageId: number | null
  readonly inbound: Inbound
  readonly slot: string | null
  readonly digest: string
}

const LARGEST_BATCH = 500
/** More than can be under way, so that the slot of one that is not settled is not taken by another. */
const SLOTS = 2_048

export class Intake {
  readonly #parts: IntakeParts
  #waiting: { readonly packet: IPublishPacket; readonly messageId: number | null }[] = []
  #working: Promise<void> | null = null
  #isOver = false
  #cancelWait: (() => void) | null = null

  constructor(parts: IntakeParts) {
    this.#parts = parts
  }

  take(packet: IPublishPacket, messageId: number | null): void {
    if (this.#isOver) return
    this.#waiting.push({ packet, messageId })
    const { batch } = this.#parts.around().settings
    if (batch !== null && this.#waiting.length < batch.size) {
      this.#cancelWait ??= this.#parts.host.clock.after(batch.waitMs, () => this.#start(true))
      return
    }
    // What else is in the same read of the socket is handed in together with it.
    setImmediate(() => this.#start(false))
  }

  /** Takes nothing more. Resolves when what was being accepted is settled; the rest comes again. */
  async end(): Promise<void> {
    this.#isOver = true
    this.#waiting = []
    this.#cancelWait?.()
    await this.#working
  }

  /** `isDue`: a batch goes though it is not full. */
  #start(isDue: boolean): void {
    this.#cancelWait?.()
    this.#cancelWait = null
    this.#working ??= this.#drain(isDue).finally(() => (this.#working = null))
  }

  async #drain(isDue: boolean): Promise<void> {
    let isSmallFine = isDue
    while (!this.#isOver && this.#waiting.length > 0) {
      const { batch } = this.#parts.around().settings
      if (batch !== null && this.#waiting.length < batch.size && !isSmallFine) {
        this.#cancelWait ??= this.#parts.host.clock.after(batch.waitMs, () => this.#start(true))
        return
      }
      isSmallFine = false
      const taken = this.#waiting.splice(0, batch?.size ?? LARGEST_BATCH)
      try {
        await this.#accept(taken)
      } catch (error) {
        // Nothing was stored and nothing acknowledged: over a new connection the broker gives it all again.
        this.#isOver = true
        this.#waiting = []
        const { code, message } = describeError(error)
        this.#parts.host.log.warn({ 'error.code': code }, 'Messages could not be accepted; the broker will give them again.')
        this.#parts.connection.drop(
          new ChannelFault(message, { code: 'MQTT_NOT_ACCEPTED', fault: { is: 'transient', maybeSent: false }, cause: error }),
        )
      }
    }
  }

  async #accept(taken: readonly { readonly packet: IPublishPacket; readonly messageId: number | null }[]): Promise<void> {
    const { host, around, connection, onUndecodable } = this.#parts
    const items = taken.map(({ packet, messageId }) => this.#item(packet, messageId, around()))
    const known = new Set<Item>()
    for (const item of items) if (await this.#isKnown(item)) known.add(item)
    const fresh = items.filter((item) => !known.has(item))
    const state: { [slot: string]: Uint8Array } = {}
    for (const { slot, digest, messageId } of fresh) if (slot !== null) state[slot] = Buffer.from(this.#mark(messageId, digest))
    await this.#hand(host, around().settings.batch !== null, fresh, state)
    for (const { messageId, inbound, packet } of items) {
      if (inbound.dead !== undefined) onUndecodable(packet, inbound.dead.code)
      if (messageId !== null) connection.acknowledge(messageId, inbound.dead === undefined ? 0 : PAYLOAD_INVALID)
    }
  }

  async #hand(host: ChannelHost, isBatched: boolean, fresh: readonly Item[], state: StateChanges): Promise<void> {
    if (fresh.length === 0) return
    const all = fresh.map(({ inbound }) => inbound)
    if (!isBatched) return void (await host.acceptAll(all, state))
    const lanes = Map.groupBy(all, ({ lane, dead, author }) => (dead === undefined && author !== 'self' ? lane : Symbol('alone')))
    const envelopes = [...lanes.values()].flatMap((lane) => batched(lane) ?? [])
    await host.acceptAll(envelopes, state)
  }

  #item(packet: IPublishPacket, messageId: number | null, around: Around): Item {
    const inbound = inboundOf(packet, around)
    // In a batch the single keys are lost, so every message has to be known by its slot.
    const needsSlot = messageId !== null && (inbound.key === null || around.settings.batch !== null)
    return { packet, messageId, inbound, digest: digestOf(packet), slot: needsSlot ? `slot:${messageId % SLOTS}` : null }
  }

  /** Only what the broker says it gave before can be one that was stored before (MQTT 5 §3.3.1.1). */
  async #isKnown({ packet, slot, messageId, digest }: Item): Promise<boolean> {
    if (slot === null || !packet.dup) return false
    const stored = await this.#parts.host.readState(slot)
    return stored !== null && Buffer.from(stored).toString() === this.#mark(messageId, digest)
  }

  #mark(messageId: number | null, digest: string): string {
    return `${this.#parts.session}:${messageId}:${digest}`
  }
}
