/**
 * Stored runs that wait to be taken up, oldest first: by their ids alone, for what they are is in the store. When there are more than fit,
 * the rest is looked for when these are done.
 */
import type { Clock, RunId, RunStore } from '#contract'

export interface Waiting {
  readonly id: RunId
  readonly tenant: string
  readonly key: string
}

export interface BacklogOptions {
  readonly store: Pick<RunStore, 'unfinished'>
  readonly clock: Clock
  /** One that was put off may be taken up again. */
  readonly onReady: () => void
}

const PAGE = 500
const MAX_HELD = 10_000
const FIRST_DELAY_MS = 1_000
const LONGEST_DELAY_MS = 60_000
/** For a sandbox that is not there; then it is given up, and can be replayed. */
const GIVE_UP_MS = 24 * 3_600_000

export class Backlog {
  readonly #options: BacklogOptions
  readonly #ready = new Map<RunId, Waiting>()
  /** In these a former life died; they may go on in their sandboxes, where they are kept for moments only. */
  readonly #left = new Map<RunId, Waiting>()
  readonly #resting = new Map<RunId, () => void>()
  /** How often and since when a run was put off; as long as it is not over. */
  readonly #delays = new Map<RunId, { readonly since: number; readonly times: number }>()
  #hasMore = false

  constructor(options: BacklogOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#ready.size + this.#left.size + this.#resting.size
  }

  get isFull(): boolean {
    return this.size >= MAX_HELD
  }

  /** The store has some that are not held, and there is room for them. */
  get isShort(): boolean {
    return this.#hasMore && this.size < MAX_HELD / 2
  }

  /** Some of them are to be asked after at once. */
  get isUrgent(): boolean {
    return this.#left.size > 0
  }

  has(id: RunId): boolean {
    return this.#ready.has(id) || this.#left.has(id) || this.#resting.has(id)
  }

  push({ id, tenant, key }: Waiting): void {
    if (this.isFull) this.#hasMore = true
    else this.#ready.set(id, { id, tenant, key })
  }

  shift(): Waiting | null {
    for (const waiting of [this.#left, this.#ready]) {
      const [first] = waiting.values()
      if (first === undefined) continue
      waiting.delete(first.id)
      return first
    }
    return null
  }

  /** False: it does not wait here. */
  remove(id: RunId): boolean {
    const waited = this.has(id)
    this.#resting.get(id)?.()
    this.#resting.delete(id)
    this.#ready.delete(id)
    this.#left.delete(id)
    this.#delays.delete(id)
    return waited
  }

  /** Again later; false: it was put off for so long that it is given up. */
  defer(run: Waiting): boolean {
    const { clock, onReady } = this.#options
    const now = clock.now()
    const { since, times } = this.#delays.get(run.id) ?? { since: now, times: 0 }
    if (now - since >= GIVE_UP_MS) return false
    this.#delays.set(run.id, { since, times: times + 1 })
    const cancelTimer = clock.after(Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** times), () => {
      this.#resting.delete(run.id)
      this.push(run)
      onReady()
    })
    this.#resting.set(run.id, cancelTimer)
    return true
  }

  /** Reads the store from the beginning; `isKnown`: those that go on already. */
  async read(isKnown: (id: RunId) => boolean): Promise<void> {
    this.#hasMore = false
    for (let after = 0; !this.isFull;) {
      const page = await this.#options.store.unfinished(after, PAGE)
      for (const { id, tenant, key, seq, status } of page) {
        after = seq
        if (isKnown(id) || this.has(id)) continue
        if (status === 'running') this.#left.set(id, { id, tenant, key })
        else this.push({ id, tenant, key })
      }
      if (page.length < PAGE) return
    }
    this.#hasMore = true
  }

  stop(): void {
    for (const cancelTimer of this.#resting.values()) cancelTimer()
    this.#resting.clear()
    this.#ready.clear()
    this.#left.clear()
  }
}
