/**
 * Which providers are worth a call now. One is left alone for a while after too many failures, a bad credential, an empty
 * account or a long Retry-After; then one call tries it again. In memory: a restart is a good reason to try.
 */
const WINDOW = 10
const MAX_FAILURES = 5
const COOLDOWN_MS = 30_000

export class Breaker {
  readonly #states = new Map<string, State>()

  /** May it be called? After a cooldown says yes once, until that call's outcome is told. */
  admits(provider: string, now: number): boolean {
    const state = this.#states.get(provider)
    if (state === undefined || state.restsUntil === null) return true
    if (now < state.restsUntil) return false
    state.restsUntil = now + COOLDOWN_MS
    return true
  }

  succeeded(provider: string): void {
    const state = this.#stateOf(provider)
    if (state.restsUntil !== null) this.#states.delete(provider)
    else remember(state, false)
  }

  failed(provider: string, now: number): void {
    const state = this.#stateOf(provider)
    remember(state, true)
    const isWindowBad = state.outcomes.length === WINDOW && state.outcomes.filter(Boolean).length >= MAX_FAILURES
    if (state.restsUntil !== null || isWindowBad) state.restsUntil = Math.max(state.restsUntil ?? 0, now + COOLDOWN_MS)
  }

  /** Not before `until`, whatever it did before. */
  off(provider: string, until: number): void {
    this.#stateOf(provider).restsUntil = until
  }

  #stateOf(provider: string): State {
    let state = this.#states.get(provider)
    if (state === undefined) this.#states.set(provider, (state = { outcomes: [], restsUntil: null }))
    return state
  }
}

interface State {
  /** The newest last; true: failed. */
  readonly outcomes: boolean[]
  /** null: it may be called. */
  restsUntil: number | null
}

function remember(state: State, hasFailed: boolean): void {
  state.outcomes.push(hasFailed)
  if (state.outcomes.length > WINDOW) state.outcomes.shift()
}
