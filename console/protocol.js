// @ts-check
/**
 * The words of the gateway that this page reads and writes: documents of the HTTP API and frames of the WebSocket
 * protocol `openclaw.v1`. Types only, and how a session id and a payload are read.
 *
 * @typedef {{ text: string } | { json: unknown } | { binary: string, media_type: string }} Payload
 * @typedef {{ code: string, message: string }} Failure
 * @typedef {'queued' | 'running' | 'waiting' | 'retrying' | 'done' | 'dead'} MessageStatus
 * @typedef {{ id: string, seq: number, text: string, index: number, of: number }} ReplyDocument
 * @typedef {object} MessageDocument
 * @property {string} message_id
 * @property {MessageStatus} status
 * @property {string | null} session
 * @property {Failure | null} reason
 * @property {string | null} due_at
 * @property {string} accepted_at
 * @property {Payload | string} payload
 * @property {readonly ReplyDocument[]} [replies]
 * @property {string | null} [dead_letter_id]
 *
 * @typedef {{ id: string, updated_at: string }} SessionDocument
 * @typedef {{ role: string, text: string }} MemoryEntry
 * @typedef {{ principal: string, scopes?: readonly string[] }} Identity
 *
 * @typedef {{ type: 'ready', principal: string, ping_ms: number }} ReadyFrame
 * @typedef {{ type: 'ack', id: string, message_id: string, conversation: string, status: MessageStatus, duplicate: boolean }} AckFrame
 * @typedef {{ type: 'subscribed', conversation: string, last_seq: number }} SubscribedFrame
 * @typedef {{ type: 'status', message_id: string, conversation: string, status: MessageStatus, reason: string | null }} StatusFrame
 * @typedef {{ type: 'delta', message_id: string, conversation: string, text: string | null }} DeltaFrame
 * @typedef {{ type: 'reply', seq: number, message_id: string, conversation: string, index: number, of: number, text: string }} ReplyFrame
 * @typedef {StatusFrame | DeltaFrame | ReplyFrame} MessageNews
 * @typedef {{ type: 'error', id: string | null, code: string, detail: string, retryable: boolean, retry_after_ms?: number }} ErrorFrame
 * @typedef {ReadyFrame | AckFrame | SubscribedFrame | StatusFrame | DeltaFrame | ReplyFrame | ErrorFrame | { type: 'pong' }} ServerFrame
 *
 * @typedef {{ type: 'message', id: string, conversation: string, payload: string }} MessageFrame
 * @typedef {MessageFrame | { type: 'subscribe', conversation: string, since: number } | { type: 'ping' }} ClientFrame
 */

/** The channel whose sessions are conversations of this page. */
export const CHANNEL = 'websocket'

/**
 * @template T
 * @typedef {{ data: readonly T[], cursor: string | null }} Page
 */

/**
 * `agent:<agent>:websocket:<account>:direct:<conversation>`, each part percent-encoded; null: not such a session.
 * @param {string} id
 * @returns {{ agent: string, account: string, conversation: string } | null}
 */
export function readSessionId(id) {
  const [word, agent, channel, account, kind, conversation, ...rest] = id.split(':')
  if (word !== 'agent' || channel !== CHANNEL || kind !== 'direct' || rest.length > 0) return null
  if (!agent || !account || !conversation) return null
  try {
    return { agent: decodeURIComponent(agent), account: decodeURIComponent(account), conversation: decodeURIComponent(conversation) }
  } catch {
    return null
  }
}

/**
 * What somebody said, as a person reads it.
 * @param {Payload | string} payload
 * @returns {string}
 */
export function payloadText(payload) {
  if (typeof payload === 'string') return payload
  if ('text' in payload) return payload.text
  if ('json' in payload) return JSON.stringify(payload.json, null, 2)
  return `[${payload.media_type}, ${Math.floor((payload.binary.length * 3) / 4).toLocaleString()} bytes]`
}
