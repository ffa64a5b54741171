/** The rows of both requests in the route table, without their handlers. The schemas say what is read; the handlers check it, and refuse the rest by name. */
import type { JsonObject, Route } from '#contract'

const MAX_MEMBERS = 50_000
const text: JsonObject = { type: ['string', 'null'] }
const tools: JsonObject = {
  type: ['array', 'null'],
  items: { type: 'object' },
  maxItems: 128,
  description: 'Functions that the client runs.',
}
const choice: JsonObject = {
  type: ['string', 'object', 'null'],
  description: 'auto, none, required, or one function. The last two where the models of the agent can be held to it.',
}
const format: JsonObject = {
  type: ['object', 'null'],
  description: 'Text, or JSON of a schema where the models of the agent can be held to it; an answer that does not fit is an error.',
}
const labels: JsonObject = { type: ['object', 'null'], additionalProperties: { type: 'string' }, maxProperties: 16 }
const flag: JsonObject = { type: ['boolean', 'null'] }
const count: JsonObject = { type: ['integer', 'null'], minimum: 1 }
const model: JsonObject = { type: 'string', minLength: 1, examples: ['openclaw/main'] }

const message: JsonObject = {
  type: 'object',
  required: ['role'],
  properties: { role: { enum: ['system', 'developer', 'user', 'assistant', 'tool'] } },
}

const shared = {
  method: 'POST',
  permission: 'agent:execute',
  tag: 'openai',
  validates: 'handler',
  idempotency: 'own',
  errors: 'plain',
  problems: [404],
  maxMembers: MAX_MEMBERS,
} as const

const LATE = {
  502: { description: 'The agent could not answer; `error.code` says why.', schema: { type: 'object' } },
  504: { description: 'It is not answered yet; ask again with the same Idempotency-Key.', schema: { type: 'object' } },
} as const

export const chatRoute: Omit<Route, 'handle'> = {
  ...shared,
  path: '/v1/chat/completions',
  summary: 'Asks an agent as OpenAI’s chat completions do; with `stream`, as events',
  body: {
    type: 'object',
    required: ['model', 'messages'],
    properties: {
      model,
      messages: { type: 'array', minItems: 1, maxItems: 5_000, items: message },
      stream: flag,
      stream_options: { type: ['object', 'null'] },
      tools,
      tool_choice: choice,
      response_format: format,
      max_tokens: count,
      max_completion_tokens: count,
      user: text,
      metadata: labels,
    },
    additionalProperties: true,
    examples: [{ model: 'openclaw/main', messages: [{ role: 'user', content: 'hello' }] }],
  },
  responses: { 200: { description: 'The completion.', schema: { type: 'object' } }, ...LATE },
}

export const responsesRoute: Omit<Route, 'handle'> = {
  ...shared,
  path: '/v1/responses',
  summary: 'Asks an agent as OpenAI’s responses do; with `stream`, as events',
  body: {
    type: 'object',
    required: ['model', 'input'],
    properties: {
      model,
      input: {
        oneOf: [
          { type: 'string', minLength: 1 },
          { type: 'array', minItems: 1, maxItems: 5_000 },
        ],
      },
      instructions: text,
      stream: flag,
      tools,
      tool_choice: choice,
      text: format,
      max_output_tokens: count,
      user: text,
      metadata: labels,
      previous_response_id: text,
      conversation: { type: ['string', 'object', 'null'] },
      store: flag,
    },
    additionalProperties: true,
    examples: [{ model: 'openclaw/main', input: 'hello' }],
  },
  responses: { 200: { description: 'The response.', schema: { type: 'object' } }, ...LATE },
}
