/** Bringing back what was given up: a message takes its route by today's rules, a part goes to its lane again. */
import type { Clock, DeadLetterId, LetterFilter, Payload, PlannedLetter, Replay, ReplayResult, Store } from '#contract'
import type { Dispatch } from './dispatch.ts'
import type { Ingress } from './ingress.ts'
import type { Roster } from './roster.ts'

export interface DeadLettersParts {
  readonly store: Store
  readonly ingress: Ingress
  readonly dispatch: Dispatch
  readonly roster: Roster
  readonly clock: Clock
  readonly onDelivery: () => void
  readonly onRun: () => void
  /** Letters were planned to be brought back. */
  readonly onPlanned: () => void
}

/** Which letters, and how they are brought back. */
export interface ReplayOrder {
  readonly filter: LetterFilter & { readonly ids?: readonly DeadLetterId[] }
  readonly limit: number
  /** From one to the next. */
  readonly everyMs: number
  /** Only say which. */
  readonly isDry: boolean
}
export interface ReplayPlan {
  /** Of all that were open and not planned, also beyond the limit. */
  readonly matched: number
  readonly letters: readonly PlannedLetter[]
}

export class DeadLetters {
  readonly #parts: DeadLettersParts

  constructor(parts: DeadLettersParts) {
    this.#parts = parts
  }

  /** Once; `edit` changes what is said or sent first. */
  async replay(tenant: string, id: DeadLetterId, edit: Payload | null): Promise<ReplayResult> {
    const { store, dispatch, roster, clock, onDelivery, onRun } = this.#parts
    if (edit !== null) await store.deadLetters.edit(tenant, id, edit)
    const result = await store.deadLetters.replay({ tenant, id, now: clock.now(), route: await this.#route(tenant, id) })
    if (result.status !== 'replayed') return result
    if (result.kind === 'delivery') onDelivery()
    else if (result.kind === 'run') onRun()
    else if (result.kind === 'message') {
      const agent = roster.find(tenant, result.agent)
      if (agent !== null) dispatch.ready(result.session, agent)
    }
    return result
  }

  /** Those given up first come first. What is planned is brought back later, one by one, by `replays.ts`, also after a restart. */
  async plan({ filter, limit, everyMs, isDry }: ReplayOrder): Promise<ReplayPlan> {
    const { store, clock, onPlanned } = this.#parts
    const { matched, ids } = await store.deadLetters.match(filter, limit)
    const now = clock.now()
    const { tenant } = filter
    if (isDry) return { matched, letters: ids.map((id, index) => ({ tenant, id, at: now + Math.round(index * everyMs) })) }
    const letters = ids.length === 0 ? [] : await store.deadLetters.plan(tenant, ids, { now, everyMs })
    if (letters.length > 0) onPlanned()
    return { matched, letters }
  }

  async #route(tenant: string, id: DeadLetterId): Promise<Replay['route']> {
    const { store, ingress, roster } = this.#parts
    const dead = await store.deadLetters.origin(tenant, id)
    if (dead === null) return null
    const { envelope, session, origin } = dead
    // It had an agent: it stays in that session, where its conversation is.
    if (session !== null) return roster.find(tenant, session.agent) === null ? null : { agent: session.agent, session, envelope }
    const { channel, sender_id: sender, metadata } = envelope
    const routed = ingress.route(tenant, channel, { agent: null, account: origin.account, sender, metadata })
    if (routed.agent === null) return null
    const parts = ingress.sessionOf(routed.agent, channel, origin)
    return { agent: routed.agent.name, session: parts, envelope: { ...envelope, session: parts.key } }
  }
}
