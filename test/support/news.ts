/** Something has happened, whatever it was: for those who look again when it has. */
export class News {
  #waiting: (() => void)[] = []

  /** Resolves at the next `tell` after this call. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  readonly tell = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
