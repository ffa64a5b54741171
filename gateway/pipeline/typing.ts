/**
 * Shows in a conversation that its answer is being thought about, as long as the turn lasts. Best effort: no turn waits for it or fails
 * with it. That a turn has begun means that its sender was let in.
 */
import { describeError } from '#contract'
import type { Address, Clock, Log } from '#contract'
import type { Channels } from './channels.ts'

export interface TypingParts {
  readonly channels: Pick<Channels, 'sendable'>
  readonly clock: Clock
  readonly log: Log
}

export interface Thinking {
  readonly channel: string
  readonly to: Address
  /** No longer than this, whatever becomes of the turn. */
  readonly maxMs: number
}

export class Typing {
  readonly #parts: TypingParts

  constructor(parts: TypingParts) {
    this.#parts = parts
  }

  /** Shows it until the function is called that is returned. */
  begin(thinking: Thinking): () => void {
    const { channels, clock } = this.#parts
    const channel = channels.sendable(thinking.channel)
    if (channel?.typing === undefined) return NOTHING
    const { typingMs, delivery } = channel.capabilities
    if (typingMs === null || delivery === 'collect') return NOTHING
    const endsAt = clock.now() + thinking.maxMs
    let call: Promise<void> | null = null
    let cancel = NOTHING
    const show = (): void => {
      // A platform that does not answer is not asked again meanwhile.
      call ??= this.#tell(thinking, true).finally(() => (call = null))
      cancel = clock.now() + typingMs < endsAt ? clock.after(typingMs, show) : NOTHING
    }
    show()
    return () => {
      cancel()
      if (call === null) void this.#tell(thinking, false)
      else void call.then(() => this.#tell(thinking, false))
    }
  }

  /** Never rejects. */
  async #tell({ channel, to }: Thinking, isOn: boolean): Promise<void> {
    try {
      await this.#parts.channels.sendable(channel)?.typing?.(to, isOn)
    } catch (error) {
      this.#parts.log.debug(
        { channel, 'error.code': describeError(error).code },
        'That an answer is being thought about could not be shown.',
      )
    }
  }
}

const NOTHING = (): void => undefined
