/** The feed: what happens, handed to whoever listens at that moment. Costs nothing where nobody does; remembers a bounded ring. */
import type { FlowEvent, FlowFeed, MessageId } from '#contract'

type Listen = (event: FlowEvent) => void

/** Events that a reconnecting watcher can catch up on. Deltas and progress are not among them: they are void once the reply is there. */
const REMEMBERED = 10_000

export class Feed implements FlowFeed {
  readonly #byMessage = new Map<string, Set<Listen>>()
  readonly #byLane = new Map<string, Set<Listen>>()
  readonly #all = new Set<(event: FlowEvent, seq: number) => void>()
  readonly #ring: FlowEvent[] = []
  #seq = 0

  emit(event: FlowEvent): void {
    if (event.type !== 'delta' && event.type !== 'skill') {
      this.#ring[this.#seq % REMEMBERED] = event
      this.#seq += 1
      for (const listen of this.#all) listen(event, this.#seq)
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

  onMessage(id: MessageId, listen: Listen): () => void {
    return subscribe(this.#byMessage, id, listen)
  }

  onLane(channel: string, lane: string, listen: Listen): () => void {
    return subscribe(this.#byLane, laneKey(channel, lane), listen)
  }

  onAll(listen: (event: FlowEvent, seq: number) => void): () => void {
    this.#all.add(listen)
    return () => this.#all.delete(listen)
  }

  since(seq: number): { readonly gap: boolean; readonly events: readonly { readonly seq: number; readonly event: FlowEvent }[] } {
    const first = Math.max(0, this.#seq - REMEMBERED)
    // A number from a former life of the gateway is a gap too: nothing of it is remembered.
    const from = seq > this.#seq ? first : Math.max(seq, first)
    const events: { seq: number; event: FlowEvent }[] = []
    for (let at = from; at < this.#seq; at++) {
      const event = this.#ring[at % REMEMBERED]
      if (event !== undefined) events.push({ seq: at + 1, event })
    }
    return { gap: seq < first || seq > this.#seq, events }
  }

  get watchers(): number {
    return this.#byMessage.size + this.#byLane.size + this.#all.size
  }
}

const laneKey = (channel: string, lane: string): string => `${channel}\n${lane}`

function subscribe(map: Map<string, Set<Listen>>, key: string, listen: Listen): () => void {
  const listeners = map.get(key)
  if (listeners === undefined) map.set(key, new Set([listen]))
  else listeners.add(listen)
  return () => {
    const left = map.get(key)
    if (left === undefined || !left.delete(listen)) return
    if (left.size === 0) map.delete(key)
  }
}
