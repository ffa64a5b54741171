/** Changes of the same thing one after the other; of different things side by side. */

export class OneByOne {
  /** The last of each that is still under way. */
  readonly #last = new Map<string, Promise<void>>()

  /** One that failed is over as well. */
  async run<Result>(key: string, work: () => Promise<Result>): Promise<Result> {
    const result = (this.#last.get(key) ?? Promise.resolve()).then(work)
    const over = result.then(
      () => undefined,
      () => undefined,
    )
    this.#last.set(key, over)
    try {
      return await result
    } finally {
      if (this.#last.get(key) === over) this.#last.delete(key)
    }
  }

  /** Resolves when nothing that was begun is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#last.values())
  }
}
