/**
 * The long poll. Asking with a higher offset is what confirms updates, so that is asked only after they were stored; whatever
 * fails, the same offset is asked again. Conflicts, refusals and cuts are told as states and waited out.
 */
import { describeError } from '#contract'
import type { ChannelHost } from '#contract'
import type { Update } from 'grammy/types'
import { ALBUM_MS, splitAtAlbum } from './album.ts'
import type { Seen } from './album.ts'
import type { BotApi } from './bot-api.ts'
import { faultOf } from './fault.ts'
import { KINDS } from './intake.ts'
import type { Intake } from './intake.ts'
import { sitOut, wait } from './outage.ts'
import { offsetState, readOffset } from './offset.ts'

export interface PollerParts {
  readonly host: ChannelHost
  readonly api: BotApi
  readonly intake: Intake
  readonly isPaused: boolean
}

export class Poller {
  readonly #host: ChannelHost
  readonly #api: BotApi
  readonly #intake: Intake
  readonly #stop = new AbortController()
  #isPaused: boolean
  /** Ends the poll under way. */
  #interrupt: () => void = () => undefined
  #resumed: () => void = () => undefined
  /** 0: all that there is. null: not read from the store yet. */
  #offset: number | null = null
  /** Albums that may still grow. */
  #seen: Seen = new Map()
  /** In a row, by Telegram or by the store. */
  #failures = 0
  #running: Promise<void> | null = null

  constructor({ host, api, intake, isPaused }: PollerParts) {
    this.#host = host
    this.#api = api
    this.#intake = intake
    this.#isPaused = isPaused
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#interrupt()
    this.#resumed()
    await this.#running
  }

  pause(): void {
    this.#isPaused = true
    this.#interrupt()
  }

  resume(): void {
    this.#isPaused = false
    this.#resumed()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        if (this.#isPaused) await new Promise<void>((resolve) => (this.#resumed = resolve))
        else await this.#round()
      } catch (error) {
        if (signal.aborted) return
        this.#failures++
        try {
          await sitOut(error, { host: this.#host, attempt: this.#failures, signal })
        } catch (final) {
          this.#host.status('stopped', describeError(final).message)
          return
        }
      }
    }
  }

  async #round(): Promise<void> {
    const { clock } = this.#host
    this.#offset ??= await readOffset(this.#host)
    // Only an answer says that trouble is over, or that an album is whole: then it is wanted at once.
    const isQuiet = this.#failures === 0 && this.#seen.size === 0
    const updates = await this.#fetch(this.#offset, isQuiet ? POLL_SECONDS : 0)
    if (updates === null) return
    this.#host.status('open')
    const { ready, seen } = splitAtAlbum(updates, this.#seen)
    const last = ready.at(-1)
    if (last !== undefined) {
      const offset = last.update_id + 1
      await this.#intake.take(ready, offsetState(offset, clock.now()))
      this.#offset = offset
    }
    this.#failures = 0
    // What this answer confirmed is confirmed for good, and after a quiet week ids begin anew anywhere: no old one is kept.
    if (updates.length === 0) this.#offset = 0
    this.#seen = seen
    if (seen.size > 0) await wait(this.#host, ALBUM_MS, this.#stop.signal)
  }

  /** null: it was interrupted, and what may have come will come again. */
  async #fetch(offset: number, timeout: number): Promise<readonly Update[] | null> {
    const interrupt = new AbortController()
    this.#interrupt = () => interrupt.abort()
    const api = this.#api.call({ signal: interrupt.signal, timeoutMs: (timeout + ANSWER_SECONDS) * 1_000, isPoll: true })
    try {
      const updates = await api.getUpdates({ ...(offset === 0 ? {} : { offset }), timeout, allowed_updates: KINDS })
      return interrupt.signal.aborted ? null : updates
    } catch (error) {
      if (interrupt.signal.aborted) return null
      throw faultOf(error, this.#host.name)
    } finally {
      this.#interrupt = () => undefined
    }
  }
}

const POLL_SECONDS = 30
/** More than the poll itself takes. */
const ANSWER_SECONDS = 15
