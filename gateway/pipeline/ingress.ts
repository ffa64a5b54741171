/**
 * The way in (T0). A message that was handed in is held against the access rules, routed, given its session, and stored with its dedupe key and the
 * channel's own values in one transaction; only then does `accept` resolve and the channel acknowledge.
 */
import { NotFoundError, UnavailableError, describeError, isTraceparent, newDeadLetterId, newMessageId, traceFields } from '#contract'
import type {
  Acceptance,
  AcceptanceResult,
  Accepted,
  AgentDefinition,
  Clock,
  Counter,
  Envelope,
  Failure,
  Histogram,
  Inbound,
  Log,
  Metrics,
  Redact,
  Refusal,
  SessionKey,
  Span,
  StateChanges,
  Store,
  Tracer,
} from '#contract'
import type { Access } from './access.ts'
import type { Feed } from './feed.ts'
import { messageLatency } from './latency.ts'
import type { Pressure } from './pressure.ts'
import type { Roster } from './roster.ts'
import type { Routable, Routed, Router, RuleTrial } from './route.ts'
import type { SessionKeys } from './session-key.ts'

export interface IngressParts {
  readonly store: Store
  readonly access: Access
  /** Whose the channel's account is; null: all tenants share it, and each message says its own. */
  readonly tenantOf: (channel: string) => string | null
  readonly roster: Roster
  readonly feed: Feed
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly tracer: Tracer
  readonly pressure: Pressure
  /** For what a channel says of a message that it could not read. */
  readonly redact: Redact
  /** A message waits in this session. */
  readonly onReady: (session: SessionKey, agent: AgentDefinition) => void
}

/** A message on its way to its row. */
interface Arrival {
  readonly acceptance: Acceptance
  readonly agent: AgentDefinition | null
  readonly span: Span
}

export class Ingress {
  readonly #parts: IngressParts
  readonly #messages: Counter
  readonly #refused: Counter
  readonly #latency: Histogram
  #router: Router
  #sessions: SessionKeys
  #isOpen = true

