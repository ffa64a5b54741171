/**
 * Turns, begun and ended: claims what waits in a session (T1), lets the agent run, and decides what a failure means:
 * again later, given up with a letter, or handed back unharmed. Who is next is `lanes.ts`, who waits `lookout.ts`, and leases are `renewal.ts`.
 */
import { randomUUID } from 'node:crypto'
import { FIRST_STEP, FencedError, OpenClawError, UnavailableError, describeError, newDeadLetterId, newTurnId } from '#contract'
import type { AgentDefinition, AgentRunner, ClaimedTurn, Failure, Log, Metrics, Redact, SessionKey } from '#contract'
import { Allowances } from './allowance.ts'
import { Lanes } from './lanes.ts'
import { Lookout } from './lookout.ts'
import type { Pressure } from './pressure.ts'
import { Renewal } from './renewal.ts'
import { backoffMs } from './retry.ts'
import type { RetryPolicy } from './retry.ts'
import type { Roster } from './roster.ts'
import { turnMetrics } from './turn-metrics.ts'
import type { TurnMetrics } from './turn-metrics.ts'
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
  /** For what models and agents say of a failure. */
  readonly redact: Redact
}

/** A turn that dies with its gateway so often at the same step would take it down for ever. */
const MAX_CRASHES = 3

/** Why a running turn was stopped by us. */
class Stop extends Error {
  readonly why: 'interrupt' | 'drain' | 'deadline' | 'fenced'
  constructor(why: Stop['why']) {
    super(`The turn was stopped: ${why}.`)
    this.why = why
  }
}

interface Running {
  readonly turn: RunningTurn
  readonly stop: AbortController
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

  constructor(parts: DispatchParts, options: DispatchOptions) {
    this.#parts = parts
    this.#options = options
    this.#metrics = turnMetrics(parts.metrics)
    this.#typing = new Typing(parts)
    this.#lanes = new Lanes({
      maxRunning: options.maxConcurrent,
      limitOf: (agent) => parts.roster.find(agent)?.limits.maxConcurrentTurns ?? 1,
      work: (session, agent) => this.#work(session, agent),
      onRoom: () => this.#lookout.look(),
      admit: () => parts.pressure.admit(),
      clock: parts.clock,
    })
    this.#lookout = new Lookout({
      ...parts,
      onFound: (session, agent) => {
        if (!this.#running.has(session)) this.#lanes.hint(session, agent)
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

  runningOf(agent: string): number {
    let count = 0
    for (const { turn } of this.#running.values()) if (turn.agent.name === agent) count += 1
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
    this.#lanes.hint(session, agent.name)
  }

  async #work(session: SessionKey, agentName: string): Promise<boolean> {
    try {
      return await this.#claim(session, agentName)
    } catch (error) {
      // The store cannot be had: what waits stays where it is, and no attempt is counted.
      this.#parts.log.warn(
        { session_key: session, 'error.code': describeError(error).code },
        'A turn could not be begun; it will be tried again.',
      )
      this.#lookout.wake(this.#parts.clock.now() + (error instanceof UnavailableError ? error.retryAfterMs : 1_000))
      return false
    }
  }

  /** Resolves true if more waits in the session. */
  async #claim(session: SessionKey, agentName: string): Promise<boolean> {
    const { store, clock, roster, log, feed } = this.#parts
    const agent = roster.find(agentName)
    if (agent === null) {
      // Removed from the configuration while messages wait: they wait until it is back.
      log.warn({ agent: agentName, session_key: session }, 'Messages wait for an agent that is not configured.')
      return false
    }
    const now = clock.now()
    const mayBeginAt = this.#allowances.mayBeginAt(agent, now)
    if (mayBeginAt > now) {
      this.#lookout.wake(mayBeginAt)
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
        log.error({ session_key: session, 'error.code': claim.reason.code }, claim.reason.message)
        this.#metrics.failed.inc([agent.name])
        for (const { envelope, lane } of claim.messages) {
          const { id, channel } = envelope
          feed.emit({
            type: 'message',
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
        return this.#run(claim.turn, agent)
    }
  }

  async #run(claimed: ClaimedTurn, agent: AgentDefinition): Promise<boolean> {
    const { clock, agents } = this.#parts
    const stop = new AbortController()
    const turn = new RunningTurn({ ...this.#parts, spend: this.#spend }, claimed, agent, stop.signal)
    const startedAt = clock.now()
    const cancelDeadline = clock.after(agent.limits.turnTimeoutMs, () => stop.abort(new Stop('deadline')))
    this.#running.set(claimed.session, { turn, stop })
    this.#metrics.runs.inc([agent.name])
    turn.announceAll('running', null)
    if (claimed.resumed) turn.say(null)
    const stopTyping = this.#typing.begin({ ...turn.destination, maxMs: agent.limits.turnTimeoutMs })
    try {
      await turn.finish(await agents.run(turn))
      return turn.ended?.more ?? claimed.more
    } catch (error) {
      return await this.#failed(turn, claimed, stop.signal.aborted ? stop.signal.reason : error)
    } finally {
      stopTyping()
      cancelDeadline()
      this.#parts.pressure.ended()
      this.#running.delete(claimed.session)
      this.#metrics.duration.observe((clock.now() - startedAt) / 1_000, [agent.name])
      const due = turn.ended === null ? null : turn.waitingUntil
      if (due !== null) this.#lookout.wake(due)
    }
  }

  /** Never rejects for a reason of the turn; rejects when the store cannot be had. */
  async #failed(turn: RunningTurn, claimed: ClaimedTurn, error: unknown): Promise<boolean> {
    const { store, clock, log, random, patience } = this.#parts
    // The end was committed, and what came after it went wrong: it is over all the same.
    if (turn.ended !== null) return turn.ended.more
    if (error instanceof FencedError || (error instanceof Stop && error.why === 'fenced')) {
      log.warn({ turn: turn.id }, 'Somebody else owns the session by now; this work was dropped.')
      return false
    }
    if (error instanceof Stop && error.why === 'interrupt') {
      const reason = { code: 'INTERRUPTED', message: 'A newer message ended this turn.' }
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
    const fields = { turn: turn.id, agent: turn.agent.name, attempt: claimed.attempt, 'error.code': failure.code }
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

  readonly #spend = (agent: string, tokens: number): void => this.#allowances.spend(agent, tokens, this.#parts.clock.now())

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
