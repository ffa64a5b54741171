// @ts-check
/**
 * Asks the gateway what became of single messages. An answer that was overtaken by news about its message is thrown away
 * and asked for again, so that the past never overwrites the present.
 */
import { request } from './api.js'

/** @typedef {import('./protocol.js').MessageDocument} MessageDocument */

export class Documents {
  /** Those under way; true: overtaken. @type {Map<string, boolean>} */ #asked = new Map()
  #signal
  #onDocument

  /**
   * @param {{ signal: AbortSignal, onDocument: (document: MessageDocument) => void }} options
   */
  constructor({ signal, onDocument }) {
    this.#signal = signal
    this.#onDocument = onDocument
  }

  /** Something happened to that message. @param {string} id */
  overtake(id) {
    if (this.#asked.has(id)) this.#asked.set(id, true)
  }

  /** @param {string} id */
  ask(id) {
    if (this.#asked.has(id)) return this.overtake(id)
    this.#asked.set(id, false)
    request('GET', `/v1/messages/${encodeURIComponent(id)}`, { signal: this.#signal }).then(
      (answer) => {
        const isStale = this.#asked.get(id) === true
        this.#asked.delete(id)
        if (this.#signal.aborted) return
        if (isStale) this.ask(id)
        else this.#onDocument(/** @type {MessageDocument} */ (answer))
      },
      // It is asked for again after the next connect, when it is still open.
      () => this.#asked.delete(id),
    )
  }
}
