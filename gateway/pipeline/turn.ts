/**
 * One turn under way (T2 to T5): what an agent is given. Every step is bracketed by two transactions; what is done is
 * recalled, what was begun is begun again with the same key if that is harmless, and otherwise called unknown. Claiming, failing
 * and retrying are `dispatch.ts`.
 */
import { newDeliveryId, toolText } from '#contract'
import type {
  Address,
  AgentDefinition,
  ClaimedMessage,
  ClaimedTurn,
  Clock,
  Ended,
  Ending,
  Envelope,
  JsonObject,
  JsonValue,
  Message,
  MessageStatus,
  NewDelivery,
  RecordedStep,
  SkillCall,
  SkillDescriptor,
  SkillEvent,
  SkillOutcome,
  SkillRunner,
  StepDone,
  StepSpec,
  Store,
  Turn,
  TurnEnd,
  TurnId,
  TurnRef,
} from '#contract'
import type { Channels } from './channels.ts'
import type { Feed } from './feed.ts'
import type { Patience } from './patience.ts'
import { chooseSkills } from './skill-choice.ts'
import type { ChosenSkill } from './skill-choice.ts'
import type { TurnTrace } from './turn-trace.ts'

export interface TurnParts {
  /** Tokens that an agent's model took. */
  readonly spend: (agent: AgentDefinition, tokens: number) => void
  readonly store: Store
  readonly skills: SkillRunner
  readonly channels: Channels
  readonly feed: Feed
  readonly clock: Clock
  readonly patience: Patience
}

/** What cuts it, and what is told of it. */
export interface TurnTies {
  readonly signal: AbortSignal
  readonly trace: TurnTrace
}

export class RunningTurn implements Turn {
  readonly id: TurnId
  readonly agent: AgentDefinition
  readonly session: Turn['session']
  readonly envelopes: readonly Envelope[]
  readonly history: readonly Message[]
  readonly skills: readonly SkillDescriptor[]
  readonly signal: AbortSignal
  readonly #parts: TurnParts
  readonly #ref: TurnRef
  readonly #trace: TurnTrace
  readonly #steps: Map<string, RecordedStep>
  readonly #chosen: ReadonlyMap<string, ChosenSkill>
  readonly #joined: ClaimedMessage[] = []
  readonly #claimed: ClaimedTurn
  /** The step that was begun with the claim, until it is run. */
  #begun: string | null
  #ended: Ended | null = null
  #waitingUntil: number | null = null
  #replyParts = 0

