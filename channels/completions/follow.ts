/**
 * Following one message to its end: its text as it comes, then its document. The feed may lose an event, so the document is looked at once more
 * after a second; and what was begun anew (a call that was made again) is only told where it says the same.
 */
import type { ChannelHost, FlowEvent, JsonObject } from '#contract'
import type { Stored } from './ask.ts'

export interface Follow {
  readonly tenant: string
  readonly accepted: Stored
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal
  /** Text that is new. */
  readonly onText?: (text: string) => void
}

export interface Followed {
  /** null: nobody waits any more. */
  readonly document: JsonObject | null
  readonly speech: Speech
}

const WAIT_MS = 600_000
const SECOND_LOOK_MS = 1_000

const isOver = (document: JsonObject | null): boolean => document?.['status'] === 'done' || document?.['status'] === 'dead'

export async function follow(host: ChannelHost, { accepted, tenant, signal, onText }: Follow): Promise<Followed> {
  const { id, session } = accepted.envelope
  const speech = new Speech()
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  // Of one that is repeated nobody knows how far it is: it is told whole, at its end.
  const isWatched = accepted.status === 'new' && onText !== undefined
  const hear = (event: FlowEvent): void => {
    if (event.type === 'message' && (event.status === 'done' || event.status === 'dead')) end()
    if (event.type !== 'delta' || !isWatched) return
    const text = speech.hear(event.text)
    if (text !== '') onText(text)
  }
  const forget = host.feed.onMessage(id, hear)
  const stop = (): void => end()
  signal.addEventListener('abort', stop, { once: true })
  try {
    let document = accepted.status === 'duplicate' || session === null ? await host.document(tenant, id) : null
    for (const ms of [SECOND_LOOK_MS, WAIT_MS - SECOND_LOOK_MS]) {
      if (isOver(document) || signal.aborted) break
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const cancel = host.clock.after(ms, resolve)
      await Promise.race([ended, late])
      cancel()
      if (!signal.aborted) document = await host.document(tenant, id)
    }
    return { document: signal.aborted ? null : document, speech }
  } finally {
    forget()
    signal.removeEventListener('abort', stop)
  }
}

/** What a client was told of a text that may be begun anew. */
export class Speech {
  /** Since it was begun last. */
  #said = ''
  #told = ''
  /** Nothing was taken back: what is said is what was told. */
  #isStraight = true

  get told(): string {
    return this.#told
  }

  /** null: void what came so far. Answers what is to be told now. */
  hear(text: string | null): string {
    if (text === null) {
      this.#said = ''
      this.#isStraight = this.#told === ''
      return ''
    }
    this.#said += text
    if (this.#isStraight) {
      this.#told += text
      return text
    }
    if (this.#said.length <= this.#told.length || !this.#said.startsWith(this.#told)) return ''
    this.#isStraight = true
    return this.#tell(this.#said)
  }

  /** What is left to tell of the answer; null: what was told is not what was said in the end. */
  end(answer: string): string | null {
    if (this.#isStraight && this.#said.endsWith(answer)) return ''
    if (answer.startsWith(this.#told)) return this.#tell(answer)
    return null
  }

  #tell(whole: string): string {
    const rest = whole.slice(this.#told.length)
    this.#told = whole
    return rest
  }
}
