/**
 * The engines of one thread. A fresh call has an instance that nobody used before, made ahead. Calls of one lease share an instance, one
 * after the other, each with a QuickJS of its own in it: that costs a tenth.
 */
import type { Guest } from './guest.ts'
import type { CallStart } from './wire.ts'

interface Made {
  readonly memoryBytes: number
  readonly guest: Promise<Guest>
}

interface Kept {
  readonly lease: string
  readonly memoryBytes: number
  readonly guest: Guest
  readonly uses: number
}

const USUAL_MEMORY_BYTES: number = 128 * 1_048_576
const MOST_USES = 100
const MOST_KEPT = 2

export class Stock {
  readonly #prepare: (memoryBytes: number) => Promise<Guest>
  #ahead: Made | null
  /** The one used last stands last. */
  readonly #kept: Kept[] = []
  #current: Omit<Kept, 'guest'> | null = null

  constructor(prepare: (memoryBytes: number) => Promise<Guest>) {
    this.#prepare = prepare
    this.#ahead = this.#make(USUAL_MEMORY_BYTES)
  }

  /** Rejects when no engine can be had. */
  ready(): Promise<unknown> {
    return this.#ahead?.guest ?? Promise.resolve()
  }

  take({ lease, memoryBytes }: CallStart): Promise<Guest> {
    const index = lease === null ? -1 : this.#kept.findIndex((kept) => kept.lease === lease && kept.memoryBytes === memoryBytes)
    const [kept] = index < 0 ? [] : this.#kept.splice(index, 1)
    this.#current = lease === null ? null : { lease, memoryBytes, uses: (kept?.uses ?? 0) + 1 }
    if (kept !== undefined) return Promise.resolve(kept.guest)
    const made = this.#ahead?.memoryBytes === memoryBytes ? this.#ahead : this.#make(memoryBytes)
    this.#ahead = null
    return made.guest
  }

  /** After its call. `isWell`: it ended as it should. */
  put(guest: Guest, { isWell, memoryBytes }: { readonly isWell: boolean; readonly memoryBytes: number }): void {
    const current = this.#current
    this.#current = null
    if (current !== null && isWell && current.uses < MOST_USES && !guest.hasGrown) {
      const renewed = guest.renew()
      if (renewed !== null) this.#kept.push({ ...current, guest: renewed })
      if (this.#kept.length > MOST_KEPT) this.#kept.shift()
    }
    // Most likely the next fresh one is like this one.
    this.#ahead ??= this.#make(memoryBytes)
  }

  #make(memoryBytes: number): Made {
    return { memoryBytes, guest: this.#prepare(memoryBytes) }
  }
}
