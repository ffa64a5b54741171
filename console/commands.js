// @ts-check
/**
 * The hint that lists the gateway's commands while a message begins with `/`. Plain buttons: reached with Tab or the arrow
 * down, walked with the arrows, left with Escape; what is written is sent as it is all the same.
 */
import { element } from './element.js'

/** @type {readonly (readonly [command: string, what: string, argument: string])[]} */
const COMMANDS = [
  ['/help', 'What can be said here', ''],
  ['/status', 'How this conversation stands', ''],
  ['/reset', 'Forget this conversation and begin anew', ''],
  ['/skills', 'The skills of this agent', ''],
  ['/skill', 'Run one skill', 'name'],
]

export class Commands {
  #panel
  /** @type {HTMLButtonElement[]} */ #buttons
  #shown = ''

  /**
   * @param {{ panel: HTMLElement, signal: AbortSignal, onPick: (text: string) => void, onLeave: () => void }} options
   */
  constructor({ panel, signal, onPick, onLeave }) {
    this.#panel = panel
    this.#buttons = COMMANDS.map(([command, what, argument]) => {
      const name = element('code', {}, argument === '' ? command : `${command} ${argument}`)
      const button = element('button', { type: 'button', 'data-command': command }, name, element('span', {}, what))
      button.addEventListener('click', () => onPick(argument === '' ? command : `${command} `), { signal })
      return button
    })
    panel.replaceChildren(element('ul', {}, ...this.#buttons.map((button) => element('li', {}, button))))
    panel.hidden = true
    panel.addEventListener(
      'keydown',
      (event) => {
        if (event.key === 'ArrowDown') this.#step(1)
        else if (event.key === 'ArrowUp' && !this.#step(-1)) onLeave()
        else if (event.key === 'Escape') {
          this.close()
          onLeave()
        } else if (event.key !== 'ArrowUp') return
        event.preventDefault()
        event.stopPropagation()
      },
      { signal },
    )
  }

  /** Shows what `text` may become. @param {string} text */
  suggest(text) {
    this.#shown = text
    let any = false
    for (const button of this.#buttons) {
      const command = button.dataset['command'] ?? ''
      const fits = text.startsWith('/') && command.startsWith(text) && command !== text
      if (button.parentElement) button.parentElement.hidden = !fits
      any ||= fits
    }
    this.#panel.hidden = !any
  }

  /** @returns {boolean} whether there was a list to go into */
  enter() {
    if (this.#panel.hidden) return false
    this.#visible()[0]?.focus()
    return true
  }

  /** @returns {boolean} whether there was a list to close */
  close() {
    const wasOpen = !this.#panel.hidden
    this.#panel.hidden = true
    return wasOpen && this.#shown !== ''
  }

  #visible() {
    return this.#buttons.filter((button) => !button.parentElement?.hidden)
  }

  /** @param {1 | -1} by @returns {boolean} false: there is nothing that way */
  #step(by) {
    const visible = this.#visible()
    const next = visible[visible.findIndex((button) => button === document.activeElement) + by]
    next?.focus()
    return next !== undefined
  }
}
