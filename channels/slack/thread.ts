/**
 * The threads we have spoken in: what is said there is said to us too, without a mention. Durable, because people come back to a
 * thread after a restart, and bounded: of the oldest only a mention reminds us.
 */
import type { ChannelHost } from '#contract'

const KEY = 'threads'
const MAX_THREADS = 1_000

export class Threads {
  readonly #host: ChannelHost
  /** In the order in which we spoke there last. */
  readonly #known: Set<string>

  constructor(host: ChannelHost, stored: Uint8Array | null) {
    this.#host = host
    this.#known = new Set(stored === null ? [] : Buffer.from(stored).toString().split('\n'))
  }

  static async load(host: ChannelHost): Promise<Threads> {
    return new Threads(host, await host.readState(KEY))
  }

  has(channel: string, thread: string): boolean {
    return this.#known.has(`${channel}/${thread}`)
  }

  /** Never rejects: what we said stands, whether this can be noted or not. */
  async join(channel: string, thread: string): Promise<void> {
    const name = `${channel}/${thread}`
    const isNew = !this.#known.delete(name)
    this.#known.add(name)
    for (const oldest of this.#known) {
      if (this.#known.size <= MAX_THREADS) break
      this.#known.delete(oldest)
    }
    if (!isNew) return
    try {
      await this.#host.writeState({ [KEY]: Buffer.from([...this.#known].join('\n')) })
    } catch {
      this.#host.log.warn({}, 'A thread could not be noted; after a restart it takes a mention to speak to us there.')
    }
  }
}
