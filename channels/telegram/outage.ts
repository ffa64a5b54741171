/** What is done about a call that failed outside of a send: the state is told, then it is waited for as long as the fault says. */
import { ChannelFault, describeError } from '#contract'
import type { ChannelHost } from '#contract'

export interface Outage {
  readonly host: ChannelHost
  /** How many in a row, from 1. */
  readonly attempt: number
  readonly signal: AbortSignal
}

/** Other than backoff: two that take turns too fast would only throw each other out. */
const CONFLICT_MS = 30_000

/** Resolves when it may be tried again, or `signal` aborted. Throws what no waiting mends. */
export async function sitOut(error: unknown, { host, attempt, signal }: Outage): Promise<void> {
  if (!(error instanceof ChannelFault)) {
    // Of the store. Telegram is well, and keeps what was not confirmed.
    host.log.warn({ 'error.code': describeError(error).code }, 'What came could not be stored; it will be fetched again.')
    return backoff(host, attempt, signal)
  }
  const { fault, code, message } = error
  if (fault.is === 'auth' || fault.is === 'config') throw error
  const isAway = code === 'TELEGRAM_UNREACHABLE' || code === 'TELEGRAM_NO_ANSWER'
  host.status(isAway ? 'connecting' : 'degraded', message)
  if (fault.is === 'rate') return wait(host, fault.afterMs, signal)
  if (code === 'TELEGRAM_CONFLICT') return wait(host, CONFLICT_MS, signal)
  return backoff(host, attempt, signal)
}

/** Resolves after that time, or when `signal` aborts. */
export function wait(host: ChannelHost, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const cancel = host.clock.after(ms, end)
    signal.addEventListener('abort', end)
  })
}

const backoff = (host: ChannelHost, attempt: number, signal: AbortSignal): Promise<void> =>
  // Rejects only when aborted.
  host.backoff(attempt, signal).catch(() => undefined)