  constructor(parts: TurnParts, claimed: ClaimedTurn, agent: AgentDefinition, { signal, trace }: TurnTies) {
    this.#parts = parts
    this.#claimed = claimed
    this.#begun = claimed.begun
    this.#ref = { turn: claimed.id, session: claimed.session, fence: claimed.fence }
    this.#steps = new Map(claimed.steps.map((step) => [step.key, step]))
    this.id = claimed.id
    this.agent = agent
    this.session = claimed.session
    this.envelopes = claimed.messages.map((message) => message.envelope)
    this.history = claimed.history
    this.signal = signal
    this.#trace = trace
    this.#chosen = chooseSkills(agent, parts.skills)
    this.skills = [...this.#chosen.values()].map(({ descriptor }) => descriptor)
    for (const step of claimed.steps) this.#joined.push(...step.joined)
  }

  get ref(): TurnRef {
    return this.#ref
  }

  /** Where its answer goes. */
  get destination(): { readonly channel: string; readonly to: Address } {
    const { envelope, reply } = this.#last()
    return { channel: envelope.channel, to: reply }
  }

  /** Set once the turn is over and durably so. */
  get ended(): Ended | null {
    return this.#ended
  }

  /** When a turn that ended in waiting goes on. */
  get waitingUntil(): number | null {
    return this.#waitingUntil
  }

  /** The messages it is about, those that joined included. */
  get taken(): readonly Envelope[] {
    return this.#messages().map(({ envelope }) => envelope)
  }

  /** Of how many parts its reply is. */
  get replyParts(): number {
    return this.#replyParts
  }

  say(text: string | null): void {
    const last = this.#last()
    const { channel, id, session } = last.envelope
    if (!this.#parts.feed.isWatched(id, channel, last.lane)) return
    const { tenant, name } = this.agent
    this.#parts.feed.emit({ type: 'delta', tenant, messageId: id, channel, lane: last.lane, session, agent: name, text })
  }

  async step(spec: StepSpec): Promise<{ readonly result: JsonObject; readonly joined: readonly Envelope[] }> {
    const done = this.#steps.get(spec.key)
    if (done?.status === 'done') return { result: asObject(done.result), joined: done.joined.map((message) => message.envelope) }
    this.signal.throwIfAborted()
    const { store, clock, patience } = this.#parts
    const { mode, cap } = this.agent.queue
    const isBegun = spec.key === this.#begun
    if (isBegun) this.#begun = null
    const started = isBegun
      ? BEGUN
      : await store.turns.startStep({
          ...this.#ref,
          key: spec.key,
          kind: spec.kind,
          name: '',
          effect: 'idempotent',
          requestHash: spec.requestHash,
          input: null,
          now: clock.now(),
          waiting: mode === 'steer' && spec.kind === 'llm' ? { policy: 'join', cap } : { policy: 'leave' },
        })
    if (started.status === 'skipped') throw new Error(`Step ${spec.key} cannot be skipped.`)
    if (done === undefined) this.#joined.push(...started.joined)
    for (const message of started.joined) this.announce(message, 'running', null)
    const joined = started.joined.map((message) => message.envelope)
    const outcome = await this.#trace.call(spec, { idempotencyKey: `${this.id}:${spec.key}`, attempt: started.attempt, joined })
    const end = outcome.ending === null ? null : this.#end(outcome.ending, [])
    const stepDone: StepDone = {
      ...this.#ref,
      key: spec.key,
      name: outcome.name,
      status: 'done',
      requestHash: isBegun ? spec.requestHash : null,
      result: outcome.result,
      messages: outcome.messages,
      usage: outcome.usage,
      planned: outcome.planned.map((call) => ({ ...call, effect: this.#chosen.get(call.skill)?.descriptor.effect ?? 'none' })),
      summary: outcome.summary ?? null,
      end,
      now: clock.now(),
    }
    const ended = await this.#trace.kept(spec.key, () => patience.persist(() => store.turns.finishStep(stepDone)))
    if (outcome.usage !== null) this.#parts.spend(this.agent, outcome.usage.inputTokens + outcome.usage.outputTokens)
    if (end !== null) this.#close(end, ended)
    return { result: outcome.result, joined }
  }

  async skill(call: SkillCall): Promise<SkillOutcome> {
    const key = `skill:${call.id}`
    const recorded = this.#steps.get(key)
    if (recorded?.status === 'done' || recorded?.status === 'unknown') return recorded.result as SkillOutcome & JsonValue
    this.signal.throwIfAborted()
    const { store, skills, clock } = this.#parts
    const chosen = this.#chosen.get(call.skill)
    const effect = chosen?.descriptor.effect ?? 'none'
    const { traceparent } = this.#trace
    const run = {
      skill: call.skill,
      ...(chosen?.version !== undefined && { version: chosen.version }),
      key: `${this.id}:${call.id}`,
      tenant: this.agent.tenant,
      caller: { is: 'agent', agent: this.agent.name, session: this.session },
      ...(traceparent !== undefined && { traceparent }),
      signal: this.signal,
      watch: (event: SkillEvent) => this.#show(call, event),
    } as const
    const adopted = recorded?.status === 'started' ? await skills.adopt(run) : null
    if (adopted !== null) return this.#concludeSkill(call, adopted)
    if (recorded?.status === 'started' && effect === 'once') {
      return this.#finishSkill(call, 'unknown', {
        status: 'error',
        code: 'unknown',
        message: 'The gateway restarted while this ran; whether it happened is not known.',
      })
    }
    const { mode, cap } = this.agent.queue
    const started = await store.turns.startStep({
      ...this.#ref,
      key,
      kind: 'skill',
      name: call.skill,
      effect,
      requestHash: null,
      input: call.input,
      now: clock.now(),
      waiting: mode === 'steer' ? { policy: 'yield', cap } : { policy: 'leave' },
    })
    if (started.status === 'skipped') return started.outcome
    const outcome: SkillOutcome =
      chosen === undefined
        ? { status: 'error', code: 'not_found', message: `There is no skill "${call.skill}" for this agent.` }
        : await skills.run({ ...run, input: call.input, attempt: started.attempt })
    return this.#concludeSkill(call, outcome)
  }

  #show({ id: call, skill }: SkillCall, event: SkillEvent): void {
    if (event.is !== 'progress') return
    const last = this.#last()
    const { channel, id, session } = last.envelope
    if (!this.#parts.feed.isWatched(id, channel, last.lane)) return
    const { tenant, name: agent } = this.agent
    this.#parts.feed.emit({
      type: 'skill',
      tenant,
      messageId: id,
      channel,
      lane: last.lane,
      session,
      agent,
      skill,
      call,
      progress: event.data,
    })
  }

  /** A call that was cut by our own stop is not an answer: it is made again, or called unknown, by its effect. */
  async #concludeSkill(call: SkillCall, outcome: SkillOutcome): Promise<SkillOutcome> {
    if (this.signal.aborted && outcome.status === 'error' && outcome.code === 'cancelled') this.signal.throwIfAborted()
    return this.#finishSkill(call, 'done', outcome)
  }

