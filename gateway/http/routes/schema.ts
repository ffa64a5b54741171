/** Schemas that several routes answer with. */
import type { JsonObject } from '#contract'

export const TEXT: JsonObject = { type: 'string' }
export const TEXT_OR_NULL: JsonObject = { type: ['string', 'null'] }
export const TIME: JsonObject = { type: 'string', description: 'ISO 8601, UTC.' }
export const TIME_OR_NULL: JsonObject = { type: ['string', 'null'], description: 'ISO 8601, UTC.' }
/** One that is given. `Date.parse` alone takes anything that looks a little like a date; the format is checked (`../schema.ts`). */
export const GIVEN_TIME: JsonObject = { type: 'string', format: 'date-time' }
export const FLAG: JsonObject = { type: 'boolean' }
export const COUNT: JsonObject = { type: 'integer', minimum: 0 }

export const objectOf = (properties: JsonObject): JsonObject => ({ type: 'object', required: Object.keys(properties), properties })

/** A page of a list: the rows, and where the next page begins. */
export const pageOf = (items: JsonObject): JsonObject =>
  objectOf({ data: { type: 'array', items }, cursor: { type: ['string', 'null'], description: 'null on the last page.' } })

const REASON: JsonObject = {
  description: 'Why it failed or waits; null: it does not.',
  oneOf: [objectOf({ code: TEXT, message: TEXT }), { type: 'null' }],
}

export const MESSAGE: JsonObject = objectOf({
  message_id: TEXT,
  status: { enum: ['queued', 'running', 'waiting', 'retrying', 'done', 'dead'] },
  channel: TEXT,
  channel_id: TEXT_OR_NULL,
  agent: TEXT_OR_NULL,
  session: TEXT_OR_NULL,
  sender_id: TEXT,
  attempts: COUNT,
  reason: REASON,
  due_at: TIME_OR_NULL,
  accepted_at: TIME,
  done_at: TIME_OR_NULL,
  payload: { type: 'object', description: '`text`, `json`, or `binary` (base64) with `media_type`.' },
  metadata: { type: 'object' },
  replies: {
    type: 'array',
    items: objectOf({
      id: TEXT,
      seq: COUNT,
      text: TEXT,
      index: COUNT,
      of: COUNT,
      status: { enum: ['pending', 'sending', 'sent', 'unknown', 'dead'] },
    }),
  },
  steps: {
    type: 'array',
    items: objectOf({
      key: TEXT,
      kind: { enum: ['llm', 'skill', 'compact'] },
      name: TEXT,
      status: { enum: ['planned', 'started', 'done', 'unknown'] },
      attempts: COUNT,
      started_at: TIME_OR_NULL,
      done_at: TIME_OR_NULL,
      usage: { type: ['object', 'null'] },
      input: {},
      output: {},
    }),
  },
})
