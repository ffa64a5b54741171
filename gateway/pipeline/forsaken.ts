/** Messages whose answers nobody waits for any more, until their turns have ended. In memory: what is forgotten is answered. */
import type { Envelope, MessageId } from '#contract'

/** Beyond it the oldest are forgotten. */
const MAX_KEPT = 10_000

export class Forsaken {
  readonly #ids = new Set<MessageId>()

  add(id: MessageId): void {
    this.#ids.add(id)
    const [oldest] = this.#ids
    if (this.#ids.size > MAX_KEPT && oldest !== undefined) this.#ids.delete(oldest)
  }

  delete(id: MessageId): void {
    this.#ids.delete(id)
  }

  holdsAll(messages: readonly Envelope[]): boolean {
    return this.#ids.size > 0 && messages.every(({ id }) => this.#ids.has(id))
  }
}
