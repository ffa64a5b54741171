/** A chat completion request (https://platform.openai.com/docs/api-reference/chat/create) as something to ask an agent. */
import { isJsonObject } from '#contract'
import type { JsonValue, Message } from '#contract'
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
    'messages',
    'stream',
    'stream_options',
    'tools',
    'tool_choice',
    'response_format',
    'max_tokens',
    'max_completion_tokens',
    'user',
    'metadata',
  ]),
  passedOver: new Set([
    'temperature',
    'top_p',
    'presence_penalty',
    'frequency_penalty',
    'seed',
    'service_tier',
    'store',
    'safety_identifier',
    'prompt_cache_key',
    'prompt_cache_retention',
    'reasoning_effort',
    'verbosity',
    'top_logprobs',
  ]),
  only: {
    n: { values: [1], why: 'one answer is given' },
    logprobs: { values: [false], why: 'they are not known' },
    parallel_tool_calls: { values: [true], why: 'the agent may make several calls at once' },
    modalities: { values: [['text']], why: 'agents answer with text' },
    stop: { values: [[]], why: 'the agent says when it has ended' },
    logit_bias: { values: [{}], why: 'the agent chooses its words' },
  },
}

const FORMAT = 'response_format'

export interface ChatRequest {
  readonly ask: Ask
  readonly model: string
  readonly isStream: boolean
  readonly hasUsage: boolean
}

/** `session`: the client named one that lasts, and it knows what was said up to its last answer. */
export function chatRequest(body: JsonValue | undefined, session: string | null): ChatRequest {
  const given = membersOf(body, RULES)
  const agent = agentOf(given['model'])
  const { messages, instructions } = said(given['messages'], nameIn(given['user'], 'user'))
  const fresh = session === null ? messages : messages.slice(messages.findLastIndex(({ role }) => role === 'assistant') + 1)
  const options = given['stream_options']
  if (options !== undefined && !isJsonObject(options)) throw wrong('stream_options', 'must be an object')
  return {
    model: `openclaw/${agent}`,
    isStream: flagIn(given, 'stream'),
    hasUsage: options?.['include_usage'] === true,
    ask: {
      agent,
      user: nameIn(given['user'], 'user'),
      labels: labelsIn(given['metadata']),
      conversation: session === null ? { is: 'new' } : { is: 'named', name: session },
      isKept: true,
      formatAt: FORMAT,
      turn: {
        messages: fresh,
        instructions,
        ...offered(
          toolsFrom(given['tools'], (tool) => tool['function']),
          given['tool_choice'],
          ({ function: named }) => (isJsonObject(named) ? named['name'] : undefined),
        ),
        format: formatIn(given['response_format'], FORMAT, (format) => format['json_schema']),
        maxOutputTokens: limitIn(given['max_completion_tokens'] ?? given['max_tokens'], 'max_completion_tokens'),
      },
    },
  }
}

function said(list: JsonValue | undefined, user: string | null): { readonly messages: readonly Message[]; readonly instructions: string } {
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_MESSAGES)
    throw wrong('messages', `must be a list of 1 to ${MAX_MESSAGES}`)
  const messages: Message[] = []
  const instructions: string[] = []
  /** Call → function. */
  const calls = new Map<string, string>()
  for (const [index, message] of list.entries()) {
    const at = `messages/${index}`
    if (!isJsonObject(message)) throw wrong(at, 'must be an object')
    const { role, content, tool_call_id: call, tool_calls: toolCalls } = message
    switch (role) {
      case 'system':
      case 'developer':
        instructions.push(textIn(content, `${at}/content`, ['text']))
        break
      case 'user':
        messages.push({ role, text: textIn(content, `${at}/content`, ['text']), sender: user ?? 'user' })
        break
      case 'assistant': {
        const text = content === null || content === undefined ? '' : textIn(content, `${at}/content`, ['text', 'refusal'])
        const made = callsIn(toolCalls ?? undefined, `${at}/tool_calls`)
        for (const { id, skill } of made) calls.set(id, skill)
        messages.push({ role, text, ...(made.length > 0 && { calls: made }) })
        break
      }
      case 'tool': {
        const skill = typeof call === 'string' ? calls.get(call) : undefined
        if (typeof call !== 'string' || skill === undefined) throw wrong(`${at}/tool_call_id`, 'must be the id of a call before it')
        messages.push({ role, call, skill, text: textIn(content, `${at}/content`, ['text']) })
        break
      }
      default:
        throw wrong(`${at}/role`, 'must be system, developer, user, assistant or tool')
    }
  }
  const last = messages.at(-1)
  if (last === undefined || last.role === 'assistant') throw wrong('messages', 'must end with what the user or a tool said')
  return { messages, instructions: instructions.join('\n\n') }
}

function callsIn(list: JsonValue | undefined, at: string): readonly ReturnType<typeof callFrom>[] {
  if (list === undefined) return []
  if (!Array.isArray(list)) throw wrong(at, 'must be a list')
  return list.map((each: JsonValue, index) => {
    const { id, function: named } = isJsonObject(each) ? each : {}
    const { name, arguments: input } = isJsonObject(named) ? named : {}
    return callFrom({ id, name, input, at: `${at}/${index}` })
  })
}
