/**
 * What an agent may use: turns a minute, and tokens an hour of its models. When that is used up its messages wait, in order and with no
 * attempt counted; nothing is refused and nothing lost. In memory: a gateway that comes up has used nothing yet.
 */
import type { AgentDefinition } from '#contract'
import { agentKey } from './roster.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/** What was used within a stretch that slides with the clock, by the minute: the least that matters to a person. */
interface Used {
  /** When the turns of the last minute began, oldest first; no more of them than are allowed. */
  turns: readonly number[]
  /** Tokens by minutes since 1970, of the last hour. */
  readonly tokens: Map<number, number>
}

/** Agents of two tenants may have one name, and each uses its own. */
type Named = Pick<AgentDefinition, 'tenant' | 'name'>

export class Allowances {
  /** By agent: as many as there are agents. */
  readonly #used = new Map<string, Used>()

  /** When a turn may begin: now, or later. */
  mayBeginAt(agent: AgentDefinition, now: number): number {
    const { limits } = agent
    const used = this.#of(agent)
    const perHour = limits.tokensPerHour
    if (perHour !== null && sum(used, now) >= perHour) return nextMinute(used, now)
    const perMinute = limits.turnsPerMinute
    if (perMinute === null) return now
    const first = used.turns.at(-perMinute)
    // No longer than the stretch, should the clock have been set back.
    return first === undefined ? now : Math.max(now, Math.min(first, now) + MINUTE_MS)
  }

  /** One did. */
  begun(agent: AgentDefinition, now: number): void {
    const { limits } = agent
    if (limits.turnsPerMinute === null) return
    const used = this.#of(agent)
    used.turns = [...used.turns, now].slice(-limits.turnsPerMinute)
  }

  spend(agent: Named, tokens: number, now: number): void {
    const { tokens: byMinute } = this.#of(agent)
    const minute = Math.floor(now / MINUTE_MS)
    byMinute.set(minute, (byMinute.get(minute) ?? 0) + tokens)
    for (const old of byMinute.keys()) if (old <= minute - HOUR_MS / MINUTE_MS) byMinute.delete(old)
  }

  #of(agent: Named): Used {
    const key = agentKey(agent)
    let used = this.#used.get(key)
    if (used === undefined) this.#used.set(key, (used = { turns: [], tokens: new Map() }))
    return used
  }
}

const isRecent = (minute: number, now: number): boolean => minute * MINUTE_MS + HOUR_MS > now

function sum({ tokens }: Used, now: number): number {
  let total = 0
  for (const [minute, count] of tokens) if (isRecent(minute, now)) total += count
  return total
}

/** When the oldest minute that counts has left the hour. */
function nextMinute({ tokens }: Used, now: number): number {
  const oldest = Math.min(...[...tokens.keys()].filter((minute) => isRecent(minute, now)))
  return oldest * MINUTE_MS + HOUR_MS
}
