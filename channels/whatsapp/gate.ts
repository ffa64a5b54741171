/** A pause of intake: whoever comes waits in front of it, until it is opened or they have lost interest. */
export class Gate {
  #closed: PromiseWithResolvers<void> | null = null

  get isOpen(): boolean {
    return this.#closed === null
  }

  close(): void {
    this.#closed ??= Promise.withResolvers<void>()
  }

  open(): void {
    this.#closed?.resolve()
    this.#closed = null
  }

  async pass(unless: Promise<unknown>): Promise<void> {
    if (this.#closed !== null) await Promise.race([this.#closed.promise, unless])
  }
}
