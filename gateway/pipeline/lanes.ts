/**
 * Who is next: sessions that have something to do, served round robin by agent and first come first served within one,
 * each by one worker at a time. Holds hints, never work: the store knows what waits, and whatever does not fit here is
 * found there again.
 */
import type { Clock, SessionKey } from '#contract'

/** Hints kept in memory; beyond that the store is asked again when they are used up. */
const MAX_READY = 10_000

export interface LanesOptions {
  readonly maxRunning: number
  /** How many turns this agent may have at once. */
  readonly limitOf: (agent: string) => number
  /** 0: one more may be begun now; else ask again in so many milliseconds. */
  readonly admit: () => number
  readonly clock: Clock
  /** Does what there is to do in a session, once; resolves true if more waits. Must not reject. */
  readonly work: (session: SessionKey, agent: string) => Promise<boolean>
  /** There is room for hints that were turned away. */
  readonly onRoom: () => void
}

interface AgentQueue {
  readonly agent: string
  readonly ready: Set<SessionKey>
  running: number
}

export class Lanes {
  readonly #options: LanesOptions
  readonly #queues = new Map<string, AgentQueue>()
  /** true: something came while it was worked on. */
  readonly #running = new Map<SessionKey, boolean>()
  #turn: string[] = []
  #ready = 0
  #isFull = false
  #isOpen = false
  #isHeld = false
  #cancelHold: () => void = () => undefined
  #idle: (() => void)[] = []

  constructor(options: LanesOptions) {
    this.#options = options
  }

  get running(): number {
    return this.#running.size
  }

  get ready(): number {
    return this.#ready
  }

  open(): void {
    this.#isOpen = true
    this.#fill()
  }

  /** Begins nothing new; resolves when what runs has ended. */
  close(): Promise<void> {
    this.#isOpen = false
    this.#cancelHold()
    if (this.#running.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Something may be there to do. Cheap, and harmless if there is not. */
  hint(session: SessionKey, agent: string): void {
    if (this.#running.has(session)) {
      this.#running.set(session, true)
      return
    }
    if (!this.#enqueue(session, agent)) return
    this.#fill()
  }

  #enqueue(session: SessionKey, agent: string): boolean {
    const queue = this.#queueOf(agent)
    if (queue.ready.has(session)) return false
    if (this.#ready >= MAX_READY) {
      this.#isFull = true
      return false
    }
    if (queue.ready.size === 0) this.#turn.push(agent)
    queue.ready.add(session)
    this.#ready += 1
    return true
  }

  #queueOf(agent: string): AgentQueue {
    let queue = this.#queues.get(agent)
    if (queue === undefined) {
      queue = { agent, ready: new Set(), running: 0 }
      this.#queues.set(agent, queue)
    }
    return queue
  }

  #fill(): void {
    let passed = 0
    while (this.#isOpen && this.#running.size < this.#options.maxRunning && passed < this.#turn.length) {
      if (this.#isHeld) break
      const agent = this.#turn.shift()
      if (agent === undefined) break
      const queue = this.#queueOf(agent)
      if (queue.running >= this.#options.limitOf(agent)) {
        this.#turn.push(agent)
        passed += 1
        continue
      }
      passed = 0
      const session = queue.ready.values().next().value
      if (session === undefined) continue
      const waitMs = this.#options.admit()
      if (waitMs > 0) {
        this.#turn.unshift(agent)
        this.#hold(waitMs)
        break
      }
      queue.ready.delete(session)
      this.#ready -= 1
      if (queue.ready.size > 0) this.#turn.push(agent)
      void this.#run(queue, session)
    }
    if (this.#isFull && this.#ready < MAX_READY / 2) {
      this.#isFull = false
      this.#options.onRoom()
    }
  }

  #hold(ms: number): void {
    this.#isHeld = true
    this.#cancelHold = this.#options.clock.after(ms, () => {
      this.#isHeld = false
      this.#fill()
    })
  }

  async #run(queue: AgentQueue, session: SessionKey): Promise<void> {
    queue.running += 1
    this.#running.set(session, false)
    const more = await this.#options.work(session, queue.agent)
    queue.running -= 1
    const again = this.#running.get(session) === true
    this.#running.delete(session)
    if (more || again) this.#enqueue(session, queue.agent)
    if (queue.ready.size === 0 && queue.running === 0) this.#queues.delete(queue.agent)
    if (this.#running.size === 0) {
      for (const resolve of this.#idle) resolve()
      this.#idle = []
    }
    this.#fill()
  }
}
