// @ts-check
/**
 * Frames about messages that are not shown: acknowledged a moment later, said elsewhere, or on a page of history that is
 * not loaded yet. Bounded; what falls out is told again by the history.
 */

/** @typedef {import('./protocol.js').MessageNews} MessageNews */

const MAX_MESSAGES = 1_000

export class Held {
  /** @type {Map<string, MessageNews[]>} */ #frames = new Map()

  /** The messages that frames are kept for. */
  get ids() {
    return [...this.#frames.keys()]
  }

  /** @param {MessageNews} frame */
  put(frame) {
    const frames = this.#frames.get(frame.message_id)
    if (frames) frames.push(frame)
    else this.#frames.set(frame.message_id, [frame])
    const [first] = this.#frames.keys()
    if (this.#frames.size > MAX_MESSAGES && first !== undefined) this.#frames.delete(first)
  }

  /** @param {string} id @returns {readonly MessageNews[]} */
  take(id) {
    const frames = this.#frames.get(id) ?? []
    this.#frames.delete(id)
    return frames
  }
}
