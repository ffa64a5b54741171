/**
 * The wire of OpenAI's chat completions, which nearly every other provider and local server speaks too
 * (https://platform.openai.com/docs/api-reference/chat). Reads tool calls in fragments, also from servers that leave out the index.
 */
import type { JsonObject, JsonValue, Message } from '#contract'
import { faultOfEvent } from './fault.ts'
import { NO_TOKENS, parseArguments, toolName } from './model.ts'
import type { Completion, ModelRequest, Tokens } from './model.ts'
import { countAt, formatOf, listAt, objectAt, parseObject, textAt, truncated } from './wire.ts'
import type { AnswerReader, Wire } from './wire.ts'

export const openaiChat: Wire = {
  path: 'chat/completions',
  abilities: ['forced-call', 'json-schema'],
  headers: (apiKey) => (apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
  encode,
  read: (_request, onText) => new ChatReader(onText),
}

function encode(request: ModelRequest, baseUrl: URL): string {
  const messages: JsonValue[] = request.system === '' ? [] : [{ role: 'system', content: request.system }]
  for (const message of request.messages) messages.push(encodeMessage(message))
  const tools = request.toolChoice === 'none' ? [] : request.tools
  // OpenAI's newer models refuse max_tokens; most other servers know nothing else.
  const limit = baseUrl.hostname.endsWith('openai.com') || baseUrl.hostname.endsWith('azure.com') ? 'max_completion_tokens' : 'max_tokens'
  return JSON.stringify({
    model: request.model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    [limit]: request.maxOutputTokens,
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map((tool) => ({
            type: 'function',
            function: { name: tool.name, description: tool.description, parameters: tool.inputs },
          })),
          ...choiceOf(request.toolChoice),
        }),
    ...(request.format !== undefined && {
      response_format: { type: 'json_schema', json_schema: formatOf(request.format) },
    }),
  })
}

/** Left out where the model may choose: servers that know nothing of it are many. */
function choiceOf(choice: ModelRequest['toolChoice']): JsonObject {
  if (choice === 'auto' || choice === 'none') return {}
  return { tool_choice: choice === 'required' ? choice : { type: 'function', function: { name: choice.tool } } }
}

function encodeMessage(message: Message): JsonValue {
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.call, content: message.text }
  if (message.role !== 'assistant') return { role: 'user', content: message.text }
  const calls = message.calls ?? []
  if (calls.length === 0) return { role: 'assistant', content: message.text }
  return {
    role: 'assistant',
    content: message.text === '' ? null : message.text,
    tool_calls: calls.map((call) => ({
      id: call.id,
      type: 'function',
      function: { name: toolName(call.skill), arguments: JSON.stringify(call.input ?? {}) },
    })),
  }
}

interface CallInParts {
  id: string
  tool: string
  arguments: string
}

class ChatReader implements AnswerReader {
  readonly #onText: (text: string) => void
  #text = ''
  #refusal = ''
  #reason: string | null = null
  #calls: Map<number, CallInParts> | null = null
  #tokens: Tokens = NO_TOKENS

  constructor(onText: (text: string) => void) {
    this.#onText = onText
  }

  event(data: string): boolean {
    if (data === '[DONE]') return true
    const chunk = parseObject(data)
    if (chunk['error'] !== undefined && chunk['error'] !== null) throw faultOfEvent(chunk['error'])
    const choice = objectAt(listAt(chunk['choices'])[0])
    const delta = objectAt(choice['delta'])
    const text = textAt(delta['content'])
    if (text !== '') {
      this.#text += text
      this.#onText(text)
    }
    this.#refusal += textAt(delta['refusal'])
    if (delta['tool_calls'] !== undefined) this.#addCalls(listAt(delta['tool_calls']))
    this.#close(chunk, choice)
    return false
  }

  whole(body: JsonObject): void {
    const choice = objectAt(listAt(body['choices'])[0])
    const message = objectAt(choice['message'])
    this.#text = textAt(message['content'])
    this.#refusal = textAt(message['refusal'])
    if (this.#text !== '') this.#onText(this.#text)
    this.#addCalls(listAt(message['tool_calls']))
    this.#close(body, choice)
  }

  finish(): Completion {
    if (this.#reason === null) throw truncated()
    const calls = [...(this.#calls?.values() ?? [])].map((call) => ({
      id: call.id,
      tool: call.tool,
      ...parseArguments(call.arguments),
    }))
    const refused = this.#reason === 'content_filter' || this.#refusal !== ''
    return {
      text: this.#text === '' ? this.#refusal : this.#text,
      calls: refused ? [] : calls,
      finish: refused ? 'refusal' : this.#reason === 'length' ? 'length' : calls.length > 0 ? 'calls' : 'stop',
      tokens: this.#tokens,
      extra: null,
    }
  }

  #close(chunk: JsonObject, choice: JsonObject): void {
    if (typeof choice['finish_reason'] === 'string') this.#reason = choice['finish_reason']
    const usage = chunk['usage']
    if (usage !== undefined && usage !== null) this.#tokens = tokensOf(objectAt(usage))
  }

  #addCalls(parts: readonly JsonValue[]): void {
    const calls = (this.#calls ??= new Map())
    for (const value of parts) {
      const part = objectAt(value)
      const id = textAt(part['id'])
      const index = typeof part['index'] === 'number' ? part['index'] : id === '' ? Math.max(0, calls.size - 1) : calls.size
      let call = calls.get(index)
      if (call === undefined) calls.set(index, (call = { id, tool: '', arguments: '' }))
      const named = objectAt(part['function'])
      call.tool += textAt(named['name'])
      const piece = named['arguments']
      call.arguments += typeof piece === 'string' ? piece : piece === undefined || piece === null ? '' : JSON.stringify(piece)
    }
  }
}

const tokensOf = (usage: JsonObject): Tokens => ({
  input: countAt(usage['prompt_tokens']),
  output: countAt(usage['completion_tokens']),
  cacheRead: countAt(objectAt(usage['prompt_tokens_details'])['cached_tokens']),
  cacheWrite: 0,
})
