// @ts-check
/**
 * Reads finished things aloud through a polite live region: one entry a reply, never the tokens of a stream, which would
 * have a screen reader stammer.
 */
import { element } from './element.js'
import { spokenMarkdown } from './markdown.js'

const MAX_ENTRIES = 20
const MAX_CHARS = 2_000

export class Announcer {
  #region

  /** @param {HTMLElement} region an element with `role="log"` */
  constructor(region) {
    this.#region = region
  }

  clear() {
    this.#region.replaceChildren()
  }

  /** @param {string} text Markdown */
  say(text) {
    const spoken = spokenMarkdown(text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text)
    this.#region.append(element('p', { dir: 'auto' }, spoken))
    while (this.#region.childElementCount > MAX_ENTRIES) this.#region.firstElementChild?.remove()
  }
}
