// @ts-check
/**
 * Keeps the end of the transcript in sight for as long as the reader stays there, and offers the way back when something
 * came while the reader was elsewhere. Also keeps the reader's place when older messages are put above.
 */

/** How near to the end still counts as there. */
const NEAR_PX = 64

export class Follow {
  #scroller
  #content
  #button
  #atEnd = true
  #lastTop = 0

  /**
   * @param {{ scroller: HTMLElement, content: HTMLElement, button: HTMLButtonElement, signal: AbortSignal }} view
   */
  constructor({ scroller, content, button, signal }) {
    this.#scroller = scroller
    this.#content = content
    this.#button = button
    button.hidden = true
    scroller.addEventListener('scroll', () => this.#look(), { passive: true, signal })
    button.addEventListener('click', () => this.toEnd(), { signal })
    const observer = new ResizeObserver(() => {
      this.#look()
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
    this.#lastTop = this.#scroller.scrollTop
  }

  /** Something came that a reader who is elsewhere does not see. */
  news() {
    // The event of a scroll comes with the next picture, which may be too late.
    this.#look()
    if (!this.#atEnd) this.#button.hidden = false
  }

  /**
   * Runs something that may put content above what is read.
   * @param {() => void} change
   */
  keepPlace(change) {
    const anchor = this.#content.firstElementChild
    const before = anchor?.getBoundingClientRect().top ?? 0
    change()
    if (!this.#atEnd && anchor) this.#scroller.scrollTop += anchor.getBoundingClientRect().top - before
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller
    // Only going up leaves the end; what grows below does not.
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) this.#atEnd = true
    else if (scrollTop < this.#lastTop) this.#atEnd = false
    this.#lastTop = scrollTop
    if (this.#atEnd) this.#button.hidden = true
  }
}
