/**
 * The spans of a turn: that it was dispatched, that its agent ran, and below that each model call and each commit. Of what was said nothing
 * is told: names and numbers only (OpenTelemetry GenAI semantic conventions). Skill calls are told where they run.
 */
import { describeError } from '#contract'
import type { AgentDefinition, ClaimedTurn, Envelope, Span, StepOutcome, StepSpec, Tracer } from '#contract'

type Call = Omit<Parameters<StepSpec['run']>[0], 'traceparent'>

export class TurnTrace {
  readonly #tracer: Tracer
  readonly #agent: string
  readonly #dispatch: Span
  readonly #run: Span

  /** All hangs below the newest message; the others of a collected turn are linked. */
  constructor(tracer: Tracer, { claimed, agent, startedAt }: { claimed: ClaimedTurn; agent: AgentDefinition; startedAt: number }) {
    this.#tracer = tracer
    this.#agent = agent.name
    const [parent, ...links] = claimed.messages.map(({ envelope }) => envelope.metadata.traceparent).toReversed()
    const named = { 'gen_ai.agent.name': agent.name, 'openclaw.turn.id': claimed.id }
    const attributes = { ...named, 'openclaw.attempt': claimed.attempt, 'openclaw.resumed': claimed.resumed }
    this.#dispatch = tracer.span('agent.dispatch', { parent, links, startedAt, attributes })
    this.#run = tracer.span('agent.run', {
      parent: this.#dispatch.traceparent,
      attributes: { 'gen_ai.operation.name': 'invoke_agent', ...named },
    })
  }

  /** For all that the agent leads to. */
  get traceparent(): string | undefined {
    return this.#run.traceparent
  }

  /** The first word counts. */
  end(fault: string | null): void {
    this.#run.end(fault)
    this.#dispatch.end()
  }

  async call(spec: StepSpec, call: Call): Promise<StepOutcome> {
    const span = this.#tracer.span('llm.call', {
      parent: this.traceparent,
      kind: 'client',
      attributes: {
        'gen_ai.operation.name': 'chat',
        'gen_ai.agent.name': this.#agent,
        'openclaw.step': spec.key,
        'openclaw.attempt': call.attempt,
      },
    })
    try {
      const outcome = await spec.run({ ...call, traceparent: span.traceparent })
      const { usage } = outcome
      span.set({
        'gen_ai.provider.name': usage?.provider,
        'gen_ai.request.model': usage?.model,
        'gen_ai.usage.input_tokens': usage?.inputTokens,
        'gen_ai.usage.output_tokens': usage?.outputTokens,
      })
      span.end()
      return outcome
    } catch (error) {
      span.end(describeError(error).code)
      throw error
    }
  }

  /** A commit, waiting for the disk included. */
  async kept<Result>(what: string, commit: () => Promise<Result>): Promise<Result> {
    const span = this.#tracer.span('state.op', { parent: this.traceparent, attributes: { 'openclaw.step': what } })
    let fault: string | null = null
    try {
      return await commit()
    } catch (error) {
      fault = describeError(error).code
      throw error
    } finally {
      span.end(fault)
    }
  }

  /** Where replies are collected, being stored is being delivered. */
  collected({ id, channel, metadata }: Envelope, parts: number): void {
    const attributes = { 'openclaw.channel': channel, 'openclaw.message.id': id, 'openclaw.parts': parts }
    this.#tracer.span('channel.egress', { parent: metadata.traceparent, kind: 'producer', attributes }).end()
  }
}
