// @ts-check
/**
 * One message and what came of it, on the screen: what was said, its state, the reply while it comes and the reply as it
 * stayed. Knows nothing of the connection; the transcript tells it what happened.
 */
import { element } from './element.js'
import { showMarkdown } from './markdown.js'
import { explain, isFinal, labelOf } from './state.js'

/**
 * @typedef {import('./state.js').Condition} Condition
 * @typedef {import('./state.js').State} State
 * @typedef {{ seq: number, index: number, text: string }} Reply
 */

/** How long a reader sees that a message is done. */
const DONE_SHOWN_MS = 2_500

export class Exchange {
  element
  /** The gateway's id; null until it acknowledged. @type {string | null} */ messageId
  /** This page's id, of what was said here. @type {string | null} */ clientId
  #chip = element('span', { class: 'chip' })
  #why = element('span', { class: 'why', dir: 'auto' })
  #letter = element('code', { class: 'letter' })
  #answer = element('div', { class: 'answer' })
  #stream = element('div', { class: 'words' })
  #typing = element('p', { class: 'typing', 'aria-hidden': 'true' }, element('span'), element('span'), element('span'))
  /** @type {Condition} */ #condition
  /** In the order of their index. @type {{ index: number, node: Element }[]} */ #replies = []
  #streamed = ''
  /** Whether every delta since the beginning was seen; a torn stream shows no more, the reply will. */
  #isWhole = false
  #frame = 0
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #fade

  /**
   * @param {{ messageId: string | null, clientId: string | null, text: string, at: number, condition: Condition, onEdit: (text: string) => void }} said
   */
  constructor({ messageId, clientId, text, at, condition, onEdit }) {
    this.messageId = messageId
    this.clientId = clientId
    this.#condition = condition
    const time = new Date(at)
    const clock = element('time', { datetime: time.toISOString() }, timeOf(time))
    const edit = element('button', { type: 'button', class: 'edit' }, 'Edit and send again')
    edit.addEventListener('click', () => onEdit(text))
    const said = element(
      'article',
      { class: 'said', 'aria-label': 'You' },
      element('p', { class: 'bubble', dir: 'auto' }, text),
      element('p', { class: 'state' }, clock, this.#chip, this.#why, this.#letter, edit),
    )
    this.element = element('li', { class: 'exchange' }, said, this.#answer)
    this.#show()
    this.#chip.hidden = condition.state === 'done'
  }

  get state() {
    return this.#condition.state
  }

  get hasReplies() {
    return this.#replies.length > 0
  }

  /** @param {Partial<Condition>} change */
  become(change) {
    const was = this.#condition.state
    this.#condition = { ...this.#condition, ...change }
    const { state } = this.#condition
    if (state === 'retrying' || state === 'dead') this.#forgetStream()
    this.#show()
    if (was === state) return
    clearTimeout(this.#fade)
    this.#chip.hidden = false
    this.#chip.classList.toggle('leaving', state === 'done')
    if (state === 'done') this.#fade = setTimeout(() => void (this.#chip.hidden = true), DONE_SHOWN_MS)
  }

  /** From here on every delta will be seen. */
  beginStream() {
    if (this.#streamed === '') this.#isWhole = true
  }

  /** Deltas may have been missed: what stands there stays, and nothing is put after the gap. */
  tearStream() {
    this.#isWhole = false
  }

  /** @param {string | null} text null: what came so far is void */
  delta(text) {
    if (this.hasReplies || isFinal(this.state)) return
    if (text === null) {
      this.#forgetStream()
      this.#isWhole = true
    } else if (this.#isWhole) {
      this.#streamed += text
      // As many deltas as come between two pictures are one change.
      this.#frame ||= requestAnimationFrame(() => this.#paintStream())
    }
  }

  /** @param {Reply} reply one that it does not show yet */
  reply({ index, text }) {
    this.#forgetStream()
    const words = element('div', { class: 'words' })
    showMarkdown(words, text)
    const node = element('article', { class: 'reply', 'aria-label': 'Reply' }, words)
    const place = this.#replies.findLastIndex((other) => other.index <= index) + 1
    this.#answer.insertBefore(node, this.#replies[place]?.node ?? null)
    this.#replies.splice(place, 0, { index, node })
    this.#showTyping()
  }

  /** It ended: what came without staying was nothing. */
  settle() {
    if (isFinal(this.state) && !this.hasReplies) this.#forgetStream()
  }

  /** No timer and no frame stays behind. */
  stop() {
    clearTimeout(this.#fade)
    cancelAnimationFrame(this.#frame)
  }

  #paintStream() {
    this.#frame = 0
    if (!this.#stream.isConnected) {
      const node = element('div', { class: 'reply streaming', 'aria-busy': 'true' }, this.#stream)
      this.#answer.append(node)
    }
    showMarkdown(this.#stream, this.#streamed)
    this.#showTyping()
  }

  #forgetStream() {
    cancelAnimationFrame(this.#frame)
    this.#frame = 0
    this.#streamed = ''
    this.#stream.parentElement?.remove()
    this.#stream.replaceChildren()
  }

  #show() {
    const { state, deadLetterId } = this.#condition
    this.element.dataset['state'] = state
    this.#chip.textContent = labelOf(state)
    this.#why.textContent = explain(this.#condition)
    this.#letter.textContent = state === 'dead' ? (deadLetterId ?? '') : ''
    this.#showTyping()
  }

  #showTyping() {
    const isTyping = this.state === 'running' && !this.hasReplies
    if (!isTyping) this.#typing.remove()
    else if (this.#answer.lastChild !== this.#typing) this.#answer.append(this.#typing)
  }
}

/** @param {Date} time */
function timeOf(time) {
  const clock = time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  const isToday = time.toDateString() === new Date().toDateString()
  return isToday ? clock : `${time.toLocaleDateString([], { day: 'numeric', month: 'short' })}, ${clock}`
}
