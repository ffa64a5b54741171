/** A request for a response (https://platform.openai.com/docs/api-reference/responses/create) as something to ask an agent. */
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue, Message } from '#contract'
import type { Ask } from './ask.ts'
import {
  MAX_MESSAGES,
  agentOf,
  callFrom,
  flagIn,
  formatIn,
  labelsIn,
  limitIn,
  membersOf,
  nameIn,
  offered,
  textIn,
  toolsFrom,
  wrong,
} from './read.ts'
import type { Rules } from './read.ts'

const RULES: Rules = {
  read: new Set([
    'model',
    'input',
    'instructions',
    'stream',
    'tools',
    'tool_choice',
    'text',
    'max_output_tokens',
    'user',
    'metadata',
    'previous_response_id',
    'conversation',
    'store',
  ]),
  passedOver: new Set([
    'temperature',
    'top_p',
    'top_logprobs',
    'service_tier',
    'safety_identifier',
    'prompt_cache_key',
    'prompt_cache_retention',
    'reasoning',
    'truncation',
    'include',
    'stream_options',
  ]),
  only: {
    background: { values: [false], why: 'send it with an Idempotency-Key, and ask again with the same' },
    parallel_tool_calls: { values: [true], why: 'the agent may make several calls at once' },
    prompt: { values: [], why: 'the agent has its own' },
    max_tool_calls: { values: [], why: 'the limits of the agent hold' },
    context_management: { values: [], why: 'the agent sees to its memory' },
  },
}

const FORMAT = 'text/format'

export interface ResponsesRequest {
  readonly ask: Ask
  readonly isStream: boolean
  /** What a response repeats of its request. */
  readonly echo: JsonObject
}

export function responsesRequest(body: JsonValue | undefined): ResponsesRequest {
  const given = membersOf(body, RULES)
  const agent = agentOf(given['model'])
  const { messages, instructions } = said(given['input'], nameIn(given['user'], 'user'))
  const own = given['instructions']
  if (own !== undefined && typeof own !== 'string') throw wrong('instructions', 'must be text')
  const text = textOptions(given['text'])
  const isKept = given['store'] === undefined || flagIn(given, 'store')
  const labels = labelsIn(given['metadata'])
  const previous = nameIn(given['previous_response_id'], 'previous_response_id')
  return {
    isStream: flagIn(given, 'stream'),
    echo: {
      model: `openclaw/${agent}`,
      instructions: own ?? null,
      max_output_tokens: given['max_output_tokens'] ?? null,
      previous_response_id: previous,
      tools: given['tools'] ?? [],
      tool_choice: given['tool_choice'] ?? 'auto',
      text: { format: text['format'] ?? { type: 'text' } },
      metadata: labels,
      store: isKept,
      user: given['user'] ?? null,
    },
    ask: {
      agent,
      user: nameIn(given['user'], 'user'),
      labels,
      conversation: conversationOf(previous, given['conversation']),
      isKept,
      formatAt: FORMAT,
      turn: {
        messages,
        instructions: [own ?? '', instructions].filter((text) => text !== '').join('\n\n'),
        ...offered(
          toolsFrom(given['tools'], (tool) => tool),
          given['tool_choice'],
          ({ name }) => name,
        ),
        format: formatIn(text['format'], FORMAT, (format) => format),
        maxOutputTokens: limitIn(given['max_output_tokens'], 'max_output_tokens'),
      },
    },
  }
}

/** How long it should be is the agent's matter. */
function textOptions(text: JsonValue | undefined): JsonObject {
  if (text === undefined) return {}
  if (!isJsonObject(text)) throw wrong('text', 'must be an object')
  for (const name of Object.keys(text))
    if (name !== 'format' && name !== 'verbosity') throw wrong(`text/${name.slice(0, 64)}`, 'is not a known parameter')
  return text
}

function conversationOf(previous: string | null, conversation: JsonValue | undefined): Ask['conversation'] {
  const name = nameIn(isJsonObject(conversation) ? conversation['id'] : conversation, 'conversation')
  if (previous !== null && name !== null) throw wrong('conversation', 'must not stand beside previous_response_id')
  if (previous !== null) return { is: 'after', response: previous }
  return name === null ? { is: 'new' } : { is: 'named', name }
}

function said(input: JsonValue | undefined, user: string | null): { readonly messages: readonly Message[]; readonly instructions: string } {
  const sender = user ?? 'user'
  if (typeof input === 'string' && input !== '') return { messages: [{ role: 'user', text: input, sender }], instructions: '' }
  if (!Array.isArray(input) || input.length === 0 || input.length > MAX_MESSAGES)
    throw wrong('input', `must be text, or a list of 1 to ${MAX_MESSAGES} items`)
  const messages: Message[] = []
  const instructions: string[] = []
  for (const [index, item] of input.entries()) {
    const at = `input/${index}`
    if (!isJsonObject(item)) throw wrong(at, 'must be an object')
    const { type = 'message', role, content, call_id: call, name, arguments: given, output } = item
    if (type === 'function_call') {
      const made = callFrom({ id: call, name, input: given, at })
      const last = messages.at(-1)
      // Calls that were made at once are one entry, with the words before them.
      if (last?.role === 'assistant') messages[messages.length - 1] = { ...last, calls: [...(last.calls ?? []), made] }
      else messages.push({ role: 'assistant', text: '', calls: [made] })
    } else if (type === 'function_call_output') {
      if (typeof call !== 'string') throw wrong(`${at}/call_id`, 'must be the id of a call')
      messages.push({ role: 'tool', call, skill: '', text: textIn(output, `${at}/output`, ['input_text']) })
    } else if (type === 'reasoning') continue
    else if (type !== 'message') throw wrong(`${at}/type`, 'must be message, function_call or function_call_output')
    else if (role === 'system' || role === 'developer') instructions.push(textIn(content, `${at}/content`, ['input_text']))
    else if (role === 'user') messages.push({ role, text: textIn(content, `${at}/content`, ['input_text']), sender })
    else if (role === 'assistant') messages.push({ role, text: textIn(content, `${at}/content`, ['output_text', 'refusal', 'input_text']) })
    else throw wrong(`${at}/role`, 'must be user, assistant, system or developer')
  }
  const last = messages.at(-1)
  if (last === undefined || last.role === 'assistant') throw wrong('input', 'must end with what the user or a tool said')
  return { messages, instructions: instructions.join('\n\n') }
}
