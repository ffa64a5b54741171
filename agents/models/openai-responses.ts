/**
 * The wire of OpenAI's responses (https://platform.openai.com/docs/api-reference/responses), used without state at the
 * provider: nothing is stored there, and encrypted reasoning comes back with the next request.
 */
import type { JsonObject, JsonValue } from '#contract'
import { faultOfEvent } from './fault.ts'
import { NO_TOKENS, parseArguments, toolName } from './model.ts'
import type { Completion, ModelCall, ModelRequest, Tokens } from './model.ts'
import { countAt, formatOf, listAt, objectAt, parseObject, piecesOf, Places, textAt, truncated } from './wire.ts'
import type { AnswerReader, Piece, Wire } from './wire.ts'

export const openaiResponses: Wire = {
  path: 'responses',
  abilities: ['forced-call', 'json-schema'],
  headers: (apiKey) => (apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
  encode,
  read: (request, onText) => new ResponseReader(request.name, onText),
}

/** Models that do not reason refuse to be asked for it. */
const reasons = (model: string): boolean => /^(o\d|gpt-([5-9]|\d\d))/.test(model) && !model.includes('-chat')

function encode(request: ModelRequest): string {
  return JSON.stringify({
    model: request.model,
    ...(request.system === '' ? {} : { instructions: request.system }),
    input: encodeInput(request),
    stream: true,
    store: false,
    max_output_tokens: request.maxOutputTokens,
    ...(reasons(request.model) ? { include: ['reasoning.encrypted_content'] } : {}),
    ...(request.tools.length === 0
      ? {}
      : {
          tools: request.tools.map((tool) => ({
            type: 'function',
            name: tool.name,
            description: tool.description,
            parameters: tool.inputs,
            strict: false,
          })),
          tool_choice: typeof request.toolChoice === 'string' ? request.toolChoice : { type: 'function', name: request.toolChoice.tool },
        }),
    ...(request.format !== undefined && { text: { format: { type: 'json_schema', ...formatOf(request.format) } } }),
  })
}

function encodeInput(request: ModelRequest): readonly JsonValue[] {
  const input: JsonValue[] = []
  for (const message of request.messages) {
    switch (message.role) {
      case 'user':
      case 'summary':
        input.push({ role: 'user', content: message.text })
        break
      case 'tool':
        input.push({ type: 'function_call_output', call_id: message.call, output: message.text })
        break
      case 'assistant':
        // Reasoning without what it led to is refused.
        if (message.text !== '' || (message.calls ?? []).length > 0) input.push(...piecesOf(message, request.name).map(encodePiece))
        break
    }
  }
  return input
}

function encodePiece(piece: Piece): JsonValue {
  if (piece.is === 'own') return piece.part
  if (piece.is === 'text') return { role: 'assistant', content: piece.text }
  const { id, skill, input } = piece.call
  return { type: 'function_call', call_id: id, name: toolName(skill), arguments: JSON.stringify(input ?? {}) }
}

class ResponseReader implements AnswerReader {
  readonly #name: string
  readonly #onText: (text: string) => void
  readonly #items: JsonValue[] = []
  #response: JsonObject | null = null

  constructor(name: string, onText: (text: string) => void) {
    this.#name = name
    this.#onText = onText
  }

  event(data: string): boolean {
    const event = parseObject(data)
    switch (textAt(event['type'])) {
      case 'response.output_text.delta':
        this.#onText(textAt(event['delta']))
        return false
      case 'response.output_item.done':
        this.#items.push(event['item'] ?? null)
        return false
      case 'response.completed':
      case 'response.incomplete':
        this.#response = objectAt(event['response'])
        return true
      case 'response.failed':
        throw faultOfEvent(objectAt(event['response'])['error'])
      case 'error':
        throw faultOfEvent(event['error'] ?? event)
      default:
        return false
    }
  }

  whole(body: JsonObject): void {
    if (body['status'] === 'failed') throw faultOfEvent(body['error'])
    this.#response = body
    const { text } = readItems(listAt(body['output']))
    if (text !== '') this.#onText(text)
  }

  finish(): Completion {
    const response = this.#response
    if (response === null) throw truncated()
    const output = listAt(response['output'])
    const items = readItems(output.length > 0 ? output : this.#items)
    const reason = objectAt(response['incomplete_details'])['reason']
    const refused = items.refusal !== '' || reason === 'content_filter'
    return {
      text: items.text === '' ? items.refusal : items.text,
      calls: refused ? [] : items.calls,
      finish: refused ? 'refusal' : response['status'] === 'incomplete' ? 'length' : items.calls.length > 0 ? 'calls' : 'stop',
      tokens: tokensOf(response['usage']),
      extra: items.places.extra(this.#name),
    }
  }
}

function readItems(items: readonly JsonValue[]): {
  readonly text: string
  readonly refusal: string
  readonly calls: readonly ModelCall[]
  readonly places: Places
} {
  let text = ''
  let refusal = ''
  const calls: ModelCall[] = []
  const places = new Places()
  for (const value of items) {
    const item = objectAt(value)
    if (item['type'] === 'message') {
      for (const part of listAt(item['content']).map(objectAt)) {
        const piece = part['type'] === 'output_text' ? textAt(part['text']) : ''
        text += piece
        places.text(piece)
        refusal += part['type'] === 'refusal' ? textAt(part['refusal']) : ''
      }
    } else if (item['type'] === 'function_call') {
      calls.push({ id: textAt(item['call_id']), tool: textAt(item['name']), ...parseArguments(textAt(item['arguments'])) })
      places.call()
    } else if (item['type'] === 'reasoning' && typeof item['encrypted_content'] === 'string') {
      places.own(item)
    }
  }
  return { text, refusal, calls, places }
}

function tokensOf(value: JsonValue | undefined): Tokens {
  if (value === undefined || value === null) return NO_TOKENS
  const usage = objectAt(value)
  return {
    input: countAt(usage['input_tokens']),
    output: countAt(usage['output_tokens']),
    cacheRead: countAt(objectAt(usage['input_tokens_details'])['cached_tokens']),
    cacheWrite: 0,
  }
}
