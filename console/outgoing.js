// @ts-check
/**
 * Messages that the gateway has not acknowledged. They are kept here and in sessionStorage, so that a cut or a reload
 * sends them again under the same client id, by which the gateway knows a repeat; the acknowledgement forgets them.
 */

/**
 * @typedef {{ id: string, conversation: string, text: string, at: number, principal: string }} Unsent
 * @typedef {import('./protocol.js').MessageFrame} MessageFrame
 */

const STORAGE_KEY = 'openclaw.unsent'
const MAX_UNSENT = 100
/** What one frame may weigh, less some room for what is around the text. */
const MAX_TEXT_BYTES = 1024 * 1024 - 4096
const RETRY_MS = 1_000

export class Outgoing {
  /** @type {Map<string, Unsent>} */ #unsent = new Map()
  #principal
  #push
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */ #retries = new Map()

  /**
   * @param {string} principal only what this principal said is sent
   * @param {(frame: MessageFrame) => void} push
   */
  constructor(principal, push) {
    this.#principal = principal
    this.#push = push
    for (const message of load()) if (message.principal === principal) this.#unsent.set(message.id, message)
  }

  /**
   * Why a text cannot be sent; empty when it can.
   * @param {string} text
   */
  refuses(text) {
    if (this.#unsent.size >= MAX_UNSENT) return `${MAX_UNSENT} messages are still unsent. Wait until the gateway is back.`
    const bytes = new TextEncoder().encode(JSON.stringify(text)).byteLength
    return bytes > MAX_TEXT_BYTES ? 'This is longer than one message may be (1 MB). Send it in parts.' : ''
  }

  /**
   * @param {string} conversation
   * @param {string} text
   * @returns {Unsent}
   */
  send(conversation, text) {
    const message = { id: crypto.randomUUID(), conversation, text, at: Date.now(), principal: this.#principal }
    this.#unsent.set(message.id, message)
    this.#save()
    this.#push(frameOf(message))
    return message
  }

  /** Sends everything again, in order: after every connect. */
  flush() {
    for (const message of this.#unsent.values()) this.#push(frameOf(message))
  }

  /** @param {string} conversation */
  of(conversation) {
    return [...this.#unsent.values()].filter((message) => message.conversation === conversation)
  }

  /** The gateway has it, or will never take it. @param {string} id */
  forget(id) {
    clearTimeout(this.#retries.get(id))
    this.#retries.delete(id)
    this.#unsent.delete(id)
    this.#save()
  }

  /**
   * The gateway could not take it now.
   * @param {string} id
   * @param {number} [afterMs]
   */
  retry(id, afterMs = RETRY_MS) {
    clearTimeout(this.#retries.get(id))
    const again = () => {
      const message = this.#unsent.get(id)
      if (message) this.#push(frameOf(message))
    }
    this.#retries.set(id, setTimeout(again, afterMs))
  }

  stop() {
    for (const timer of this.#retries.values()) clearTimeout(timer)
    this.#retries.clear()
  }

  /** Leaves nothing behind for whoever signs in next. */
  clear() {
    this.stop()
    this.#unsent.clear()
    this.#save()
  }

  #save() {
    try {
      if (this.#unsent.size === 0) sessionStorage.removeItem(STORAGE_KEY)
      else sessionStorage.setItem(STORAGE_KEY, JSON.stringify([...this.#unsent.values()]))
    } catch {
      // Full or forbidden: they live as long as the page does.
    }
  }
}

/** @returns {readonly Unsent[]} */
function load() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? '[]')
    return Array.isArray(kept) ? kept.filter((item) => typeof item?.id === 'string' && typeof item.text === 'string') : []
  } catch {
    return []
  }
}

/** @param {Unsent} message @returns {MessageFrame} */
const frameOf = ({ id, conversation, text }) => ({ type: 'message', id, conversation, payload: text })
