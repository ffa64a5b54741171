/** Is it alive, has it started, can it take messages: judged part by part, so that whoever asks learns which one fails. */
import type { StoreHealth } from '#contract'

export interface Signs {
  readonly phase: string
  readonly store: StoreHealth
  /** By how much the event loop was late of late. */
  readonly lateMs: number
}

export interface Judgement {
  readonly live: boolean
  readonly started: boolean
  readonly ready: boolean
  readonly parts: readonly { readonly name: string; readonly ok: boolean; readonly detail: string | null }[]
}

/** A process that stands still for longer is not well. */
const MAX_LATE_MS = 5_000

export function judge({ phase, store, lateMs }: Signs): Judgement {
  const isOpen = phase === 'open'
  const isLive = lateMs < MAX_LATE_MS
  const parts = [
    { name: 'store', ok: store.ok, detail: store.ok ? null : `${store.code ?? 'STORE_FAILED'}: ${store.detail ?? ''}` },
    { name: 'lifecycle', ok: isOpen, detail: isOpen ? null : phase },
    { name: 'event loop', ok: isLive, detail: isLive ? null : `It stood still for ${lateMs} ms.` },
  ]
  return { live: isLive, started: isOpen, ready: parts.every(({ ok }) => ok), parts }
}
