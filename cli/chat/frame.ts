/** Frames of `openclaw.v1` as the chat reads them; what it does not know is passed over. */
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import { text } from '../document.ts'

export type ServerFrame =
  | { readonly type: 'ready' | 'pong' }
  | { readonly type: 'ack'; readonly id: string; readonly messageId: string; readonly isDuplicate: boolean }
  | { readonly type: 'subscribed' }
  | { readonly type: 'error'; readonly id: string; readonly code: string; readonly detail: string; readonly retryAfterMs: number | null }
  | { readonly type: 'status'; readonly messageId: string; readonly status: string; readonly reason: string }
  | { readonly type: 'delta'; readonly messageId: string; readonly text: string | null }
  | Reply
export interface Reply {
  readonly type: 'reply'
  readonly seq: number
  readonly messageId: string
  readonly index: number
  readonly of: number
  readonly text: string
}

/** null: nothing we know. `raw` is for those who print JSON. */
export function readFrame(data: unknown): { readonly frame: ServerFrame; readonly raw: JsonObject } | null {
  const raw = parse(data)
  const frame = raw && frameOf(raw)
  return raw && frame ? { frame, raw } : null
}

function frameOf(raw: JsonObject): ServerFrame | null {
  const messageId = text(raw['message_id'])
  const type = text(raw['type'])
  switch (type) {
    case 'ready':
    case 'pong':
      return { type }
    case 'ack':
      return { type: 'ack', id: text(raw['id']), messageId, isDuplicate: raw['duplicate'] === true }
    case 'subscribed':
      return { type }
    case 'error': {
      const retryAfterMs = raw['retryable'] === true ? number(raw['retry_after_ms']) || 1_000 : null
      return { type: 'error', id: text(raw['id']), code: text(raw['code']), detail: text(raw['detail']), retryAfterMs }
    }
    case 'status':
      return { type: 'status', messageId, status: text(raw['status']), reason: text(raw['reason']) }
    case 'delta':
      return { type: 'delta', messageId, text: typeof raw['text'] === 'string' ? raw['text'] : null }
    case 'reply':
      return {
        type: 'reply',
        seq: number(raw['seq']),
        messageId,
        index: number(raw['index']),
        of: number(raw['of']),
        text: text(raw['text']),
      }
    default:
      return null
  }
}

function parse(data: unknown): JsonObject | null {
  if (typeof data !== 'string') return null
  try {
    const value: unknown = JSON.parse(data)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

const number = (value: JsonValue | undefined): number => (typeof value === 'number' ? value : 0)
