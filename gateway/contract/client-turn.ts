/**
 * What a client brings that drives the conversation itself: what was said before, instructions for this turn, tools that it runs on its own. It
 * travels in the envelope's metadata as `client_turn`, which only a channel can write: nobody outside may hand it in by that name.
 */
import type { Message, SkillCall } from './agent.ts'
import { envelopeText, isJsonObject, textOf } from './envelope.ts'
import type { Envelope, JsonObject, JsonValue } from './envelope.ts'

export interface ClientTurn {
  /** What the session does not know yet, oldest first; ends with what was just said or with what the client's tools gave. */
  readonly messages: readonly Message[]
  /** Beside the agent's own prompt; empty: none. */
  readonly instructions: string
  /** A call of one ends the turn, and what came of it is said in the next. */
  readonly tools: readonly ClientTool[]
  /** Fewer than the agent may write; null: as the agent may. */
  readonly maxOutputTokens: number | null
  /** auto: the agent decides. Else the model has to call one of the client's tools, or that one, and is offered no others. */
  readonly choice: ClientChoice
  /** In what form the words of the answer have to be; null: in any. */
  readonly format: AnswerFormat | null
}

export type ClientChoice = 'auto' | 'required' | { readonly tool: string }

/** JSON that fits a schema. What promises it to the client checks it: models are asked, and may fail. */
export interface AnswerFormat {
  /** `[A-Za-z0-9_-]{1,64}` */
  readonly name: string
  readonly description: string | null
  readonly schema: JsonObject
  /** Whether the model may only say what fits; null: as its provider does when nothing is said. */
  readonly isStrict: boolean | null
}

export interface ClientTool {
  /** `[A-Za-z0-9_-]{1,64}` */
  readonly name: string
  readonly description: string
  /** JSON Schema. */
  readonly inputs: JsonObject
}

export const CLIENT_TURN = 'client_turn'

/** null: it is a message like any other. */
export function clientTurnOf({ metadata }: Pick<Envelope, 'metadata'>): ClientTurn | null {
  const value = metadata[CLIENT_TURN]
  if (!isJsonObject(value)) return null
  const { messages, instructions, tools, maxOutputTokens, choice, format } = value
  return {
    messages: listOf(messages).map(messageOf),
    instructions: textOf(instructions),
    tools: listOf(tools).map(toolOf),
    maxOutputTokens: typeof maxOutputTokens === 'number' ? maxOutputTokens : null,
    choice: isJsonObject(choice) ? { tool: textOf(choice['tool']) } : choice === 'required' ? choice : 'auto',
    format: isJsonObject(format) ? formatOf(format) : null,
  }
}

const formatOf = ({ name, description, schema, isStrict }: JsonObject): AnswerFormat => ({
  name: textOf(name),
  description: typeof description === 'string' ? description : null,
  schema: isJsonObject(schema) ? schema : {},
  isStrict: typeof isStrict === 'boolean' ? isStrict : null,
})

/** What an envelope adds to the memory of its session. */
export function messagesOf(envelope: Envelope): readonly Message[] {
  return clientTurnOf(envelope)?.messages ?? [{ role: 'user', text: envelopeText(envelope), sender: envelope.sender_id }]
}

export const callOf = (value: JsonValue): SkillCall => {
  const { id, skill, input } = isJsonObject(value) ? value : {}
  return { id: textOf(id), skill: textOf(skill), input: input ?? null }
}

function messageOf(value: JsonValue): Message {
  const { role, text, calls, call, skill, sender } = isJsonObject(value) ? value : {}
  if (role === 'tool') return { role, text: textOf(text), call: textOf(call), skill: textOf(skill) }
  if (role !== 'assistant') return { role: 'user', text: textOf(text), sender: textOf(sender) }
  return { role, text: textOf(text), ...(Array.isArray(calls) && { calls: listOf(calls).map(callOf) }) }
}

function toolOf(value: JsonValue): ClientTool {
  const { name, description, inputs } = isJsonObject(value) ? value : {}
  return { name: textOf(name), description: textOf(description), inputs: isJsonObject(inputs) ? inputs : {} }
}

const listOf = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? value : [])
