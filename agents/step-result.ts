/**
 * What a model step leaves behind, as JSON in the journal, and its way back. A result may have been written by an older
 * release or another machine, so it is parsed like anything from outside.
 */
import type { Ending, JsonObject, JsonValue, Message, SkillCall } from '#contract'
import { isJsonObject } from '#contract'

export interface StepResult {
  /** Appended to the session: the assistant's entry, and answers to calls that cannot be run. */
  readonly messages: readonly Message[]
  /** To be run, in order. */
  readonly planned: readonly SkillCall[]
  /** For the client to run, once the planned ones are done. */
  readonly asked: readonly SkillCall[]
  readonly ending: Ending | null
}

/** JSON has no `undefined`; members that are not there are left out. */
export const encodeResult = (result: StepResult): JsonObject => JSON.parse(JSON.stringify(result)) as JsonObject

export function decodeResult(value: JsonObject): StepResult {
  return {
    messages: list(value['messages']).map(message),
    planned: list(value['planned']).map(call),
    asked: list(value['asked']).map(call),
    ending: value['ending'] === null || value['ending'] === undefined ? null : ending(value['ending']),
  }
}

function message(value: JsonValue): Message {
  const { role, text: said, calls, extra, call: id, skill, sender } = object(value)
  if (role === 'tool') return { role, text: text(said), call: text(id), skill: text(skill) }
  if (role === 'user') return { role, text: text(said), sender: text(sender) }
  if (role !== 'assistant') return { role: 'summary', text: text(said) }
  return {
    role,
    text: text(said),
    ...(calls === undefined ? {} : { calls: list(calls).map(call) }),
    ...(extra === undefined ? {} : { extra }),
  }
}

function call(value: JsonValue): SkillCall {
  const { id, skill, input } = object(value)
  return { id: text(id), skill: text(skill), input: input ?? null }
}

function ending(value: JsonValue): Ending {
  const { kind, text: said, calls, finish } = object(object(value)['outcome'])
  if (kind === 'silence') return { outcome: { kind } }
  return {
    outcome: {
      kind: 'reply',
      text: text(said),
      ...(calls !== undefined && { calls: list(calls).map(call) }),
      ...((finish === 'length' || finish === 'refusal') && { finish }),
    },
  }
}

const object = (value: JsonValue | undefined): JsonObject => (isJsonObject(value) ? value : {})
const list = (value: JsonValue | undefined): readonly JsonValue[] => (Array.isArray(value) ? value : [])
const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')
