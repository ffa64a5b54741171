/**
 * Turns, begun and ended: claims what waits in a session (T1), lets the agent run, and decides what a failure means:
 * again later, given up with a letter, or handed back unharmed. Who is next is `lanes.ts`, who waits `lookout.ts`, and leases are `renewal.ts`.
 */
import { randomUUID } from 'node:crypto'
import {
  FIRST_STEP,
  FencedError,
  OpenClawError,
  UnavailableError,
  describeError,
  isoTime,
  newDeadLetterId,
  newTurnId,
  traceFields,
} from '#contract'
import type {
  AgentDefinition,
  AgentRunner,
  ClaimedTurn,
  Failure,
  JsonObject,
  Log,
  MessageId,
  Metrics,
  Redact,
  SessionKey,
  Tracer,
} from '#contract'
import { Forsaken } from './forsaken.ts'
import { Allowances } from './allowance.ts'
import type { Wait } from './allowance.ts'
import { Lanes } from './lanes.ts'
import { Lookout } from './lookout.ts'
import type { Pressure } from './pressure.ts'
import { Renewal } from './renewal.ts'
import { backoffMs } from './retry.ts'
import type { RetryPolicy } from './retry.ts'
import { agentKey } from './roster.ts'
import type { Roster } from './roster.ts'
import { sessionHash } from './session-key.ts'
import { TurnMetrics } from './turn-metrics.ts'
import { TurnTrace } from './turn-trace.ts'
import { RunningTurn } from './turn.ts'
import type { TurnParts } from './turn.ts'
import { Typing } from './typing.ts'

export interface DispatchOptions {
  readonly retry: RetryPolicy
  readonly leaseMs: number
  readonly maxConcurrent: number
}

export interface DispatchParts extends Omit<TurnParts, 'spend'> {
  readonly roster: Roster
  readonly agents: AgentRunner
  readonly log: Log
  readonly metrics: Metrics
  readonly random: () => number
  readonly pressure: Pressure
  readonly tracer: Tracer
  /** For what models and agents say of a failure. */
  readonly redact: Redact
  /** Messages of an agent begin to wait for what it may use. */
  readonly onExceeded: (tenant: string, data: JsonObject) => void
}

/** A turn that dies with its gateway so often at the same step would take it down for ever. */
const MAX_CRASHES = 3

/** Why a running turn was stopped by us. */
class Stop extends Error {
  readonly why: 'interrupt' | 'cancelled' | 'drain' | 'deadline' | 'fenced'
  constructor(why: Stop['why']) {
    super(`The turn was stopped: ${why}.`)
    this.why = why
  }
}

interface Running {
  readonly turn: RunningTurn
  readonly stop: AbortController
}

interface Failed {
  readonly turn: RunningTurn
  readonly claimed: ClaimedTurn
  readonly traceparent: string | undefined
}

export class Dispatch {
  readonly #parts: DispatchParts
  readonly #options: DispatchOptions
  /** This boot; leases of former ones are void. */
  readonly #owner = randomUUID()
  readonly #lanes: Lanes
  readonly #running = new Map<SessionKey, Running>()
  readonly #lookout: Lookout
  readonly #renewal: Renewal
  readonly #metrics: TurnMetrics
  readonly #typing: Typing
  readonly #allowances = new Allowances()
  readonly #forsaken = new Forsaken()

