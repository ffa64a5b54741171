// @ts-check
/**
 * The box in which a message is written: Enter sends, Shift+Enter begins a line, `/` shows the commands. Keeps a draft for
 * each conversation while the page lives.
 */
import { Commands } from './commands.js'
import { byId } from './element.js'

export class Composer {
  #text = byId('composer-text', HTMLTextAreaElement)
  #message = byId('composer-message', HTMLElement)
  #commands
  #onSend
  /** @type {Map<string, string>} */ #drafts = new Map()
  #conversation = ''

  /**
   * @param {{ onSend: (text: string) => string, signal: AbortSignal }} options `onSend` says why not; empty: it was taken
   */
  constructor({ onSend, signal }) {
    this.#onSend = onSend
    this.#commands = new Commands({
      panel: byId('commands', HTMLElement),
      signal,
      onPick: (command) => this.put(command),
      onLeave: () => this.focus(),
    })
    const form = byId('composer', HTMLFormElement)
    form.addEventListener(
      'submit',
      (event) => {
        event.preventDefault()
        this.#send()
      },
      { signal },
    )
    this.#text.addEventListener('input', () => this.#changed(), { signal })
    this.#text.addEventListener('keydown', (event) => this.#key(event), { signal })
  }

  /** @param {string} conversation */
  open(conversation) {
    if (this.#text.value === '') this.#drafts.delete(this.#conversation)
    else this.#drafts.set(this.#conversation, this.#text.value)
    this.#conversation = conversation
    this.#text.value = this.#drafts.get(conversation) ?? ''
    this.#changed()
  }

  /** @param {string} text */
  put(text) {
    this.#text.value = text
    this.#changed()
    this.focus()
    this.#text.setSelectionRange(text.length, text.length)
  }

  focus() {
    this.#text.focus()
  }

  /** Leaves nothing behind for whoever signs in next. */
  clear() {
    this.#drafts.clear()
    this.#text.value = ''
    this.#changed()
  }

  #send() {
    const text = this.#text.value
    if (text.trim() === '') return this.focus()
    const refusal = this.#onSend(text)
    if (refusal === '') this.#text.value = ''
    this.#changed()
    this.#message.textContent = refusal
    this.focus()
  }

  #changed() {
    this.#message.textContent = ''
    this.#commands.suggest(this.#text.value)
    if (CSS.supports('field-sizing', 'content')) return
    this.#text.style.height = 'auto'
    this.#text.style.height = `${this.#text.scrollHeight}px`
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // Enter that ends the composition of a character belongs to the input method.
    if (event.isComposing) return
    if (event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault()
      this.#send()
    } else if (event.key === 'ArrowDown' && this.#commands.enter()) event.preventDefault()
    else if (event.key === 'Escape' && this.#commands.close()) event.stopPropagation()
  }
}
