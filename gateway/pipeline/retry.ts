/** When to try again: exponential backoff with full jitter, the same for turns and deliveries. */
export interface RetryPolicy {
  /** How often it is tried in all. */
  readonly attempts: number
  readonly baseMs: number
  readonly capMs: number
}

/** Waits before the attempt after `attempt` (1 for the first): uniform in (0, min(cap, base·2^(attempt-1))], at least 1 ms. */
export function backoffMs(policy: RetryPolicy, attempt: number, random: () => number): number {
  const ceiling = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt - 1, 40))
  return Math.max(1, Math.round(ceiling * random()))
}
