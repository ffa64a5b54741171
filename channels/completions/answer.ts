/** What became of a message, as far as either form of answer needs it: text, calls of the client's tools, why it ended, what it cost. */
import { UnavailableError, callOf, isJsonObject, textOf } from '#contract'
import type { HttpReply, JsonObject, JsonValue, SkillCall } from '#contract'

export interface Answer {
  readonly text: string
  readonly calls: readonly SkillCall[]
  readonly finish: 'stop' | 'calls' | 'length' | 'refusal'
  readonly tokens: { readonly input: number; readonly output: number; readonly cached: number }
}

/** Why there is none. */
export interface Failed {
  readonly status: number
  readonly code: string
  readonly message: string
}

export function answerOf(document: JsonObject): Answer | Failed {
  if (document['status'] === 'dead') {
    const { code, message } = isJsonObject(document['reason']) ? document['reason'] : {}
    return { status: 502, code: textOf(code), message: textOf(message) }
  }
  if (document['status'] !== 'done') {
    return {
      status: 504,
      code: 'ANSWER_LATE',
      message: 'The agent is still at it. Ask again with the same Idempotency-Key, or read the message.',
    }
  }
  const replies = listOf(document['replies'])
  const extra = replies.map(({ extra: given }) => given).find(isJsonObject) ?? {}
  const calls = listOf(extra['calls']).map(callOf)
  const usages = listOf(document['steps']).flatMap(({ usage }) => (isJsonObject(usage) ? [usage] : []))
  const sum = (name: string): number => usages.reduce((total, usage) => total + numberOf(usage[name]), 0)
  const cut = extra['finish'] === 'length' || extra['finish'] === 'refusal' ? extra['finish'] : 'stop'
  return {
    text: replies.map(({ text }) => textOf(text)).join('\n'),
    calls,
    finish: calls.length > 0 ? 'calls' : cut,
    tokens: { input: sum('input_tokens'), output: sum('output_tokens'), cached: sum('cache_read_tokens') },
  }
}

/** `x-should-retry`: the official clients would send it again, and it would be another message. */
export function failureReply(failed: Failed, id: string): HttpReply {
  return { status: failed.status, headers: { 'x-should-retry': 'false', 'x-openclaw-message': id }, body: errorDocument(failed) }
}

export const errorDocument = ({ code, message }: Failed): JsonObject => ({
  error: { message, type: 'server_error', param: null, code: code.toLowerCase() },
})

export const begunAnew: Failed = {
  status: 502,
  code: 'ANSWER_BEGUN_ANEW',
  message: 'The answer was begun anew and is not what was told of it. Ask again with the same Idempotency-Key for the whole of it.',
}

/** The gateway is stopping, or the channel. */
export const notNow = (name: string): UnavailableError =>
  new UnavailableError(`Channel "${name}" takes in nothing now. Try again.`, { code: 'CHANNEL_CLOSED' })

export const argumentsOf = ({ input }: SkillCall): string => JSON.stringify(input ?? {})

const listOf = (value: JsonValue | undefined): readonly JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : [])
const numberOf = (value: JsonValue | undefined): number => (typeof value === 'number' ? value : 0)