  constructor(parts: DispatchParts, options: DispatchOptions) {
    this.#parts = parts
    this.#options = options
    this.#metrics = new TurnMetrics(parts.metrics)
    this.#typing = new Typing(parts)
    this.#lanes = new Lanes({
      maxRunning: options.maxConcurrent,
      limitOf: (agent) => parts.roster.at(agent)?.limits.maxConcurrentTurns ?? 1,
      work: (session, agent) => this.#work(session, agent),
      onRoom: () => this.#lookout.look(),
      admit: () => parts.pressure.admit(),
      clock: parts.clock,
    })
    this.#lookout = new Lookout({
      ...parts,
      onFound: (session, agent) => {
        if (!this.#running.has(session)) this.#lanes.hint(session, agentKey(agent))
      },
    })
    this.#renewal = new Renewal({
      ...parts,
      leaseMs: options.leaseMs,
      running: () => [...this.#running.values()].map(({ turn }) => turn.ref),
      onLost: (lost) => {
        for (const { turn, stop } of this.#running.values()) if (lost.has(turn.id)) stop.abort(new Stop('fenced'))
      },
    })
  }

  get running(): number {
    return this.#lanes.running
  }

  get waiting(): number {
    return this.#lanes.ready
  }

  runningOf(agent: Pick<AgentDefinition, 'tenant' | 'name'>): number {
    const key = agentKey(agent)
    let count = 0
    for (const { turn } of this.#running.values()) if (agentKey(turn.agent) === key) count += 1
    return count
  }

  start(): void {
    this.#lanes.open()
    this.#renewal.start()
    this.#lookout.start()
  }

  /** Begins no turn more; those under way may end within `boundMs`, then they are handed back without an attempt counted. */
  async drain(boundMs: number): Promise<void> {
    this.#lookout.close()
    this.#renewal.close()
    const ended = this.#lanes.close()
    const cancel = this.#parts.clock.after(boundMs, () => {
      for (const { stop } of this.#running.values()) stop.abort(new Stop('drain'))
      this.#parts.patience.end()
    })
    await ended
    cancel()
    this.#renewal.stop()
    await this.#lookout.stop()
  }

  /** A message waits in this session. */
  ready(session: SessionKey, agent: AgentDefinition): void {
    if (agent.queue.mode === 'interrupt') this.#running.get(session)?.stop.abort(new Stop('interrupt'))
    this.#lanes.hint(session, agentKey(agent))
  }

  /** Whoever asked for this is gone. A turn that is about it and others goes on; one that waits or has not begun ends when it is claimed. */
  async cancel(tenant: string, id: MessageId): Promise<void> {
    const { feed } = this.#parts
    if (!feed.isAwaited(id)) await this.#forsake(tenant, id, () => feed.isAwaited(id))
  }

  /** The same, whoever waits for it. */
  stop(tenant: string, id: MessageId): Promise<'told' | 'over' | 'missing'> {
    return this.#forsake(tenant, id, () => false)
  }

  async #forsake(tenant: string, id: MessageId, isWanted: () => boolean): Promise<'told' | 'over' | 'missing'> {
    const message = await this.#parts.store.inbox.get(tenant, id)
    if (message === null) return 'missing'
    if (message.status === 'done' || message.status === 'dead' || isWanted()) return 'over'
    // Only now: before it is known whose it is, its turn must not find it here.
    this.#forsaken.add(id)
    for (const { turn, stop } of this.#running.values())
      if (turn.taken.some((each) => each.id === id) && this.#forsaken.holdsAll(turn.taken)) stop.abort(new Stop('cancelled'))
    return 'told'
  }

  async #work(session: SessionKey, key: string): Promise<boolean> {
    try {
      return await this.#claim(session, key)
    } catch (error) {
      // The store cannot be had: what waits stays where it is, and no attempt is counted.
      this.#parts.log.warn(
        { session_hash: sessionHash(session), 'error.code': describeError(error).code },
        'A turn could not be begun; it will be tried again.',
      )
      this.#lookout.wake(this.#parts.clock.now() + (error instanceof UnavailableError ? error.retryAfterMs : 1_000))
      return false
    }
  }

  /** Resolves true if more waits in the session. */
  async #claim(session: SessionKey, key: string): Promise<boolean> {
    const { store, clock, roster, log, feed } = this.#parts
    const agent = roster.at(key)
    if (agent === null) {
      // Removed from the configuration while messages wait: they wait until it is back.
      log.warn({ agent: key, session_hash: sessionHash(session) }, 'Messages wait for an agent that is not configured.')
      return false
    }
    const now = clock.now()
    const wait = this.#allowances.waitOf(agent, now)
    if (wait !== null) {
      if (wait.isNew) this.#exceeded(agent, wait)
      this.#lookout.wake(wait.until)
      return false
    }
    const claim = await store.turns.claim({
      session,
      owner: this.#owner,
      now,
      leaseMs: this.#options.leaseMs,
      turn: newTurnId(now),
      queue: agent.queue,
      // Where messages may join, the first step has to look for them.
      firstStep: agent.queue.mode === 'steer' ? null : FIRST_STEP,
      historyBytes: agent.limits.maxContextTokens * 6,
      historyMessages: HISTORY_MESSAGES,
      maxCrashes: MAX_CRASHES,
      deadLetter: newDeadLetterId(now),
    })
    switch (claim.status) {
      case 'idle':
        if (claim.dueAt !== null) this.#lookout.wake(claim.dueAt)
        return false
      case 'dead':
        log.error({ session_hash: sessionHash(session), 'error.code': claim.reason.code }, claim.reason.message)
        this.#metrics.failed.inc([agent.name])
        for (const { envelope, lane } of claim.messages) {
          const { id, channel } = envelope
          feed.emit({
            type: 'message',
            tenant: agent.tenant,
            messageId: id,
            channel,
            lane,
            session,
            agent: agent.name,
            status: 'dead',
            reason: claim.reason.code,
          })
        }
        return true
      case 'claimed':
        this.#allowances.begun(agent, now)
        return this.#traced(claim.turn, agent, now)
    }
  }

  async #traced(claimed: ClaimedTurn, agent: AgentDefinition, startedAt: number): Promise<boolean> {
    const trace = new TurnTrace(this.#parts.tracer, { claimed, agent, startedAt })
    try {
      return await this.#run(claimed, agent, trace)
    } finally {
      trace.end(null)
    }
  }

  async #run(claimed: ClaimedTurn, agent: AgentDefinition, trace: TurnTrace): Promise<boolean> {
    const { clock, agents, channels } = this.#parts
    const stop = new AbortController()
    const turn = new RunningTurn({ ...this.#parts, spend: this.#spend }, claimed, agent, { signal: stop.signal, trace })
    const startedAt = clock.now()
    const cancelDeadline = clock.after(agent.limits.turnTimeoutMs, () => stop.abort(new Stop('deadline')))
    this.#running.set(claimed.session, { turn, stop })
    this.#metrics.runs.inc([agent.name])
    if (claimed.attempt === 1 && !claimed.resumed) this.#metrics.waited(turn.taken, clock.now())
    turn.announceAll('running', null)
    if (claimed.resumed) turn.say(null)
    const stopTyping = this.#typing.begin({ ...turn.destination, maxMs: agent.limits.turnTimeoutMs })
    try {
      if (this.#forsaken.holdsAll(turn.taken)) throw new Stop('cancelled')
      await turn.finish(await agents.run(turn))
      if (turn.waitingUntil === null)
        this.#metrics.done(turn, { startedAt, now: clock.now(), isCollected: channels.isCollected(turn.destination.channel) })
      return turn.ended?.more ?? claimed.more
    } catch (error) {
      const why: unknown = stop.signal.aborted ? stop.signal.reason : error
      trace.end(why instanceof Stop ? why.why : describeError(why).code)
      return await this.#failed({ turn, claimed, traceparent: trace.traceparent }, why)
    } finally {
      stopTyping()
      cancelDeadline()
      this.#parts.pressure.ended()
      this.#running.delete(claimed.session)
      if (turn.ended !== null) for (const { id } of turn.taken) this.#forsaken.delete(id)
      this.#metrics.duration.observe((clock.now() - startedAt) / 1_000, [agent.name])
      const due = turn.ended === null ? null : turn.waitingUntil
      if (due !== null) this.#lookout.wake(due)
    }
  }

  /** Never rejects for a reason of the turn; rejects when the store cannot be had. */
  async #failed({ turn, claimed, traceparent }: Failed, error: unknown): Promise<boolean> {
    const { store, clock, log, random, patience } = this.#parts
    // The end was committed, and what came after it went wrong: it is over all the same.
    if (turn.ended !== null) return turn.ended.more
    if (error instanceof FencedError || (error instanceof Stop && error.why === 'fenced')) {
      log.warn({ turn: turn.id }, 'Somebody else owns the session by now; this work was dropped.')
      return false
    }
    if (error instanceof Stop && (error.why === 'interrupt' || error.why === 'cancelled')) {
      const reason =
        error.why === 'interrupt'
          ? { code: 'INTERRUPTED', message: 'A newer message ended this turn.' }
          : { code: 'CANCELLED', message: 'It was cancelled, or whoever asked went away and nobody else waited for the answer.' }
      await turn.endAs({ status: 'done', deliveries: [], messages: [], reset: false, reason })
      return true
    }
    if ((error instanceof Stop && error.why === 'drain') || error instanceof UnavailableError) {
      // Not its fault: no attempt is counted.
      await patience.persist(() => store.turns.release(turn.ref, clock.now()))
      if (error instanceof UnavailableError) this.#lookout.wake(clock.now() + error.retryAfterMs)
      return false
    }
    const failure = this.#describe(error, turn.agent)
    this.#metrics.failed.inc([turn.agent.name])
    const isFinal = (error instanceof OpenClawError && !error.retryable) || claimed.attempt >= this.#options.retry.attempts
    const now = clock.now()
    const known = { turn: turn.id, agent: turn.agent.name, attempt: claimed.attempt, 'error.code': failure.code }
    const fields = { ...known, ...traceFields(traceparent) }
    if (isFinal) {
      const { more } = await patience.persist(() => store.turns.fail(turn.ref, failure, { deadLetter: newDeadLetterId(now) }, now))
      log.error(fields, `A turn was given up: ${failure.message}`)
      turn.announceAll('dead', failure.code)
      return more
    }
    const askedMs =
      error instanceof OpenClawError && 'retryAfterMs' in error && typeof error.retryAfterMs === 'number' ? error.retryAfterMs : 0
    const retryAt = now + Math.max(askedMs, backoffMs(this.#options.retry, claimed.attempt, random))
    await patience.persist(() => store.turns.fail(turn.ref, failure, { retryAt }, now))
    this.#metrics.retries.inc(['turn'])
    log.warn({ ...fields, retry_in_ms: retryAt - now }, `A turn failed and will be tried again: ${failure.message}`)
    turn.announceAll('retrying', failure.code)
    this.#lookout.wake(retryAt)
    return false
  }

  #exceeded({ tenant, name }: AgentDefinition, { limit, until }: Wait): void {
    const { log, clock, onExceeded } = this.#parts
    this.#metrics.exceeded.inc([name, limit])
    log.warn({ tenant, agent: name, limit, wait_ms: until - clock.now() }, 'An agent has used what it may; its messages wait.')
    onExceeded(tenant, { agent: name, limit, until: isoTime(until) })
  }

  readonly #spend = (agent: AgentDefinition, tokens: number): void => this.#allowances.spend(agent, tokens, this.#parts.clock.now())

  #describe(error: unknown, agent: AgentDefinition): Failure {
    if (error instanceof Stop)
      return {
        code: 'TURN_TIMEOUT',
        message: `The turn took longer than ${agent.limits.turnTimeoutMs} ms (agents.${agent.name}.limits.turn_timeout).`,
      }
    if (!(error instanceof OpenClawError))
      this.#parts.log.error({ agent: agent.name, err: error instanceof Error ? error : new Error(String(error)) }, 'An agent threw.')
    return describeError(error, this.#parts.redact)
  }
}

/** Messages of a session that a turn begins with; the agent cuts further, by tokens. */
const HISTORY_MESSAGES = 200
