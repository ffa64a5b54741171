/**
 * The shape of one agent's declaration, the same in `openclaw.yaml` and over `POST /v1/agents`; but the file alone says whose an agent is:
 * one that is registered belongs to whoever registers it.
 */
import type { JsonObject } from '#contract'
import { choice, duration, integer, list, object, tenant, text } from './schema-parts.ts'

const DEFAULT_PROMPT = 'You are a helpful assistant. Answer briefly and say so when you do not know.'

const orNone = (description: string, maximum: number): JsonObject => ({
  type: ['integer', 'null'],
  minimum: 1,
  maximum,
  default: null,
  description,
})

const MEMBERS: { readonly [name: string]: JsonObject } = {
  version: text('Its version, for people', '1.0'),
  description: { type: 'string', default: '', description: 'What it is for' },
  capabilities: list('Words for what it can do, for those who look for an agent', { type: 'string', minLength: 1 }),
  prompt: text('What it is told before every conversation', DEFAULT_PROMPT),
  model: { type: ['string', 'null'], minLength: 1, default: null, description: 'Model as `provider/model`; null: `llm.defaults`' },
  fallback: list('Models tried in this order when `model` fails', { type: 'string', minLength: 1 }),
  skills: list('Skills it may run: ids, `id@range` (`weather@^1.2`, `weather@2`), `*` for all', { type: 'string', minLength: 1 }, ['*']),
  limits: object('Bounds of one turn, and of all', {
    max_steps: integer('Model calls in one turn', 20, 1, 1_000),
    max_context_tokens: integer('Tokens of prompt and memory given to the model', 12_000, 256, 10_000_000),
    max_output_tokens: integer('Tokens of one answer', 1_024, 1, 1_000_000),
    turn_timeout: duration('A whole turn, all attempts included', '5m', 0.1, 86_400),
    max_concurrent_turns: integer('Turns of this agent running at once', 256, 1, 100_000),
    events_per_minute: orNone('Turns that begin in a minute; what comes beyond waits, in order. null: no limit', 1_000_000),
    llm_tokens_per_hour: orNone('Tokens that its models take in an hour, in and out; then turns wait. null: no limit', 1_000_000_000_000),
  }),
  queue: object('What happens to messages that arrive while their session is busy', {
    mode: choice(
      'followup: one turn each. collect: all that wait in one turn. steer: join the running turn. interrupt: end it',
      ['followup', 'collect', 'steer', 'interrupt'],
      'followup',
    ),
    cap: integer('Messages one turn may take (collect, steer)', 20, 1, 1_000),
    debounce: duration('A turn starts when the session has been quiet for so long', '0s', 0, 3600),
  }),
  session: object('Its memory', {
    scope: choice('Who shares a session', ['main', 'per-peer', 'per-channel-peer', 'per-account-channel-peer'], 'per-channel-peer'),
  }),
}

export const agentSchema: JsonObject = object('One agent', MEMBERS)

export const configuredAgentSchema: JsonObject = object('One agent', {
  tenant: tenant('Whose it is: it answers messages of this tenant only'),
  ...MEMBERS,
})
