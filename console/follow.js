// @ts-check
/**
 * Keeps the end of the transcript in sight for as long as the reader stays there, and offers the way back when something
 * came while the reader was elsewhere. Also keeps the reader's place when older messages are put above.
 */

/** How near to the end still counts as there. */
const NEAR_PX = 64

export class Follow {
  #scroller
  #button
  #atEnd = true

  /**
   * @param {{ scroller: HTMLElement, content: HTMLElement, button: HTMLButtonElement, signal: AbortSignal }} view
   */
  constructor({ scroller, content, button, signal }) {
    this.#scroller = scroller
    this.#button = button
    button.hidden = true
    scroller.addEventListener('scroll', () => this.#look(), { passive: true, signal })
    button.addEventListener('click', () => this.toEnd(), { signal })
    const observer = new ResizeObserver(() => {
      if (this.#atEnd) this.toEnd()
    })
    observer.observe(scroller)
    observer.observe(content)
    signal.addEventListener('abort', () => observer.disconnect())
  }

  toEnd() {
    this.#atEnd = true
    this.#button.hidden = true
    this.#scroller.scrollTop = this.#scroller.scrollHeight
  }

  /** Something came that a reader who is elsewhere does not see. */
  news() {
    if (!this.#atEnd) this.#button.hidden = false
  }

  /**
   * Runs something that puts content above what is read.
   * @param {() => Promise<void>} change
   */
  async keepPlace(change) {
    const before = this.#scroller.scrollHeight - this.#scroller.scrollTop
    await change()
    if (!this.#atEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight - before
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX
    if (this.#atEnd) this.#button.hidden = true
  }
}
