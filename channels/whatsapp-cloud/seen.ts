/**
 * Which of our sends WhatsApp has told about while their answer was not there: so a lost answer, even one lost in a crash, can be made
 * up for. Remembers the last few durably.
 */
import type { ChannelHost, StateChanges } from '#contract'
import type { Status } from './notification.ts'

const KEY = 'seen'
const MOST = 500

export class Seen {
  /** Delivery → WhatsApp's id. */
  readonly #told: Map<string, string>
  /** Whose answer came, so that what is told of them is not needed. */
  readonly #answered = new Set<string>()

  private constructor(told: Map<string, string>) {
    this.#told = told
  }

  static async load(host: ChannelHost): Promise<Seen> {
    const bytes = await host.readState(KEY)
    return new Seen(bytes === null ? new Map() : new Map(JSON.parse(new TextDecoder().decode(bytes)) as [string, string][]))
  }

  answered(delivery: string): void {
    this.#told.delete(delivery)
    this.#answered.add(delivery)
    trim(this.#answered)
  }

  platformIdOf(delivery: string): string | null {
    return this.#told.get(delivery) ?? null
  }

  /** What has to be stored of it. */
  note(statuses: readonly Status[]): StateChanges {
    let isNew = false
    for (const { delivery, platformId, state } of statuses) {
      if (delivery === null || platformId === '' || state !== 'sent' || this.#answered.has(delivery) || this.#told.has(delivery)) continue
      this.#told.set(delivery, platformId)
      isNew = true
    }
    if (!isNew) return {}
    trim(this.#told)
    return { [KEY]: new TextEncoder().encode(JSON.stringify([...this.#told])) }
  }
}

/** The oldest go. */
function trim(kept: Map<string, string> | Set<string>): void {
  for (const key of kept.keys()) {
    if (kept.size <= MOST) return
    kept.delete(key)
  }
}
