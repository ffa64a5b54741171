// @ts-check
/**
 * What is open to be read: one transcript, its history as it is wanted, its end kept in sight, and what stands there
 * instead when it is empty or could not be loaded.
 */
import { Announcer } from './announcer.js'
import { byId } from './element.js'
import { Follow } from './follow.js'
import { Transcript } from './transcript.js'

/**
 * @typedef {import('./protocol.js').ServerFrame} ServerFrame
 * @typedef {import('./outgoing.js').Unsent} Unsent
 */

export class Reading {
  #list = byId('exchanges', HTMLElement)
  #empty = byId('empty', HTMLElement)
  #earlier = byId('earlier', HTMLButtonElement)
  #failed = byId('load-failed', HTMLElement)
  #announcer = new Announcer(byId('announcer', HTMLElement))
  #follow
  #hooks
  /** @type {Transcript | null} */ #transcript = null
  /** Ends what the open transcript still waits for. */
  #opened = new AbortController()
  #isLoaded = false

  /**
   * @param {{
   *   sessionOf: (conversation: string) => Promise<string | null>,
   *   onLoaded: (conversation: string, since: number) => void,
   *   onEdit: (text: string) => void,
   *   signal: AbortSignal,
   * }} options `onLoaded`: replies after `since` are still to come
   */
  constructor({ signal, ...hooks }) {
    this.#hooks = hooks
    const scroller = byId('transcript', HTMLElement)
    this.#follow = new Follow({ scroller, content: this.#list, button: byId('to-end', HTMLButtonElement), signal })
    this.#earlier.addEventListener('click', () => void this.#loadEarlier(), { signal })
    byId('load-again', HTMLButtonElement).addEventListener('click', () => this.loadAgain(), { signal })
    const seen = new IntersectionObserver(([entry]) => entry?.isIntersecting && void this.#loadEarlier())
    seen.observe(this.#earlier)
    signal.addEventListener('abort', () => seen.disconnect())
  }

  get conversation() {
    return this.#transcript?.conversation ?? null
  }

  /** @param {string} conversation @param {readonly Unsent[]} unsent */
  open(conversation, unsent) {
    this.close()
    this.#opened = new AbortController()
    this.#transcript = new Transcript(conversation, {
      list: this.#list,
      signal: this.#opened.signal,
      onNews: (text) => {
        this.#announcer.say(text)
        this.#follow.news()
      },
      onPage: (put) => this.#follow.keepPlace(put),
      onChange: () => this.#show(),
      onEdit: this.#hooks.onEdit,
    })
    for (const message of unsent) this.#transcript.say(message)
    this.#follow.toEnd()
    void this.#load(this.#transcript)
  }

  /** Leaves nothing of it on the screen. */
  close() {
    this.#opened.abort()
    this.#transcript?.stop()
    this.#transcript = null
    this.#isLoaded = false
    this.#failed.hidden = true
    this.#list.replaceChildren()
    this.#announcer.clear()
    this.#show()
  }

  /** Tries once more what failed, if anything did. */
  loadAgain() {
    if (this.#transcript && !this.#failed.hidden) void this.#load(this.#transcript)
  }

  /** @param {Unsent} message */
  say(message) {
    this.#transcript?.say(message)
    this.#follow.toEnd()
  }

  /** @param {ServerFrame} frame */
  receive(frame) {
    this.#transcript?.receive(frame)
  }

  cut() {
    this.#transcript?.cut()
  }

  /** @param {Transcript} transcript */
  async #load(transcript) {
    this.#failed.hidden = true
    try {
      const since = await transcript.open(await this.#hooks.sessionOf(transcript.conversation))
      if (transcript !== this.#transcript) return
      this.#isLoaded = true
      this.#hooks.onLoaded(transcript.conversation, since)
      this.#show()
      this.#follow.toEnd()
    } catch {
      if (transcript === this.#transcript) this.#failed.hidden = false
    }
  }

  async #loadEarlier() {
    if (this.#isLoaded) await this.#transcript?.loadEarlier().catch(() => undefined)
  }

  #show() {
    this.#empty.hidden = !this.#isLoaded || this.#transcript?.isEmpty !== true
    this.#earlier.hidden = this.#transcript?.hasEarlier !== true
  }
}
