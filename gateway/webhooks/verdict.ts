/** What the end of an attempt means: arrived, again and when, given up, or wanted no more. Knows no clock and sends nothing. */
import type { Failure, OutboundAnswer, OutboundFault } from '#contract'

export type Verdict =
  | { readonly is: 'ok'; readonly error: null }
  | { readonly is: 'again'; readonly error: Failure; readonly afterMs: number }
  /** The attempts are used up. */
  | { readonly is: 'dead'; readonly error: Failure }
  /** The receiver wants no more of this event. */
  | { readonly is: 'failed'; readonly error: Failure }
  /** The receiver wants nothing any more. */
  | { readonly is: 'gone'; readonly error: Failure }

const S = 1_000
const M = 60 * S
const H = 60 * M
/** Before each attempt: ten of them, in 75 hours and 35 minutes. */
const WAITS_MS: readonly number[] = [0, 5 * S, 5 * M, 30 * M, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H]
/** Of each wait, either way. */
const JITTER = 0.2
/** Who is overloaded is not helped by five seconds. */
const LEAST_RELIEF_MS = M

export interface Circumstance {
  /** Attempts that were made, this one included. */
  readonly attempts: number
  readonly now: number
  /** From 0 to 1. */
  readonly random: number
}

export function verdictOf(answer: OutboundAnswer, on: Circumstance): Verdict {
  const { status, headers } = answer
  if (status >= 200 && status < 300) return { is: 'ok', error: null }
  const error = { code: codeOf(status), message: `The receiver answered ${status}.` }
  if (status === 410) return { is: 'gone', error }
  // Svix's word for "do not send this one again".
  if (headers['webhook-delivery']?.trim().toLowerCase() === 'abort-message') return { is: 'failed', error }
  const asked = status === 429 || status === 503 ? retryAfterMs(headers['retry-after'], on.now) : null
  return again(error, on, { asked, isOverloaded: status === 429 })
}

export function verdictOfFault(fault: OutboundFault, on: Circumstance): Verdict {
  return again({ code: fault.code, message: fault.message }, on, { asked: null, isOverloaded: fault.reason === 'timeout' })
}

export function again(
  error: Failure,
  { attempts, random }: Circumstance,
  { asked, isOverloaded }: { readonly asked: number | null; readonly isOverloaded: boolean } = { asked: null, isOverloaded: false },
): Verdict {
  const base = WAITS_MS[attempts]
  if (base === undefined) return { is: 'dead', error }
  const wait = asked === null ? base * (1 - JITTER + 2 * JITTER * random) : Math.min(Math.max(asked, base), Math.max(2 * base, H))
  return { is: 'again', error, afterMs: Math.round(isOverloaded ? Math.max(wait, LEAST_RELIEF_MS) : wait) }
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfterMs(value: string | undefined, now: number): number | null {
  if (value === undefined) return null
  const ms = /^\d{1,9}$/.test(value.trim()) ? Number(value) * S : Date.parse(value) - now
  return Number.isFinite(ms) && ms >= 0 ? ms : null
}

function codeOf(status: number): string {
  if (status === 410) return 'WEBHOOK_GONE'
  return status >= 300 && status < 400 ? 'WEBHOOK_REDIRECTED' : 'WEBHOOK_REFUSED'
}
