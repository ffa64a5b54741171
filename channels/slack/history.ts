/**
 * Whether Slack has a part whose sending ended without an answer: every part carries its id as metadata of the message, and history
 * tells it back.
 */
import { idTime, isJsonObject } from '#contract'
import type { Confirmation, JsonObject, JsonValue, Part } from '#contract'
import { isFatal, faultOf } from './fault.ts'
import { textOf } from './inbound.ts'
import type { SlackApi } from './web-api.ts'

const EVENT_TYPE = 'openclaw_delivery'
const PAGE = 200
const MAX_PAGES = 10
/** How far Slack's clock may be behind ours. */
const SKEW_MS = 300_000

export const markOf = ({ id }: Part): JsonObject => ({ event_type: EVENT_TYPE, event_payload: { id } })

export async function lookUp(part: Part, api: SlackApi, signal: AbortSignal): Promise<Confirmation> {
  const { chat: channel, thread } = part.to
  const oldest = (Math.max(0, idTime(part.id) - SKEW_MS) / 1_000).toFixed(6)
  const [method, which] = thread === undefined ? ['conversations.history', {}] : ['conversations.replies', { ts: thread }]
  let cursor = ''
  for (let page = 0; page < MAX_PAGES; page++) {
    const answer = await ask(api, method, { channel, ...which, oldest, limit: PAGE, include_all_metadata: true, cursor }, signal)
    if (answer === null) return { outcome: 'unknown' }
    const messages = Array.isArray(answer['messages']) ? answer['messages'] : []
    const found = messages.filter(isJsonObject).find((message) => isMarked(message['metadata'], part))
    if (found !== undefined) return { outcome: 'sent', id: textOf(found['ts']) }
    const next = answer['response_metadata']
    cursor = isJsonObject(next) ? textOf(next['next_cursor']) : ''
    if (cursor === '') return { outcome: 'absent' }
  }
  return { outcome: 'unknown' }
}

/** null: it may never be known, because the history may not be read; that is no reason to stop the account. */
async function ask(api: SlackApi, method: string, args: JsonObject, signal: AbortSignal): Promise<JsonObject | null> {
  try {
    return await api.call(method, args['cursor'] === '' ? { ...args, cursor: undefined } : args, signal)
  } catch (error) {
    const fault = faultOf(error, { method, setting: '' })
    if (fault.fault.is === 'permanent' || (isFatal(fault) && fault.fault.is === 'config')) return null
    throw fault
  }
}

function isMarked(metadata: JsonValue | undefined, { id }: Part): boolean {
  if (!isJsonObject(metadata) || metadata['event_type'] !== EVENT_TYPE) return false
  const payload = metadata['event_payload']
  return isJsonObject(payload) && payload['id'] === id
}
