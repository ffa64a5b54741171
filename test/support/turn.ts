/**
 * A turn in memory, as the hub gives it to an agent: steps are recorded and recalled by key, and it can die at every
 * point where a gateway can. A journal outlives its turns, so that a second turn over it is a run after a crash.
 */
import { DEFAULT_TENANT, asSessionKey, asTurnId, newMessageId, toolText } from '#contract'
import type {
  AgentDefinition,
  Ending,
  Envelope,
  JsonObject,
  Message,
  SessionKey,
  SkillCall,
  SkillDescriptor,
  SkillOutcome,
  StepOutcome,
  StepSpec,
  Turn,
  TurnId,
} from '#contract'

/** What is durable. */
export class Journal {
  readonly steps: Map<string, { readonly result: JsonObject; readonly joined: readonly Envelope[] }> = new Map()
  readonly skills: Map<string, SkillOutcome> = new Map()
  /** How often each skill call was really made. */
  readonly runs: Map<string, number> = new Map()
  readonly outcomes: Map<string, StepOutcome> = new Map()
  /** What was appended to the session in this turn. */
  readonly messages: Message[] = []
  readonly hashes: string[] = []
  summary: string | null = null
}

export class Died extends Error {}

/** before: the step was not started. uncommitted: it ran, and nobody knows. committed: right after its commit. */
export type DeathPoint = 'before' | 'uncommitted' | 'committed'

export interface RecordedTurnOptions {
  readonly texts?: readonly string[]
  readonly envelopes?: readonly Envelope[]
  readonly history?: readonly Message[]
  readonly agent?: Partial<AgentDefinition>
  readonly session?: string
  readonly skills?: readonly SkillDescriptor[]
  readonly journal?: Journal
  readonly signal?: AbortSignal
  /** Dies at the step of that number, from 1, over model and skill steps. */
  readonly die?: { readonly step: number; readonly at: DeathPoint }
  /** Messages that join with a step. */
  readonly joins?: { readonly [key: string]: readonly Envelope[] }
  readonly runSkill?: (call: SkillCall) => SkillOutcome
}

export class RecordedTurn implements Turn {
  readonly id: TurnId = asTurnId('turn-01K00000000000000000000000')
  readonly agent: AgentDefinition
  readonly session: SessionKey
  readonly envelopes: readonly Envelope[]
  readonly history: readonly Message[]
  readonly skills: readonly SkillDescriptor[]
  readonly signal: AbortSignal
  readonly journal: Journal
  /** What was said, null where it was taken back. */
  readonly said: (string | null)[] = []
  readonly #options: RecordedTurnOptions
  #step = 0

  constructor(options: RecordedTurnOptions = {}) {
    this.#options = options
    this.agent = { ...AGENT, ...options.agent }
    this.session = asSessionKey(options.session ?? 'agent:main:http:local:direct:alice')
    this.envelopes = options.envelopes ?? (options.texts ?? ['hello']).map((text) => envelopeOf(text))
    this.history = options.history ?? []
    this.skills = options.skills ?? []
    this.signal = options.signal ?? new AbortController().signal
    this.journal = options.journal ?? new Journal()
  }

  say(text: string | null): void {
    this.said.push(text)
  }

  async step(spec: StepSpec): Promise<{ readonly result: JsonObject; readonly joined: readonly Envelope[] }> {
    const done = this.journal.steps.get(spec.key)
    if (done !== undefined) return done
    this.#enter('before')
    const joined = this.#options.joins?.[spec.key] ?? []
    this.journal.hashes.push(spec.requestHash)
    const outcome = await spec.run({ idempotencyKey: `${this.id}:${spec.key}`, attempt: 1, joined, traceparent: undefined })
    this.#die('uncommitted')
    const recorded = { result: JSON.parse(JSON.stringify(outcome.result)) as JsonObject, joined }
    this.journal.steps.set(spec.key, recorded)
    this.journal.outcomes.set(spec.key, outcome)
    this.journal.messages.push(...joined.map((envelope): Message => userOf(envelope)), ...outcome.messages)
    if (outcome.summary !== undefined) this.journal.summary = outcome.summary
    this.#die('committed')
    return recorded
  }

  async skill(call: SkillCall): Promise<SkillOutcome> {
    const done = this.journal.skills.get(call.id)
    if (done !== undefined) return done
    this.#enter('before')
    this.journal.runs.set(call.id, (this.journal.runs.get(call.id) ?? 0) + 1)
    const outcome = this.#options.runSkill?.(call) ?? { status: 'ok', output: { did: call.skill } }
    this.#die('uncommitted')
    this.journal.skills.set(call.id, outcome)
    this.journal.messages.push({ role: 'tool', call: call.id, skill: call.skill, text: toolText(outcome) })
    this.#die('committed')
    return outcome
  }

  #enter(at: DeathPoint): void {
    this.#step++
    this.#die(at)
  }

  #die(at: DeathPoint): void {
    if (this.#options.die?.step === this.#step && this.#options.die.at === at) throw new Died(`${at} step ${this.#step}`)
  }
}

export function envelopeOf(text: string, sender = 'alice'): Envelope {
  return {
    version: 1,
    id: newMessageId(1_700_000_000_000),
    channel: 'http',
    sender_id: sender,
    timestamp: 1_700_000_000_000,
    payload: { text },
    metadata: {},
    session: null,
  }
}
const userOf = (envelope: Envelope): Message => ({
  role: 'user',
  text: 'text' in envelope.payload ? envelope.payload.text : '',
  sender: envelope.sender_id,
})

export const replyOf = (ending: Ending): string => (ending.outcome.kind === 'reply' ? ending.outcome.text : `(${ending.outcome.kind})`)

const AGENT: AgentDefinition = {
  tenant: DEFAULT_TENANT,
  name: 'main',
  id: null,
  version: '1.0.0',
  description: '',
  capabilities: [],
  prompt: 'You are a test.',
  models: [],
  skills: ['*'],
  limits: {
    maxSteps: 8,
    maxContextTokens: 8_000,
    maxOutputTokens: 512,
    turnTimeoutMs: 60_000,
    maxConcurrentTurns: 8,
    turnsPerMinute: null,
    tokensPerHour: null,
  },
  queue: { mode: 'followup', cap: 20, debounceMs: 0 },
  sessionScope: 'per-channel-peer',
}
