/**
 * The wire of Anthropic's messages (https://docs.claude.com/en/api/messages). The prompt's fixed part and its newest end
 * are marked for caching; thinking goes back verbatim to the model that thought it.
 */
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue, Message } from '#contract'
import { faultOfEvent } from './fault.ts'
import { parseArguments, toolName } from './model.ts'
import type { Completion, ModelCall, ModelRequest, Tokens } from './model.ts'
import { countAt, listAt, objectAt, parseObject, piecesOf, Places, textAt, truncated } from './wire.ts'
import type { AnswerReader, Wire } from './wire.ts'

export const anthropic: Wire = {
  path: 'messages',
  abilities: ['forced-call'],
  headers: (apiKey) => ({ 'anthropic-version': '2023-06-01', ...(apiKey === null ? {} : { 'x-api-key': apiKey }) }),
  encode,
  read: (request, onText) => new MessageReader(request.name, onText),
}

const CACHED = { cache_control: { type: 'ephemeral' } }

function encode(request: ModelRequest): string {
  return JSON.stringify({
    model: request.model,
    max_tokens: request.maxOutputTokens,
    ...(request.system === '' ? {} : { system: [{ type: 'text', text: request.system, ...CACHED }] }),
    messages: encodeMessages(request.messages, request.name),
    stream: true,
    ...(request.tools.length === 0
      ? {}
      : {
          tools: request.tools.map((tool) => ({ name: tool.name, description: tool.description, input_schema: tool.inputs })),
          tool_choice: choiceOf(request.toolChoice),
        }),
  })
}

interface Entry {
  readonly role: 'user' | 'assistant'
  readonly content: JsonObject[]
}

function choiceOf(choice: ModelRequest['toolChoice']): JsonObject {
  if (choice === 'required') return { type: 'any' }
  return typeof choice === 'string' ? { type: choice } : { type: 'tool', name: choice.tool }
}

/** Results of tools must all stand in the one user entry after their calls, so entries of one side are joined. */
function encodeMessages(messages: readonly Message[], name: string): readonly Entry[] {
  const entries: Entry[] = []
  const add = (role: Entry['role'], blocks: readonly JsonObject[]): void => {
    if (blocks.length === 0) return
    const last = entries.at(-1)
    if (last?.role === role) last.content.push(...blocks)
    else entries.push({ role, content: [...blocks] })
  }
  for (const message of messages) {
    switch (message.role) {
      case 'user':
      case 'summary':
        // Text without a character is refused.
        add('user', [{ type: 'text', text: message.text.trim() === '' ? '(empty)' : message.text }])
        break
      case 'tool':
        add('user', [{ type: 'tool_result', tool_use_id: message.call, content: message.text }])
        break
      case 'assistant':
        add('assistant', encodeAssistant(message, name))
        break
    }
  }
  const newest = entries.at(-1)?.content
  const block = newest?.pop()
  if (newest !== undefined && block !== undefined) newest.push({ ...block, ...CACHED })
  return entries
}

function encodeAssistant(message: Message & { readonly role: 'assistant' }, name: string): readonly JsonObject[] {
  // Thinking without what it led to is refused.
  if (message.text.trim() === '' && (message.calls ?? []).length === 0) return []
  return piecesOf(message, name).flatMap((piece): readonly JsonObject[] => {
    if (piece.is === 'own') return [piece.part]
    if (piece.is === 'text') return piece.text.trim() === '' ? [] : [{ type: 'text', text: piece.text }]
    const { id, skill, input } = piece.call
    // An input that is no object was refused before it ran; the wire takes nothing else here.
    return [{ type: 'tool_use', id, name: toolName(skill), input: isJsonObject(input) ? input : {} }]
  })
}

type Block =
  | { readonly type: 'text'; text: string }
  | { readonly type: 'call'; readonly id: string; readonly tool: string; arguments: string; readonly input: JsonValue }
  | { readonly type: 'thinking'; text: string; signature: string }
  | { readonly type: 'verbatim'; readonly block: JsonObject }

class MessageReader implements AnswerReader {
  readonly #name: string
  readonly #onText: (text: string) => void
  readonly #blocks = new Map<number, Block>()
  #usage: JsonObject = {}
  #reason: string | null = null
  #ended = false

