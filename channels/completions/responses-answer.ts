/** An answer as a response, whole or in events (https://platform.openai.com/docs/api-reference/responses-streaming). */
import type { EventSink, JsonObject } from '#contract'
import { argumentsOf, begunAnew } from './answer.ts'
import type { Answer, Failed } from './answer.ts'
import type { Speech } from './follow.ts'

export interface ResponseHead {
  readonly id: string
  readonly createdAt: number
  /** What it repeats of its request. */
  readonly echo: JsonObject
}

export function responseOf(head: ResponseHead, answer: Answer | Failed | null, told: string | null = null): JsonObject {
  const isAnswer = answer !== null && !('status' in answer)
  const status = answer === null ? 'in_progress' : !isAnswer ? 'failed' : answer.finish === 'length' ? 'incomplete' : 'completed'
  const incomplete = isAnswer && answer.finish === 'length' ? { reason: 'max_output_tokens' } : null
  return {
    id: head.id,
    object: 'response',
    created_at: head.createdAt,
    status,
    background: false,
    error: answer !== null && !isAnswer ? { code: 'server_error', message: `${answer.code.toLowerCase()}: ${answer.message}` } : null,
    incomplete_details: incomplete,
    ...head.echo,
    output: isAnswer ? outputOf(head.id, answer, told ?? answer.text) : [],
    parallel_tool_calls: true,
    temperature: null,
    top_p: null,
    truncation: 'disabled',
    usage: isAnswer ? usageOf(answer) : null,
  }
}

function outputOf(id: string, { calls }: Answer, text: string): readonly JsonObject[] {
  const message = text === '' && calls.length > 0 ? [] : [messageItem(id, 'completed', text)]
  return [...message, ...calls.map((call) => callItem(id, 'completed', { id: call.id, name: call.skill, given: argumentsOf(call) }))]
}

const partOf = (text: string): JsonObject => ({ type: 'output_text', text, annotations: [], logprobs: [] })
const messageItem = (id: string, status: string, text: string | null): JsonObject => ({
  id: id.replace('resp_', 'msg_'),
  type: 'message',
  role: 'assistant',
  status,
  content: text === null ? [] : [partOf(text)],
})
const callItem = (
  id: string,
  status: string,
  call: { readonly id: string; readonly name: string; readonly given: string },
): JsonObject => ({
  id: `fc_${id.slice('resp_'.length)}_${call.id}`,
  type: 'function_call',
  call_id: call.id,
  name: call.name,
  arguments: call.given,
  status,
})

const usageOf = ({ tokens: { input, output, cached } }: Answer): JsonObject => ({
  input_tokens: input,
  input_tokens_details: { cached_tokens: cached },
  output_tokens: output,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: input + output,
})

export class ResponseStream {
  readonly #sink: EventSink
  readonly #head: ResponseHead
  #sequence = 0
  #isMessageOpen = false

  constructor(sink: EventSink, head: ResponseHead) {
    this.#sink = sink
    this.#head = head
  }

  begin(): void {
    const response = responseOf(this.#head, null)
    this.#send('response.created', { response })
    this.#send('response.in_progress', { response })
  }

  text(delta: string): void {
    this.#openMessage()
    this.#send('response.output_text.delta', { ...this.#place(), delta, logprobs: [] })
  }

  end(answer: Answer | Failed, speech: Speech): void {
    if ('status' in answer) return this.#fail(answer)
    const rest = speech.end(answer.text)
    if (rest === null) return this.#fail(begunAnew)
    if (rest !== '' || answer.calls.length === 0) this.text(rest)
    // What was said on the way to the answer was said too.
    const told = speech.told === '' ? answer.text : speech.told
    if (this.#isMessageOpen) this.#closeMessage(told)
    for (const call of answer.calls) this.#call({ id: call.id, name: call.skill, given: argumentsOf(call) }, answer.calls.indexOf(call))
    const response = responseOf(this.#head, answer, told)
    this.#send(answer.finish === 'length' ? 'response.incomplete' : 'response.completed', { response })
  }

  #fail(failed: Failed): void {
    this.#send('response.failed', { response: responseOf(this.#head, failed) })
  }

  #openMessage(): void {
    if (this.#isMessageOpen) return
    this.#isMessageOpen = true
    this.#send('response.output_item.added', { output_index: 0, item: messageItem(this.#head.id, 'in_progress', null) })
    this.#send('response.content_part.added', { ...this.#place(), part: partOf('') })
  }

  #closeMessage(text: string): void {
    this.#send('response.output_text.done', { ...this.#place(), text, logprobs: [] })
    this.#send('response.content_part.done', { ...this.#place(), part: partOf(text) })
    this.#send('response.output_item.done', { output_index: 0, item: messageItem(this.#head.id, 'completed', text) })
  }

  #call(call: { readonly id: string; readonly name: string; readonly given: string }, at: number): void {
    const index = at + (this.#isMessageOpen ? 1 : 0)
    const item = callItem(this.#head.id, 'completed', call)
    const place = { item_id: item['id'] ?? '', output_index: index }
    this.#send('response.output_item.added', { output_index: index, item: callItem(this.#head.id, 'in_progress', { ...call, given: '' }) })
    this.#send('response.function_call_arguments.delta', { ...place, delta: call.given })
    this.#send('response.function_call_arguments.done', { ...place, name: call.name, arguments: call.given })
    this.#send('response.output_item.done', { output_index: index, item })
  }

  #place(): JsonObject {
    return { item_id: this.#head.id.replace('resp_', 'msg_'), output_index: 0, content_index: 0 }
  }

  #send(type: string, members: JsonObject): void {
    this.#sink.send({ event: type, data: { type, sequence_number: this.#sequence++, ...members } })
  }
}
