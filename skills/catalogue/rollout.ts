/**
 * Canaries: whose calls get one, and when one is taken back. A caller keeps to the same side for as long as the weight is the same. Both
 * sides are measured in the same window, so that what slows or fails everything is not the canary's fault.
 */
import { hash } from 'node:crypto'
import type { Clock, SkillErrorCode, SkillOutcome, SkillTrack } from '#contract'

/** Ten-thousandths: all calls. */
export const WHOLE = 10_000
const WINDOW_MS = 600_000
const MAX_SAMPLES = 200
/** Nothing is judged by fewer. */
const MIN_SAMPLES = 50
/** Points of the error rate that a canary may be worse. */
const WORSE = 0.05
const SLOWER = 2
/** Of skills that take no time, twice as long is noise. */
const SLOWER_MS = 20
const MAX_WINDOWS = 1_000

/** Whose fault it is that a call did not come to be: the caller's, the operator's, the machine's. Says nothing about a version. */
const NOT_ITS_FAULT: ReadonlySet<SkillErrorCode> = new Set([
  'invalid_input',
  'cancelled',
  'unavailable',
  'busy',
  'not_found',
  'refused',
  'unknown',
  'skipped',
])

/** 0 to 9,999; the same for the same caller. */
export function bucketOf(tenant: string, id: string, sticky: string): number {
  const digest = hash('sha256', `${tenant}|${sticky}|${id}`, 'buffer')
  return digest.readUInt32BE() % WHOLE
}

interface Sample {
  readonly at: number
  readonly ms: number
  readonly isFailure: boolean
}

interface Window {
  /** Whose: another canary begins another window. */
  readonly canary: string
  readonly stable: string
  readonly samples: { readonly canary: Sample[]; readonly stable: Sample[] }
}

/** What was seen of the majors that have a canary. */
export class Windows {
  readonly #clock: Clock
  readonly #windows = new Map<string, Window>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Why the canary has to go; null: it may stay. */
  observe(track: SkillTrack, seen: { readonly version: string; readonly outcome: SkillOutcome; readonly ms: number }): string | null {
    const { canary, stable } = track
    if (canary === null || (seen.version !== canary && seen.version !== stable)) return null
    if (seen.outcome.status === 'error' && NOT_ITS_FAULT.has(seen.outcome.code)) return null
    const { samples } = this.#window(track, canary)
    const now = this.#clock.now()
    const side = seen.version === canary ? samples.canary : samples.stable
    side.push({ at: now, ms: seen.ms, isFailure: seen.outcome.status === 'error' })
    if (side.length > MAX_SAMPLES) side.shift()
    return seen.version === canary ? verdict(young(samples.canary, now), young(samples.stable, now)) : null
  }

  #window({ tenant, id, major, stable }: SkillTrack, canary: string): Window {
    const key = JSON.stringify([tenant, id, major])
    const known = this.#windows.get(key)
    const isSame = known !== undefined && known.canary === canary && known.stable === stable
    const window = isSame ? known : { canary, stable, samples: { canary: [], stable: [] } }
    this.#windows.delete(key)
    this.#windows.set(key, window)
    const [oldest] = this.#windows.keys()
    if (this.#windows.size > MAX_WINDOWS && oldest !== undefined) this.#windows.delete(oldest)
    return window
  }
}

const young = (samples: readonly Sample[], now: number): readonly Sample[] => samples.filter(({ at }) => now - at <= WINDOW_MS)

function verdict(canary: readonly Sample[], stable: readonly Sample[]): string | null {
  if (canary.length < MIN_SAMPLES) return null
  const [worse, before] = [failures(canary), failures(stable)]
  if (worse > before + WORSE)
    return `${percent(worse)} of its last ${canary.length} calls failed, ${percent(before)} of the stable version's ${stable.length}`
  if (stable.length < MIN_SAMPLES) return null
  const [slow, usual] = [p95(canary), p95(stable)]
  if (slow > SLOWER * usual && slow - usual > SLOWER_MS)
    return `one call in twenty took more than ${Math.round(slow)} ms, of the stable version ${Math.round(usual)} ms`
  return null
}

const failures = (samples: readonly Sample[]): number =>
  samples.length === 0 ? 0 : samples.filter(({ isFailure }) => isFailure).length / samples.length

const percent = (share: number): string => `${Math.round(share * 1_000) / 10} %`

function p95(samples: readonly Sample[]): number {
  const sorted = samples.map(({ ms }) => ms).toSorted((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * 0.95) - 1] ?? 0
}
