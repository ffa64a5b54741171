/** An answer as a chat completion, whole or in chunks (https://platform.openai.com/docs/api-reference/chat/object). */
import type { EventSink, JsonObject } from '#contract'
import { argumentsOf, begunAnew, errorDocument } from './answer.ts'
import type { Answer, Failed } from './answer.ts'
import type { Speech } from './follow.ts'

const REASONS = { stop: 'stop', calls: 'tool_calls', length: 'length', refusal: 'content_filter' } as const

export interface ChatHead {
  readonly id: string
  readonly model: string
  /** Seconds since 1970. */
  readonly created: number
}

export function chatCompletion({ id, model, created }: ChatHead, answer: Answer): JsonObject {
  const calls = callsOf(answer)
  const content = answer.text === '' && calls.length > 0 ? null : answer.text
  return {
    id,
    object: 'chat.completion',
    created,
    model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null, annotations: [], ...(calls.length > 0 && { tool_calls: calls }) },
        logprobs: null,
        finish_reason: REASONS[answer.finish],
      },
    ],
    usage: usageOf(answer),
    system_fingerprint: null,
  }
}

export class ChatStream {
  readonly #sink: EventSink
  readonly #head: JsonObject
  readonly #hasUsage: boolean

  constructor(sink: EventSink, { id, model, created, hasUsage }: ChatHead & { readonly hasUsage: boolean }) {
    this.#sink = sink
    this.#head = { id, object: 'chat.completion.chunk', created, model, system_fingerprint: null }
    this.#hasUsage = hasUsage
  }

  begin(): void {
    this.#choice({ role: 'assistant', content: '' })
  }

  text(text: string): void {
    this.#choice({ content: text })
  }

  end(answer: Answer | Failed, speech: Speech): void {
    if ('status' in answer) return this.#fail(answer)
    const rest = speech.end(answer.text)
    if (rest === null) return this.#fail(begunAnew)
    if (rest !== '') this.text(rest)
    if (answer.calls.length > 0) this.#choice({ tool_calls: callsOf(answer).map((call, index) => ({ index, ...call })) })
    this.#choice({}, REASONS[answer.finish])
    if (this.#hasUsage) this.#send({ ...this.#head, choices: [], usage: usageOf(answer) })
    this.#done()
  }

  #fail(failed: Failed): void {
    this.#send(errorDocument(failed))
    this.#done()
  }

  #choice(delta: JsonObject, reason: string | null = null): void {
    this.#send({
      ...this.#head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: reason }],
      ...(this.#hasUsage && { usage: null }),
    })
  }

  #send(data: JsonObject): void {
    this.#sink.send({ data })
  }

  #done(): void {
    this.#sink.send({ data: '[DONE]', isText: true })
  }
}

const callsOf = ({ calls }: Answer): readonly JsonObject[] =>
  calls.map((call) => ({ id: call.id, type: 'function', function: { name: call.skill, arguments: argumentsOf(call) } }))

const usageOf = ({ tokens: { input, output, cached } }: Answer): JsonObject => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
  prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
})
