/**
 * The port behind which every model stands: one request, one completion, text as it comes. What a provider's wire looks
 * like, how often it is asked and what it costs is told elsewhere (wires beside this file, router.ts, prices.ts).
 */
import { isWithinBounds } from '#contract'
import type { AnswerFormat, Fault, JsonObject, JsonValue, Message, SkillDescriptor } from '#contract'

export interface Model {
  /**
   * One call, no retries. Calls `onText` with each piece of text as it comes. Rejects with a `ModelFault`, or with the
   * signal's reason once that is aborted.
   */
  complete(request: ModelRequest, signal: AbortSignal, onText: (text: string) => void): Promise<Completion>
  /** Resolves when its connections are closed. */
  close(): Promise<void>
}

export interface Prompt {
  readonly system: string
  /** Paired: each call is followed by its answers. No two tools of one name. */
  readonly messages: readonly Message[]
  readonly tools: readonly Tool[]
  /** none: the tools are told, because the messages speak of them, but must not be called. required: one of them, `tool`: that one must be. */
  readonly toolChoice: 'auto' | 'none' | 'required' | { readonly tool: string }
  /** In what form the text has to be; without one: in any. */
  readonly format?: AnswerFormat
  readonly maxOutputTokens: number
}

export interface ModelRequest extends Prompt {
  /** `provider/model`; what `Message.extra` is bound to. */
  readonly name: string
  /** The model's id at its provider. */
  readonly model: string
  readonly idempotencyKey: string
  /** W3C trace context, told to the provider. */
  readonly traceparent?: string | undefined
  /** Bound of the whole call. */
  readonly timeoutMs: number
}

export interface Tool {
  readonly name: string
  readonly description: string
  readonly inputs: JsonObject
}

export interface Completion {
  readonly text: string
  readonly calls: readonly ModelCall[]
  /** length: cut at the output limit. refusal: the model or its provider would not. */
  readonly finish: 'stop' | 'calls' | 'length' | 'refusal'
  readonly tokens: Tokens
  /** Private parts (signatures, encrypted reasoning) that the same model wants back verbatim; null: none. */
  readonly extra: JsonValue
}

export interface ModelCall {
  /** As the provider made it; empty if it made none. */
  readonly id: string
  readonly tool: string
  readonly input: JsonValue
  /** Why the input could not be read; `input` is null then. */
  readonly fault: string | null
}

export interface Tokens {
  /** All input, cached or not. */
  readonly input: number
  readonly output: number
  /** Of the input. */
  readonly cacheRead: number
  /** Of the input. */
  readonly cacheWrite: number
}
export const NO_TOKENS: Tokens = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }

/** Tools are named `[A-Za-z0-9_-]{1,64}` on all three wires; ids that are not get a name of that form, marked by a digest of the id. */
export function toolName(skill: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(skill)) return skill
  let digest = 0x811c9dc5
  for (let i = 0; i < skill.length; i++) digest = Math.imul(digest ^ skill.charCodeAt(i), 0x01000193) >>> 0
  return `${skill.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 54)}_${digest.toString(36)}`
}

export const toolOf = (skill: SkillDescriptor): Tool => ({
  name: toolName(skill.id),
  description: skill.description,
  inputs: skill.inputs,
})

/** Arguments as a model wrote them; nothing at all means no arguments. */
export function parseArguments(text: string): { readonly input: JsonValue; readonly fault: string | null } {
  if (text.trim() === '') return { input: {}, fault: null }
  let input: JsonValue
  try {
    input = JSON.parse(text) as JsonValue
  } catch {
    return { input: null, fault: 'the arguments are not valid JSON' }
  }
  // They are kept, handed on and written out again: what cannot be ends a turn, whatever it has cost.
  const faults: Fault[] = []
  if (isWithinBounds(input, '', faults, MAX_ARGUMENT_MEMBERS)) return { input, fault: null }
  return { input: null, fault: `the arguments are refused: ${faults[0]?.detail ?? ''}` }
}

const MAX_ARGUMENT_MEMBERS = 50_000
