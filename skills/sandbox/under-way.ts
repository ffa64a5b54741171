/** What is going on, so that who stops can wait for it. */

export class UnderWay<T> {
  readonly #all = new Set<Promise<T>>()

  get size(): number {
    return this.#all.size
  }

  async follow(work: Promise<T>): Promise<T> {
    this.#all.add(work)
    try {
      return await work
    } finally {
      this.#all.delete(work)
    }
  }

  /** Resolves when all that goes on now is over. Rejects as soon as one of it does. */
  async over(): Promise<void> {
    await Promise.all(this.#all)
  }
}
