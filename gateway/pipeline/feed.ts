/**
 * The feed: what happens, handed to whoever listens at that moment. Costs nothing where nobody does; remembers a bounded ring of each
 * tenant, so that none hears of another's, not even by a number that grows or by what was pushed out.
 */
import type { FlowEvent, FlowFeed, MessageId, SessionKey } from '#contract'

type Listen = (event: FlowEvent) => void

/** Events that a reconnecting watcher can catch up on. Deltas and progress are not among them: they are void once the reply is there. */
const REMEMBERED = 10_000
/** Beyond it the tenant whose last event is oldest is forgotten; its watchers are told of a gap. */
const MAX_TENANTS = 64

class Ring {
  readonly #events: (FlowEvent | undefined)[] = []
  readonly #start: number
  #seq: number

  /** @param start greater than or equal to every number that was given out for this tenant before */
  constructor(start: number) {
    this.#start = this.#seq = start
  }

  get seq(): number {
    return this.#seq
  }

  /** Nobody who asks later is told of them. */
  forget(isMeant: (event: FlowEvent) => boolean): void {
    for (const [at, event] of this.#events.entries()) if (event !== undefined && isMeant(event)) this.#events[at] = undefined
  }

  /** Answers its number. */
  add(event: FlowEvent): number {
    this.#events[this.#seq % REMEMBERED] = event
    return ++this.#seq
  }

  since(seq: number): ReturnType<FlowFeed['since']> {
    const first = Math.max(this.#start, this.#seq - REMEMBERED)
    // A number from a former life of the gateway is a gap too: nothing of it is remembered.
    const from = seq > this.#seq ? first : Math.max(seq, first)
    const events: { seq: number; event: FlowEvent }[] = []
    for (let at = from; at < this.#seq; at++) {
      const event = this.#events[at % REMEMBERED]
      if (event !== undefined) events.push({ seq: at + 1, event })
    }
    return { gap: seq < first || seq > this.#seq, events }
  }
}

export class Feed implements FlowFeed {
  readonly #byMessage = new Map<string, Set<Listen>>()
  readonly #byLane = new Map<string, Set<Listen>>()
  readonly #byTenant = new Map<string, Set<(event: FlowEvent, seq: number) => void>>()
  /** The one whose last event is oldest first, when there are many. */
  readonly #rings = new Map<string, Ring>()
  /** The highest number of a ring that was forgotten. */
  #floor = 0

  emit(event: FlowEvent): void {
    if (event.type !== 'delta' && event.type !== 'skill') {
      const seq = this.#ringOf(event.tenant).add(event)
      const byTenant = this.#byTenant.get(event.tenant)
      if (byTenant !== undefined) for (const listen of byTenant) listen(event, seq)
    }
    if (event.type === 'event') return
    const byMessage = this.#byMessage.get(event.messageId)
    if (byMessage !== undefined) for (const listen of byMessage) listen(event)
    if (this.#byLane.size === 0) return
    const byLane = this.#byLane.get(laneKey(event.channel, event.lane))
    if (byLane !== undefined) for (const listen of byLane) listen(event)
  }

  /** Whether anybody would get a delta of this message. */
  isWatched(id: MessageId, channel: string, lane: string): boolean {
    return this.#byMessage.has(id) || (this.#byLane.size > 0 && this.#byLane.has(laneKey(channel, lane)))
  }

  /** Whether anybody waits for what becomes of this message. */
  isAwaited(id: MessageId): boolean {
    return this.#byMessage.has(id)
  }

  onMessage(id: MessageId, listen: Listen): () => void {
    return subscribe(this.#byMessage, id, listen)
  }

  onLane(channel: string, lane: string, listen: Listen): () => void {
    return subscribe(this.#byLane, laneKey(channel, lane), listen)
  }

  onTenant(tenant: string, listen: (event: FlowEvent, seq: number) => void): () => void {
    return subscribe(this.#byTenant, tenant, listen)
  }

  since(tenant: string, seq: number): ReturnType<FlowFeed['since']> {
    return (this.#rings.get(tenant) ?? new Ring(this.#floor)).since(seq)
  }

  /** What was said in a session that is erased; numbers stay as they are. */
  forget(tenant: string, session: SessionKey): void {
    this.#rings.get(tenant)?.forget((event) => event.type !== 'event' && event.session === session)
  }

  get watchers(): number {
    return this.#byMessage.size + this.#byLane.size + this.#byTenant.size
  }

  #ringOf(tenant: string): Ring {
    let ring = this.#rings.get(tenant)
    if (ring !== undefined) {
      if (this.#rings.size < MAX_TENANTS) return ring
      this.#rings.delete(tenant)
    } else {
      if (this.#rings.size >= MAX_TENANTS) {
        const [oldest] = this.#rings
        if (oldest !== undefined) this.#rings.delete(oldest[0])
        this.#floor = Math.max(this.#floor, oldest?.[1].seq ?? 0)
      }
      ring = new Ring(this.#floor)
    }
    this.#rings.set(tenant, ring)
    return ring
  }
}

const laneKey = (channel: string, lane: string): string => `${channel}\n${lane}`

function subscribe<Heard>(map: Map<string, Set<Heard>>, key: string, listen: Heard): () => void {
  const listeners = map.get(key)
  if (listeners === undefined) map.set(key, new Set([listen]))
  else listeners.add(listen)
  return () => {
    const left = map.get(key)
    if (left === undefined || !left.delete(listen)) return
    if (left.size === 0) map.delete(key)
  }
}
