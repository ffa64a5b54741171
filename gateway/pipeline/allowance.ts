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
  /** Until when messages were last told to wait. */
  waitedUntil: number
}

export interface Wait {
  /** As the configuration names it. */
  readonly limit: 'events_per_minute' | 'llm_tokens_per_hour'
  readonly until: number
  /** Nobody had to wait before: to be told once, and not for each message, nor again for each turn that begins meanwhile. */
  readonly isNew: boolean
}

/** A wait that follows another one so soon goes on. */
const LULL_MS = MINUTE_MS

/** Agents of two tenants may have one name, and each uses its own. */
type Named = Pick<AgentDefinition, 'tenant' | 'name'>

export class Allowances {
  /** By agent: as many as there are agents. */
  readonly #used = new Map<string, Used>()

  /** null: a turn may begin now. */
  waitOf(agent: AgentDefinition, now: number): Wait | null {
    const used = this.#of(agent)
    const wait = waitOf(used, agent, now)
    if (wait === null) return null
    const isNew = now > used.waitedUntil + LULL_MS
    used.waitedUntil = wait.until
    return { ...wait, isNew }
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
    if (used === undefined) this.#used.set(key, (used = { turns: [], tokens: new Map(), waitedUntil: -Infinity }))
    return used
  }
}

function waitOf(used: Used, { limits }: AgentDefinition, now: number): Omit<Wait, 'isNew'> | null {
  const { tokensPerHour, turnsPerMinute } = limits
  if (tokensPerHour !== null && sum(used, now) >= tokensPerHour) return { limit: 'llm_tokens_per_hour', until: nextMinute(used, now) }
  if (turnsPerMinute === null) return null
  const first = used.turns.at(-turnsPerMinute)
  if (first === undefined) return null
  // No longer than the stretch, should the clock have been set back.
  const until = Math.min(first, now) + MINUTE_MS
  return until > now ? { limit: 'events_per_minute', until } : null
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
