/**
 * The request forms of `publish.ts` as JSON Schema 2020-12, for OpenAPI and for people. The parser is stricter about what a
 * schema cannot say (well-formed Unicode, depth) and is what decides.
 */
import type { JsonObject } from './envelope.ts'
import { MAX_NAME_CHARS } from './payload.ts'

const name: JsonObject = { type: 'string', minLength: 1, maxLength: MAX_NAME_CHARS }
const optionalName: JsonObject = { ...name, type: ['string', 'null'] }

export const payloadSchema: JsonObject = {
  description: 'Text, a payload in canonical form, or any other JSON object or array.',
  anyOf: [
    { type: 'string', minLength: 1 },
    { type: 'object', required: ['text'], properties: { text: { type: 'string', minLength: 1 } }, additionalProperties: false },
    {
      type: 'object',
      required: ['binary', 'media_type'],
      properties: { binary: { type: 'string', contentEncoding: 'base64' }, media_type: { type: 'string' } },
      additionalProperties: false,
    },
    { type: 'object' },
    { type: 'array' },
  ],
}

const metadataSchema: JsonObject = {
  type: 'object',
  properties: {
    channel_id: name,
    user_id: name,
    session_id: name,
    agent_id: name,
    topic: name,
    traceparent: { type: 'string' },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
  },
}

const shared: JsonObject = {
  metadata: { ...metadataSchema, type: ['object', 'null'] },
  topic: optionalName,
  agent_id: optionalName,
  sender_id: optionalName,
  idempotency_key: optionalName,
}

export const publishSchema: JsonObject = {
  anyOf: [
    {
      title: 'Message',
      type: 'object',
      required: ['payload'],
      properties: { payload: payloadSchema, channel_id: optionalName, ...shared },
      additionalProperties: false,
      examples: [
        { channel_id: 'whatsapp', payload: 'Hello agent', metadata: { user_id: '123', session_id: 'abc' } },
        { topic: 'events', payload: { data: 'hello' }, idempotency_key: 'unique-123' },
      ],
    },
    {
      title: 'Message, by its other names',
      type: 'object',
      required: ['content'],
      properties: { content: payloadSchema, channel: optionalName, channel_id: optionalName, ...shared },
      additionalProperties: false,
      examples: [{ channel: 'chat', content: 'test' }],
    },
    {
      title: 'Envelope',
      type: 'object',
      required: ['payload'],
      properties: {
        payload: payloadSchema,
        ...shared,
        version: { const: 1 },
        id: optionalName,
        channel: optionalName,
        channel_id: optionalName,
        timestamp: { type: ['integer', 'null'], minimum: 0, description: 'Epoch milliseconds.' },
        session: optionalName,
      },
      additionalProperties: false,
    },
  ],
}
