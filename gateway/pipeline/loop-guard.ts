/** Keeps two bots from talking for ever: so many of their messages a minute are taken in per lane, and no more. */

const MAX_PER_MINUTE = 10
const MINUTE_MS = 60_000
/** Lanes remembered; of more, those that were quiet longest are forgotten. */
const MAX_LANES = 10_000

export class LoopGuard {
  /** When the last ones were taken in, oldest first. The map's order is that of use. */
  readonly #lanes = new Map<string, readonly number[]>()

  takes(channel: string, lane: string, now: number): boolean {
    const key = `${channel}\n${lane}`
    const recent = (this.#lanes.get(key) ?? []).filter((at) => at > now - MINUTE_MS)
    if (recent.length >= MAX_PER_MINUTE) return false
    this.#lanes.delete(key)
    this.#lanes.set(key, [...recent, now])
    const [oldest] = this.#lanes.keys()
    if (this.#lanes.size > MAX_LANES && oldest !== undefined) this.#lanes.delete(oldest)
    return true
  }
}