  /** Ends the turn unless its last step did. */
  async finish(ending: Ending): Promise<void> {
    if (this.#ended !== null) return
    const messages: readonly Message[] =
      ending.outcome.kind === 'reply' && ending.outcome.calls === undefined ? [{ role: 'assistant', text: ending.outcome.text }] : []
    await this.endAs(this.#end(ending, messages))
  }

  async endAs(end: TurnEnd): Promise<void> {
    const { store, clock, patience } = this.#parts
    this.#close(end, await this.#trace.kept('end', () => patience.persist(() => store.turns.end(this.#ref, end, clock.now()))))
  }

  /** Tells those who watch what became of the turn's messages. */
  announceAll(status: MessageStatus, reason: string | null): void {
    for (const message of this.#messages()) this.announce(message, status, reason)
  }

  announce({ envelope, lane }: ClaimedMessage, status: MessageStatus, reason: string | null): void {
    const { id, channel, session } = envelope
    const { tenant, name: agent } = this.agent
    this.#parts.feed.emit({ type: 'message', tenant, messageId: id, channel, lane, session, agent, status, reason })
  }

  #messages(): readonly ClaimedMessage[] {
    return this.#joined.length === 0 ? this.#claimed.messages : [...this.#claimed.messages, ...this.#joined]
  }

  /** The message that the reply answers: the newest. */
  #last(): ClaimedMessage {
    const last = this.#joined.at(-1) ?? this.#claimed.messages.at(-1)
    if (last === undefined) throw new Error(`Turn ${this.id} has no message.`)
    return last
  }

  async #finishSkill(call: SkillCall, status: 'done' | 'unknown', outcome: SkillOutcome): Promise<SkillOutcome> {
    const { store, clock, patience } = this.#parts
    const stepDone: StepDone = {
      ...this.#ref,
      key: `skill:${call.id}`,
      name: call.skill,
      status,
      requestHash: null,
      result: { ...outcome },
      messages: [{ role: 'tool', call: call.id, skill: call.skill, text: toolText(outcome) }],
      usage: null,
      planned: [],
      summary: null,
      end: null,
      now: clock.now(),
    }
    await this.#trace.kept(stepDone.key, () => patience.persist(() => store.turns.finishStep(stepDone)))
    return outcome
  }

  #end({ outcome, reset }: Ending, messages: readonly Message[]): TurnEnd {
    switch (outcome.kind) {
      case 'wait':
        return { status: 'waiting', until: outcome.until, reason: { code: 'WAITING', message: outcome.reason } }
      case 'silence':
        return { status: 'done', deliveries: [], messages, reset: reset ?? false, reason: null }
      case 'reply':
        return { status: 'done', deliveries: this.#deliveries(outcome), messages, reset: reset ?? false, reason: null }
    }
  }

  #deliveries(outcome: Reply): readonly NewDelivery[] {
    const { envelope, lane, reply } = this.#last()
    const { channels, clock } = this.#parts
    const isCollected = channels.isCollected(envelope.channel)
    const extra = isCollected ? extraOf(outcome) : null
    if (outcome.text === '' && extra === null) return []
    const rendered = outcome.text === '' ? [{ text: '' }] : channels.render(envelope.channel, { text: outcome.text })
    const parts = extra === null ? rendered : rendered.map((part, at) => (at === rendered.length - 1 ? { ...part, extra } : part))
    const status = isCollected ? 'sent' : 'pending'
    return parts.map((rendered, index) => ({
      id: newDeliveryId(clock.now()),
      messageId: envelope.id,
      channel: envelope.channel,
      lane,
      to: reply,
      rendered,
      index,
      of: parts.length,
      status,
    }))
  }

  /** After the commit: replies first, then the status that ends the waiting for them. */
  #close(end: TurnEnd, ended: Ended): void {
    this.#ended = ended
    if (end.status === 'waiting') {
      this.#waitingUntil = end.until
      this.announceAll('waiting', end.reason.code)
      return
    }
    this.#replyParts = end.deliveries.length
    const { feed, channels } = this.#parts
    end.deliveries.forEach((delivery, at) => {
      const { id, messageId, channel, lane, index, of, rendered } = delivery
      const replySeq = ended.seqs[at] ?? 0
      feed.emit({
        type: 'reply',
        tenant: this.agent.tenant,
        messageId,
        channel,
        lane,
        session: this.session,
        agent: this.agent.name,
        id,
        replySeq,
        index,
        of,
        text: rendered.text,
      })
    })
    if (end.deliveries.some(({ status }) => status === 'sent')) this.#trace.collected(this.#last().envelope, end.deliveries.length)
    if (end.deliveries.some((delivery) => delivery.status === 'pending')) channels.deliver(this.#last().envelope.channel, this.#last().lane)
    this.announceAll('done', end.reason?.code ?? null)
  }
}

type Reply = Extract<Ending['outcome'], { kind: 'reply' }>

/** What goes with the last part; null: nothing but the text was said. */
function extraOf({ calls, finish }: Reply): JsonValue {
  if (calls === undefined && finish === undefined) return null
  return { ...(calls !== undefined && { calls: calls.map((call) => ({ ...call })) }), ...(finish !== undefined && { finish }) }
}

const BEGUN = { status: 'started', attempt: 1, joined: [] } as const

function asObject(value: JsonValue): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('A recorded step result is no object.')
  return value as JsonObject
}
