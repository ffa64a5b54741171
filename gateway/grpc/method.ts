/**
 * The methods that ask once and are answered once, as data: which row of the route table each is, how its message reads as a request of that row, and
 * how the row's answer reads as a message.
 */
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import type { Asked } from '../http/call.ts'
import { fromJson, fromObject, isRecord, toJson, toObject } from './struct.ts'

export type Message = { readonly [name: string]: unknown }

export interface Method {
  readonly row: string
  ask(message: Message): Pick<Asked, 'params' | 'query' | 'body'> & { readonly key?: string }
  reply(body: JsonObject): object
}

export const methods: { readonly [name: string]: Method } = {
  Publish: {
    row: 'POST /v1/messages',
    ask: (message) => ({
      query: message['wait_seconds'] === 0 ? {} : { wait: String(message['wait_seconds']) },
      body: {
        ...said(message, ['channel_id', 'topic', 'agent_id', 'sender_id', 'idempotency_key']),
        ...(message['metadata'] !== null && { metadata: toObject(message['metadata']) }),
        payload: payloadOf(message['payload']),
      },
    }),
    reply: (body) => ({
      message_id: body['message_id'],
      status: body['status'],
      message: body['payload'] === undefined ? null : fromObject(body),
    }),
  },
  InvokeAgent: {
    row: 'POST /v1/agents/{id}/invoke',
    ask: (message) => ({
      params: { id: String(message['agent']) },
      query: message['_wait_seconds'] === undefined ? {} : { wait: String(message['wait_seconds']) },
      body: {
        ...said(message, ['idempotency_key']),
        ...(message['context'] !== null && { context: toObject(message['context']) }),
        input: payloadOf(message['input']),
      },
    }),
    reply: ({ message_id, status, output, replies, reason }) => ({
      message_id,
      status,
      output: output ?? '',
      replies: Array.isArray(replies) ? replies.map((reply: JsonValue) => fromObject(reply)) : [],
      reason: fromObject(reason),
    }),
  },
  InvokeSkill: {
    row: 'POST /v1/skills/{id}/invoke',
    ask: (message) => ({
      params: { id: String(message['skill']) },
      body: {
        ...said(message, ['version']),
        ...(message['input'] !== null && { input: toJson(message['input']) }),
        ...(typeof message['timeout_ms'] === 'number' && message['timeout_ms'] > 0 && { timeout_ms: message['timeout_ms'] }),
      },
      key: String(message['idempotency_key']),
    }),
    reply: ({ output, run_id, skill, version, times }) => ({
      output: fromJson(output ?? null),
      run_id,
      skill,
      version,
      times: fromObject(times),
    }),
  },
}

/** In the canonical form, which nothing can be mistaken for. Nothing given: null, which the row refuses with its own words. */
export function payloadOf(payload: unknown): JsonValue {
  if (!isRecord(payload)) return null
  const { kind, text, json, binary } = payload
  if (kind === 'text') return { text: String(text) }
  if (kind === 'json') return { json: toJson(json) }
  if (kind !== 'binary' || !isRecord(binary)) return null
  const { data, media_type: mediaType } = binary
  return { binary: Buffer.isBuffer(data) ? data.toString('base64') : '', media_type: String(mediaType) }
}

/** An empty string is how proto3 says nothing. */
export const said = (message: Message, names: readonly string[]): JsonObject =>
  Object.fromEntries(names.flatMap((name) => (typeof message[name] === 'string' && message[name] !== '' ? [[name, message[name]]] : [])))

export const objectOf = (body: JsonValue | undefined): JsonObject => (isJsonObject(body) ? body : {})
