// @ts-check
/**
 * Where there is no room for two columns, the list of conversations is a drawer over the transcript: closed it cannot be
 * reached by Tab, open it holds the focus, and Escape, the backdrop or a choice close it.
 */
import { byId } from './element.js'

export class Drawer {
  #drawer = byId('drawer', HTMLElement)
  #main = byId('main', HTMLElement)
  #button = byId('menu', HTMLButtonElement)
  #backdrop = byId('backdrop', HTMLElement)
  #narrow = matchMedia('(max-width: 48rem)')
  #isOpen = false

  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.#button.addEventListener('click', () => this.#set(!this.#isOpen), { signal })
    this.#backdrop.addEventListener('click', () => this.close(), { signal })
    this.#narrow.addEventListener('change', () => this.#set(false), { signal })
    document.addEventListener(
      'keydown',
      (event) => {
        if (event.key === 'Escape' && this.#isOpen) this.close()
      },
      { signal },
    )
    this.#set(false)
  }

  close() {
    if (!this.#isOpen) return
    this.#set(false)
    this.#button.focus()
  }

  /** @param {boolean} open */
  #set(open) {
    this.#isOpen = open
    this.#drawer.classList.toggle('open', open)
    this.#backdrop.hidden = !open
    this.#button.setAttribute('aria-expanded', String(open))
    this.#main.inert = open
    if (open) byId('new-conversation', HTMLButtonElement).focus()
  }
}
