/**
 * What former lives of this gateway left at the engine, and what this life has lost track of. Runs that still go, or ended unheard, are kept a
 * short while for whoever asks for them by their key; everything else with our label is removed. Other gateways' containers are never touched.
 */
import { describeError } from '#contract'
import type { Clock, Log } from '#contract'
import type { Egress, EgressDoor } from '../../egress/egress.ts'
import { Box, LABELS, removeSurely } from './box.ts'
import type { Engine, Listed } from './engine.ts'
import type { Profile } from './profile.ts'
import { within } from './within.ts'

export interface StockOptions {
  readonly engine: Engine
  readonly clock: Clock
  readonly log: Log
  readonly instance: string
  readonly epoch: string
  readonly egress: Egress | null
  /** How long a run that nobody asks for is kept after it was found. */
  readonly adoptWithinMs: number
  /** Whether a container of this life is one that is known. */
  readonly isKnown: (id: string) => boolean
  /** A run was found; its slot is taken as long as it goes. */
  readonly onFound: (box: Box, slot: number, profile: Profile) => void
}

/** Nobody's: what was made in a former life is given to nobody. */
const FOREIGN: Profile = { key: '', language: 'shell', memoryMb: 0, cpus: 0, pids: 0, tmpMb: 0, deps: null, hasEgress: false }
const HELLO_LIMIT_MS = 2_000
/** An engine that hangs holds up nothing; what was not removed is seen in the next round. */
const REMOVE_LIMIT_MS = 5_000
const EVERY_MS = 60_000
const AT_ONCE = 8
/** What the engine was still busy making when its gateway was killed appears a little later. */
const SECOND_MS = 1_500
/** One of this life that is just being made is not known yet. */
const YOUNG_MS = 30_000

export class Stock {
  readonly #options: StockOptions
  readonly #adoptable = new Map<string, { readonly box: Box; readonly forget: () => void }>()
  /** Of this life, not known: since when it has been seen so. */
  readonly #lost = new Map<string, number>()
  #first: Promise<void> | null = null
  #latest: Promise<void> | null = null
  #endRound: (() => void) | null = null
  #isStopped = false

  constructor(options: StockOptions) {
    this.#options = options
  }

  /** Looks once, and from now on each minute. Resolves when what was found first is dealt with or the engine is away; never rejects. */
  take(): Promise<void> {
    this.#first ??= this.#round().then(() => this.#again(SECOND_MS))
    return this.#first
  }

  /** The box in which the run with this key was found. It is the caller's from now on. */
  async claim(key: string): Promise<Box | null> {
    await this.#first
    const found = this.#adoptable.get(key)
    if (found === undefined) return null
    this.#adoptable.delete(key)
    found.forget()
    return found.box
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#endRound?.()
    await this.#first
    await this.#latest
    const left = [...this.#adoptable.values()]
    this.#adoptable.clear()
    await Promise.all(
      left.map(({ box, forget }) => {
        forget()
        return box.destroy()
      }),
    )
  }

  #again(ms: number): void {
    if (this.#isStopped) return
    this.#endRound = this.#options.clock.after(ms, () => {
      this.#latest = this.#round().then(() => this.#again(EVERY_MS))
    })
  }

  async #round(): Promise<void> {
    const { engine, instance, egress, log } = this.#options
    try {
      const listed = await engine.list({ [LABELS.instance]: instance })
      const waiting = [...listed]
      const kept: string[] = []
      const work = async (): Promise<void> => {
        for (let one = waiting.shift(); one !== undefined; one = waiting.shift())
          if (await this.#judge(one)) kept.push(one.labels[LABELS.door] ?? '')
      }
      await Promise.all(Array.from({ length: AT_ONCE }, work))
      await egress?.sweep(kept.filter((name) => name !== ''))
      for (const id of this.#lost.keys()) if (!listed.some((each) => each.id === id)) this.#lost.delete(id)
    } catch (error) {
      log.debug(
        { 'error.code': describeError(error).code },
        `What is left of sandboxes could not be looked for: ${describeError(error).message}`,
      )
    }
  }

  /** True: it stays. */
  async #judge({ id, labels, isRunning }: Listed): Promise<boolean> {
    const { epoch, isKnown, engine, clock } = this.#options
    if (labels[LABELS.epoch] === epoch) {
      if (isKnown(id)) return true
      const since = this.#lost.get(id) ?? clock.now()
      this.#lost.set(id, since)
      if (clock.now() - since < YOUNG_MS) return true
    } else if ([...this.#adoptable.values()].some(({ box }) => box.id === id)) return true
    else if (isRunning && isKnown(id)) return true
    else if (isRunning && (await this.#keep(id, labels))) return true
    this.#lost.delete(id)
    await within(removeSurely(engine, clock, id), REMOVE_LIMIT_MS, clock)
    return false
  }

  /** Asks it what it does. False: nothing that anybody could want. */
  async #keep(id: string, labels: Listed['labels']): Promise<boolean> {
    const { engine, clock, log, adoptWithinMs } = this.#options
    // Before its door: one that was opened and given up again would be gone from where the container has it mounted.
    const line = await engine.attach(id)
    const door = await this.#door(labels[LABELS.door] ?? '')
    const box = new Box({ id, engine, clock, door, line })
    const state = await box.cell.ready(HELLO_LIMIT_MS)
    if (this.#isStopped || (state.is !== 'busy' && state.is !== 'held')) {
      await within(box.destroy(), REMOVE_LIMIT_MS, clock)
      return false
    }
    const other = this.#adoptable.get(state.key)
    // Of two attempts at the same run, the one that goes on is the later.
    const isLater = other === undefined || state.is === 'busy'
    const loser = isLater ? other?.box : box
    if (isLater) {
      other?.forget()
      log.info({ key: state.key }, `A run outlived the gateway before (${state.is}); it is kept for whoever asks for it.`)
      const forget = clock.after(adoptWithinMs, () => {
        this.#adoptable.delete(state.key)
        void box.destroy()
      })
      this.#adoptable.set(state.key, { box, forget })
      this.#options.onFound(box, Number(labels[LABELS.slot] ?? -1), FOREIGN)
    }
    if (loser !== undefined) await within(loser.destroy(), REMOVE_LIMIT_MS, clock)
    return isLater
  }

  async #door(name: string): Promise<EgressDoor | null> {
    const { egress, log } = this.#options
    if (name === '') return null
    try {
      return (await egress?.open(name)) ?? null
    } catch (error) {
      log.warn({ error: describeError(error).message }, 'A run that outlived the gateway has no way out any more.')
      return null
    }
  }
}