  constructor(name: string, onText: (text: string) => void) {
    this.#name = name
    this.#onText = onText
  }

  event(data: string): boolean {
    const event = parseObject(data)
    switch (textAt(event['type'])) {
      case 'message_start':
        this.#usage = { ...this.#usage, ...objectAt(objectAt(event['message'])['usage']) }
        return false
      case 'content_block_start':
        this.#open(countAt(event['index']), objectAt(event['content_block']))
        return false
      case 'content_block_delta':
        this.#add(this.#blocks.get(countAt(event['index'])), objectAt(event['delta']))
        return false
      case 'message_delta':
        this.#reason = textAt(objectAt(event['delta'])['stop_reason'])
        this.#usage = { ...this.#usage, ...objectAt(event['usage']) }
        return false
      case 'message_stop':
        this.#ended = true
        return true
      case 'error':
        throw faultOfEvent(event['error'])
      default:
        return false
    }
  }

  whole(body: JsonObject): void {
    for (const [index, block] of listAt(body['content']).entries()) this.#open(index, objectAt(block))
    this.#usage = objectAt(body['usage'])
    this.#reason = textAt(body['stop_reason'])
    this.#ended = true
  }

  finish(): Completion {
    if (!this.#ended || this.#reason === null) throw truncated()
    const places = new Places()
    const calls: ModelCall[] = []
    let text = ''
    for (const [, block] of [...this.#blocks.entries()].sort((a, b) => a[0] - b[0])) {
      switch (block.type) {
        case 'text':
          text += block.text
          places.text(block.text)
          break
        case 'call':
          calls.push({ id: block.id, tool: block.tool, ...readInput(block) })
          places.call()
          break
        case 'thinking':
          places.own({ type: 'thinking', thinking: block.text, signature: block.signature })
          break
        case 'verbatim':
          places.own(block.block)
          break
      }
    }
    const refused = this.#reason === 'refusal'
    const finish = refused ? 'refusal' : CUT.has(this.#reason) ? 'length' : calls.length > 0 ? 'calls' : 'stop'
    return { text, calls: refused ? [] : calls, finish, tokens: tokensOf(this.#usage), extra: places.extra(this.#name) }
  }

  #open(index: number, block: JsonObject): void {
    switch (textAt(block['type'])) {
      case 'text': {
        const text = textAt(block['text'])
        this.#blocks.set(index, { type: 'text', text })
        if (text !== '') this.#onText(text)
        break
      }
      case 'tool_use':
        this.#blocks.set(index, {
          type: 'call',
          id: textAt(block['id']),
          tool: textAt(block['name']),
          arguments: '',
          input: block['input'] ?? {},
        })
        break
      case 'thinking':
        this.#blocks.set(index, { type: 'thinking', text: textAt(block['thinking']), signature: textAt(block['signature']) })
        break
      default:
        this.#blocks.set(index, { type: 'verbatim', block })
    }
  }

  #add(block: Block | undefined, delta: JsonObject): void {
    if (block?.type === 'text') {
      const text = textAt(delta['text'])
      block.text += text
      if (text !== '') this.#onText(text)
    } else if (block?.type === 'call') block.arguments += textAt(delta['partial_json'])
    else if (block?.type === 'thinking') {
      block.text += textAt(delta['thinking'])
      block.signature += textAt(delta['signature'])
    }
  }
}

const readInput = (block: Block & { readonly type: 'call' }): { readonly input: JsonValue; readonly fault: string | null } =>
  block.arguments === '' ? { input: block.input, fault: null } : parseArguments(block.arguments)

const CUT: ReadonlySet<string> = new Set(['max_tokens', 'model_context_window_exceeded'])

/** Anthropic counts cached input apart. */
function tokensOf(usage: JsonObject): Tokens {
  const cacheRead = countAt(usage['cache_read_input_tokens'])
  const cacheWrite = countAt(usage['cache_creation_input_tokens'])
  return { input: countAt(usage['input_tokens']) + cacheRead + cacheWrite, output: countAt(usage['output_tokens']), cacheRead, cacheWrite }
}
