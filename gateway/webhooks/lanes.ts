/**
 * The lanes of all webhooks, and whose turn it is. There is room for so many attempts at once; a tenant gets a part of it at most, and what is
 * free goes to the tenant that has fewest under way, so that nobody's webhooks, however many of them hang, keep another's from being told.
 */
import type { DueDelivery, WebhookRecord } from '#contract'
import { Lane } from './lane.ts'

export interface Turn {
  readonly lane: Lane
  readonly delivery: DueDelivery
}

/** Attempts at once, over all lanes and of one tenant. */
const MOST_RUNNING = 1_000
const MOST_OF_TENANT = 400

interface Part {
  /** By the webhook's number; whoever had a turn stands behind the others. */
  readonly lanes: Map<number, Lane>
  running: number
}

export class Lanes {
  readonly #parts = new Map<string, Part>()
  #running = 0

  /** Attempts under way. */
  get running(): number {
    return this.#running
  }

  push(webhook: WebhookRecord, delivery: DueDelivery): void {
    const part = this.#parts.get(webhook.tenant) ?? { lanes: new Map<number, Lane>(), running: 0 }
    this.#parts.set(webhook.tenant, part)
    const lane = part.lanes.get(webhook.seq) ?? new Lane(webhook)
    part.lanes.set(webhook.seq, lane)
    lane.webhook = webhook
    lane.push(delivery)
  }

  /** The next that may be sent now, under way from now on; null: none. */
  next(now: number): Turn | null {
    if (this.#running >= MOST_RUNNING) return null
    for (const [tenant, part] of [...this.#parts].sort(([, one], [, other]) => one.running - other.running)) {
      const turn = part.running < MOST_OF_TENANT ? this.#nextOf(part, now) : null
      if (turn !== null) return turn
      if (part.lanes.size === 0) this.#parts.delete(tenant)
    }
    return null
  }

  /** When the next may be sent that only the rate of its webhook holds back; null: there is none. */
  heldUntil(now: number): number | null {
    let first = Infinity
    for (const { lanes } of this.#parts.values())
      for (const lane of lanes.values()) first = Math.min(first, lane.heldUntil(now) ?? Infinity)
    return first === Infinity ? null : first
  }

  ended({ lane, delivery }: Turn, now: number): void {
    const { tenant, seq } = lane.webhook
    const part = this.#parts.get(tenant)
    this.#running--
    lane.ended(delivery)
    if (part === undefined) return
    part.running--
    if (lane.isOver(now)) part.lanes.delete(seq)
    if (part.lanes.size === 0) this.#parts.delete(tenant)
  }

  /** What waits of it is given back. */
  empty({ tenant, seq }: Pick<WebhookRecord, 'tenant' | 'seq'>): readonly DueDelivery[] {
    return this.#parts.get(tenant)?.lanes.get(seq)?.empty() ?? []
  }

  #nextOf(part: Part, now: number): Turn | null {
    for (const [seq, lane] of part.lanes) {
      const delivery = lane.next(now)
      if (delivery === null) {
        if (lane.isOver(now)) part.lanes.delete(seq)
        continue
      }
      part.lanes.delete(seq)
      part.lanes.set(seq, lane)
      part.running++
      this.#running++
      return { lane, delivery }
    }
    return null
  }
}
