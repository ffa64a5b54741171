/** `POST /v1/agents/{id}/invoke`: its row in the route table, what it says, and its answer. */
import {
  InvalidError,
  NotFoundError,
  isJsonObject,
  optionalNameSchema,
  payloadSchema,
  readMetadata,
  readName,
  readPayload,
  unknownMember,
} from '#contract'
import type { Fault, HttpRequest, JsonObject, JsonValue, Publish, Route } from '#contract'
import { queuedSchema, waitQuery } from './messages.ts'

export const invokeRoute: Omit<Route, 'handle'> = {
  method: 'POST',
  path: '/v1/agents/{id}/invoke',
  permission: 'agent:execute',
  summary: 'Ask an agent and wait for its answer',
  tag: 'agents',
  query: { wait: { ...waitQuery, description: 'Seconds to wait for the answer; 60 unless told.' } },
  body: {
    type: 'object',
    required: ['input'],
    properties: {
      input: payloadSchema,
      context: { type: ['object', 'null'], description: 'Metadata of the message: session_id, user_id, channel and free members.' },
      idempotency_key: optionalNameSchema,
    },
    additionalProperties: false,
    examples: [{ input: { query: 'status' }, context: { channel: 'support' } }],
  },
  validates: 'handler',
  idempotency: 'own',
  responses: {
    '200': {
      description: 'The agent has answered, or given up.',
      schema: {
        type: 'object',
        required: ['message_id', 'status', 'output', 'replies'],
        properties: {
          message_id: { type: 'string' },
          status: { enum: ['done', 'dead'] },
          output: { type: 'string' },
          replies: { type: 'array', items: { type: 'object' } },
          reason: { type: ['object', 'null'] },
        },
      },
    },
    '202': { description: 'It is stored, and not answered yet.', schema: queuedSchema },
  },
}

/** @throws InvalidError with every fault */
export function invocation({ body, params }: HttpRequest): Publish {
  const faults: Fault[] = []
  const said = isJsonObject(body) ? body : {}
  if (!isJsonObject(body)) faults.push({ pointer: '#', detail: 'The body must be a JSON object with an input.' })
  for (const name in said) if (!MEMBERS.has(name)) faults.push(unknownMember(name, '#', MEMBERS))
  const payload = readPayload(said['input'], '#/input', faults)
  const context = readMetadata(said['context'] ?? undefined, '#/context', faults)
  const label = context['channel']
  const channel = context.channel_id === undefined && label !== undefined ? readName(label, '#/context/channel', faults) : null
  const asked = said['idempotency_key'] ?? undefined
  const key = asked === undefined ? null : readName(asked, '#/idempotency_key', faults)
  if (payload === null || faults.length > 0) {
    throw new InvalidError(`The call was refused at ${faults[0]?.pointer}: ${faults[0]?.detail}`, { code: 'SCHEMA_VIOLATION', faults })
  }
  const agent = readName(params['id'], '#/path/id', [])
  if (agent === null)
    throw new NotFoundError('There is no agent of this name. GET /v1/agents lists those there are.', { code: 'AGENT_UNKNOWN' })
  const metadata = { ...context, ...(channel === null ? {} : { channel_id: channel }), agent_id: agent }
  return { payload, metadata, sender: null, at: null, key }
}

export function invokeAnswer(document: JsonObject): JsonObject {
  const replies = Array.isArray(document['replies']) ? (document['replies'] as readonly JsonValue[]) : []
  const texts = replies.flatMap((reply) => (isJsonObject(reply) && typeof reply['text'] === 'string' ? [reply['text']] : []))
  return {
    message_id: document['message_id'] ?? null,
    status: document['status'] ?? null,
    output: texts.join('\n'),
    replies,
    reason: document['reason'] ?? null,
  }
}

const MEMBERS: ReadonlySet<string> = new Set(['input', 'context', 'idempotency_key'])
