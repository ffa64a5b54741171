/**
 * The request forms of `publish.ts` as JSON Schema 2020-12, for OpenAPI and for people. The parser is stricter about what a
 * schema cannot say (well-formed Unicode, depth) and is what decides.
 */
import type { JsonObject } from './envelope.ts'
import { BASE64_PATTERN, MAX_NAME_CHARS, MEDIA_TYPE_PATTERN } from './payload.ts'

// Unicode's control characters (general category Cc) are in no name.
const name: JsonObject = { type: 'string', minLength: 1, maxLength: MAX_NAME_CHARS, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$' }
export const optionalNameSchema: JsonObject = { ...name, type: ['string', 'null'] }

export const payloadSchema: JsonObject = {
  description: 'Text, a payload in canonical form, or any other JSON object or array.',
  anyOf: [
    { type: 'string', minLength: 1 },
    { type: 'object', required: ['text'], properties: { text: { type: 'string', minLength: 1 } }, additionalProperties: false },
    {
      type: 'object',
      required: ['binary', 'media_type'],
      properties: {
        binary: { type: 'string', contentEncoding: 'base64', pattern: BASE64_PATTERN },
        media_type: { type: 'string', pattern: MEDIA_TYPE_PATTERN },
      },
      additionalProperties: false,
    },
    {
      type: 'object',
      // With exactly their members it is one of those above.
      not: {
        anyOf: [
          { required: ['text'], properties: { text: { type: 'string' } }, additionalProperties: false },
          {
            required: ['binary', 'media_type'],
            properties: { binary: { type: 'string' }, media_type: { type: 'string' } },
            additionalProperties: false,
          },
        ],
      },
    },
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
    traceparent: {
      type: 'string',
      pattern: '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$',
      description: 'W3C Trace Context; later versions are taken too',
    },
    headers: { type: 'object', additionalProperties: { type: 'string' } },
  },
}

const shared: JsonObject = {
  metadata: { ...metadataSchema, type: ['object', 'null'] },
  topic: optionalNameSchema,
  agent_id: optionalNameSchema,
  sender_id: optionalNameSchema,
  idempotency_key: optionalNameSchema,
}

/** Two names of the same. */
const oneChannel: JsonObject = { not: { required: ['channel', 'channel_id'] } }

export const publishSchema: JsonObject = {
  examples: [{ channel_id: 'whatsapp', payload: 'Hello agent', metadata: { user_id: '123', session_id: 'abc' } }],
  anyOf: [
    {
      title: 'Message',
      type: 'object',
      required: ['payload'],
      properties: { payload: payloadSchema, channel_id: optionalNameSchema, ...shared },
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
      properties: { content: payloadSchema, channel: optionalNameSchema, channel_id: optionalNameSchema, ...shared },
      additionalProperties: false,
      ...oneChannel,
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
        id: optionalNameSchema,
        channel: optionalNameSchema,
        channel_id: optionalNameSchema,
        timestamp: { type: ['integer', 'null'], minimum: 0, description: 'Epoch milliseconds.' },
        session: optionalNameSchema,
      },
      additionalProperties: false,
      ...oneChannel,
    },
  ],
}