  constructor(parts: IngressParts, router: Router, sessions: SessionKeys) {
    this.#parts = parts
    this.#router = router
    this.#sessions = sessions
    this.#messages = parts.metrics.counter({
      name: 'openclaw_messages_total',
      help: 'Messages by channel, direction and what became of them.',
      labels: ['channel', 'direction', 'status'],
    })
    this.#latency = messageLatency(parts.metrics)
    this.#refused = parts.metrics.counter({
      name: 'openclaw_refused_total',
      help: 'Messages that the access rules refused, by channel and reason.',
      labels: ['channel', 'reason'],
    })
  }

  /** New rules for what comes in from now on; what is stored keeps its route. */
  reroute(router: Router, sessions: SessionKeys): void {
    this.#router = router
    this.#sessions = sessions
  }

  /** Draining: nothing is taken in any more. */
  close(): void {
    this.#isOpen = false
  }

  /**
   * @throws UnavailableError when nothing was stored: do not acknowledge
   * @throws NotFoundError when the agent that was asked for by name does not exist
   */
  async accept(channel: string, message: Inbound, state: StateChanges): Promise<Accepted> {
    this.#checkOpen()
    const reason = this.#parts.access.refusal(channel, message)
    if (reason !== null) {
      await this.#turnAway(channel, [message], [reason])
      await this.#keep(channel, state)
      return this.#refuse(channel, reason)
    }
    const given = this.#acceptance(channel, message, state)
    try {
      return this.#told(given, await this.#parts.store.inbox.accept(given.acceptance))
    } catch (error) {
      given.span.end(describeError(error).code)
      throw error
    }
  }

  /** All that may come in, in one transaction, `state` with the last. `inOrder`: after those of the channel that are under way so, or not at all. */
  async acceptAll(channel: string, messages: readonly Inbound[], state: StateChanges, inOrder = false): Promise<readonly Accepted[]> {
    this.#checkOpen()
    const { access } = this.#parts
    const reasons = messages.map((message) => access.refusal(channel, message))
    const last = reasons.lastIndexOf(null)
    const all = messages.map((message, at) => (reasons[at] === null ? this.#acceptance(channel, message, at === last ? state : {}) : null))
    const taken = all.filter((each) => each !== null)
    const results = taken.length === 0 ? [] : await this.#acceptTaken(taken, inOrder ? channel : '')
    await this.#turnAway(channel, messages, reasons)
    if (taken.length === 0) await this.#keep(channel, state)
    let next = 0
    return all.flatMap((each, at) => {
      if (each === null) return this.#refuse(channel, reasons[at] ?? 'stranger')
      const result = results[next++]
      return result === undefined ? [] : [this.#told(each, result)]
    })
  }

  async #acceptTaken(taken: readonly Arrival[], chain: string): Promise<readonly AcceptanceResult[]> {
    try {
      return await this.#parts.store.inbox.acceptAll(
        taken.map(({ acceptance }) => acceptance),
        chain,
      )
    } catch (error) {
      for (const { span } of taken) span.end(describeError(error).code)
      throw error
    }
  }

  /** Where some of a batch are stored, a code that cannot be kept is no reason to have them all come again. */
  async #turnAway(channel: string, messages: readonly Inbound[], reasons: readonly (Refusal | null)[]): Promise<void> {
    const { access, log } = this.#parts
    const strangers = messages.filter((_, at) => reasons[at] === 'stranger')
    if (strangers.length === 0) return
    try {
      await Promise.all(strangers.map((message) => access.turnedAway(channel, message)))
    } catch (error) {
      if (!reasons.includes(null)) throw error
      log.warn({ channel, 'error.code': describeError(error).code }, 'A stranger was given no code; the next message tries again.')
    }
  }

  #refuse(channel: string, reason: Refusal): Accepted {
    this.#messages.inc([channel, 'in', 'refused'])
    this.#refused.inc([channel, reason])
    return { status: 'refused', reason }
  }

  /** The channel's own values are kept whatever becomes of the message: it acknowledges it all the same. */
  async #keep(channel: string, state: StateChanges): Promise<void> {
    if (Object.keys(state).length > 0) await this.#parts.store.channelState.write(channel, state)
  }

  #checkOpen(): void {
    if (!this.#isOpen)
      throw new UnavailableError('The gateway is shutting down. Send it again in a moment.', { code: 'DRAINING', retryAfterMs: 5_000 })
  }

  /** From here on the message is traced: what follows, today or after a restart, goes on from what its envelope carries. */
  #acceptance(channel: string, message: Inbound, state: StateChanges): Arrival {
    const { tracer } = this.#parts
    const { traceparent: given } = message.metadata
    const parent = given !== undefined && isTraceparent(given) ? given : undefined
    const span = tracer.span('gateway.ingress', { parent, kind: 'consumer', attributes: { 'openclaw.channel': channel } })
    try {
      return { ...this.#addressed(channel, message, { state, span }), span }
    } catch (error) {
      span.end(describeError(error).code)
      throw error
    }
  }

  #addressed(
    channel: string,
    message: Inbound,
    { state, span }: { readonly state: StateChanges; readonly span: Span },
  ): Omit<Arrival, 'span'> {
    const acceptedAt = this.#parts.clock.now()
    const { traceparent } = span
    const tenant = this.#tenantOf(channel, message)
    const target =
      message.dead === undefined
        ? this.#traced(tenant, channel, message, traceparent)
        : { agent: null, reason: { ...message.dead, message: this.#parts.redact(message.dead.message) } }
    const session = target.agent === null ? null : this.#sessions.of(target.agent, channel, message)
    const envelope: Envelope = {
      version: 1,
      id: newMessageId(acceptedAt),
      channel,
      sender_id: message.sender,
      timestamp: message.at,
      payload: message.payload,
      metadata:
        traceparent === undefined || traceparent === message.metadata.traceparent ? message.metadata : { ...message.metadata, traceparent },
      session: session?.key ?? null,
    }
    const acceptance: Acceptance = {
      tenant,
      envelope,
      key: message.key,
      fingerprint: message.fingerprint,
      lane: message.lane,
      agent: target.agent?.name ?? null,
      session,
      reply: message.reply,
      acceptedAt,
      isNews: message.event !== undefined,
      dead:
        target.agent === null
          ? { id: newDeadLetterId(acceptedAt), reason: target.reason, origin: { account: message.account, peer: message.peer } }
          : null,
      state,
    }
    return { acceptance, agent: target.agent }
  }

  #told({ acceptance, agent, span }: Arrival, result: AcceptanceResult): Accepted {
    const { envelope } = acceptance
    span.set({
      'openclaw.message.id': envelope.id,
      'openclaw.acceptance': result.status,
      'gen_ai.agent.name': acceptance.agent ?? undefined,
    })
    span.end(acceptance.dead?.reason.code)
    switch (result.status) {
      case 'conflict':
        return result
      case 'duplicate':
        this.#messages.inc([envelope.channel, 'in', 'duplicate'])
        return result
      case 'new':
        this.#stored(acceptance, agent)
        return { status: 'new', envelope }
    }
  }

  /** A message without an owner would be everybody's: it is not taken in. */
  #tenantOf(channel: string, { tenant }: Inbound): string {
    const own = this.#parts.tenantOf(channel) ?? tenant
    if (own === undefined) throw new Error(`Channel "${channel}" is shared by all tenants, and said of a message not whose it is.`)
    return own
  }

  #traced(tenant: string, channel: string, message: Inbound, parent: string | undefined): ReturnType<Ingress['route']> {
    const span = this.#parts.tracer.span('gateway.route', { parent })
    try {
      const target = this.route(tenant, channel, message)
      span.set({ 'gen_ai.agent.name': target.agent?.name })
      span.end(target.agent === null ? target.reason.code : null)
      return target
    } catch (error) {
      span.end(describeError(error).code)
      throw error
    }
  }

  /** Why a message would go where `route` sends it. */
  explain(message: Routable): { readonly routed: Routed; readonly rules: readonly RuleTrial[] } {
    return { routed: this.#router.route(message), rules: this.#router.explain(message) }
  }

  /** By the agent asked for, else by the rules, both of the tenant; without either it is dead on arrival, and says why. */
  route(
    tenant: string,
    channel: string,
    message: Pick<Inbound, 'agent' | 'account' | 'sender' | 'metadata'>,
  ): { readonly agent: AgentDefinition } | { readonly agent: null; readonly reason: Failure } {
    const { roster } = this.#parts
    if (message.agent !== null) {
      const agent = roster.find(tenant, message.agent)
      if (agent === null)
        throw new NotFoundError(`There is no agent "${message.agent}". GET /v1/agents lists those there are.`, { code: 'AGENT_UNKNOWN' })
      return { agent }
    }
    const routed = this.#router.route({ ...message, tenant, channel })
    if (routed === null) {
      return {
        agent: null,
        reason: {
          code: 'UNROUTABLE',
          message: 'No route matches and no fallback agent is configured. Add a route or `fallback`, or name the agent, then replay.',
        },
      }
    }
    const agent = roster.find(tenant, routed.agent)
    if (agent === null) {
      return {
        agent: null,
        reason: { code: 'UNROUTABLE', message: `Route ${routed.rule} names the agent "${routed.agent}", which does not exist.` },
      }
    }
    return { agent }
  }

  sessionOf(agent: AgentDefinition, channel: string, message: Pick<Inbound, 'account' | 'peer'>): ReturnType<SessionKeys['of']> {
    return this.#sessions.of(agent, channel, message)
  }

  #stored(acceptance: Acceptance, agent: AgentDefinition | null): void {
    const { feed, log, onReady, pressure, clock } = this.#parts
    pressure.accepted()
    this.#latency.observe(Math.max(0, clock.now() - acceptance.acceptedAt) / 1_000, [acceptance.envelope.channel, 'accept'])
    const { tenant, envelope, lane, session, dead, isNews } = acceptance
    this.#messages.inc([envelope.channel, 'in', dead === null ? 'accepted' : 'dead'])
    feed.emit({
      type: 'message',
      tenant,
      messageId: envelope.id,
      channel: envelope.channel,
      lane,
      session: envelope.session,
      agent: acceptance.agent,
      status: dead !== null ? 'dead' : isNews ? 'done' : 'queued',
      reason: dead === null ? null : dead.reason.code,
    })
    if (dead !== null) {
      const fields = { message_id: envelope.id, channel: envelope.channel, 'error.code': dead.reason.code }
      log.warn({ ...fields, ...traceFields(envelope.metadata.traceparent) }, dead.reason.message)
    }
    if (session !== null && agent !== null && !isNews) onReady(session.key, agent)
  }
}
