/**
 * Reads what Meta posts to a webhook (`whatsapp_business_account` notifications): one body may hold many entries, changes,
 * messages and statuses. Pure; what is done with them is `whatsapp-cloud.ts`.
 */
import { createHash } from 'node:crypto'
import { isJsonObject } from '#contract'
import type { DeliveryNews, Inbound, JsonObject, JsonValue, MediaRef, Metadata } from '#contract'

export interface Notification {
  readonly messages: readonly Inbound[]
  readonly statuses: readonly Status[]
}

export interface Status {
  readonly platformId: string
  readonly state: string
  /** What we sent along with the message: our delivery's id. */
  readonly delivery: string | null
  /** null: nothing to tell. */
  readonly news: DeliveryNews | null
}

/** Only what is meant for this number; the same webhook may serve several. */
export function readNotification(body: JsonObject, phoneNumberId: string): Notification {
  const messages: Inbound[] = []
  const statuses: Status[] = []
  for (const value of valuesOf(body, phoneNumberId)) {
    const names = namesOf(value)
    for (const message of objects(value['messages'])) messages.push(readMessage(message, phoneNumberId, names))
    for (const status of objects(value['statuses'])) statuses.push(readStatus(status))
  }
  return { messages, statuses }
}

function* valuesOf(body: JsonObject, phoneNumberId: string): Generator<JsonObject> {
  for (const entry of objects(body['entry'])) {
    for (const { value } of objects(entry['changes'])) {
      if (isJsonObject(value) && isJsonObject(value['metadata']) && value['metadata']['phone_number_id'] === phoneNumberId) yield value
    }
  }
}

function namesOf(value: JsonObject): ReadonlyMap<string, string> {
  const names = new Map<string, string>()
  for (const { wa_id: id, profile } of objects(value['contacts'])) {
    const name = isJsonObject(profile) ? profile['name'] : undefined
    if (typeof id === 'string' && typeof name === 'string') names.set(id, name)
  }
  return names
}

function readMessage(message: JsonObject, account: string, names: ReadonlyMap<string, string>): Inbound {
  const from = text(message['from'])
  const id = text(message['id'])
  const name = names.get(from)
  const said = contentOf(message)
  const { context } = message
  const quoted = isJsonObject(context) ? text(context['id']) : ''
  const metadata: Metadata = {
    user_id: from,
    ...(name === undefined ? {} : { sender_name: name }),
    ...(quoted === '' ? {} : { reply_to: quoted }),
    ...(said.media === null ? {} : { media: [said.media] }),
    ...(said.reactsTo === null ? {} : { event: 'reaction', of: said.reactsTo }),
  }
  const isSound = from !== '' && id !== ''
  return {
    // Without an id it is known by its bytes.
    key: isSound ? id : createHash('sha256').update(JSON.stringify(message)).digest('hex'),
    fingerprint: null,
    lane: from,
    account,
    peer: { kind: 'direct', id: from, thread: null },
    sender: from,
    ...(said.reactsTo === null ? {} : { event: 'reaction' }),
    ...(isSound && said.isKnown ? {} : { dead: unreadable(text(message['type'])) }),
    at: Number(message['timestamp']) * 1_000 || 0,
    payload: isSound && said.isKnown ? { text: said.text } : { json: message },
    metadata,
    agent: null,
    // The message's own id shows that we are typing.
    reply: { chat: from, correlation: id },
  }
}

const unreadable = (type: string): { readonly code: string; readonly message: string } => ({
  code: 'WHATSAPP_CLOUD_UNREADABLE',
  message: `A message of type "${type.slice(0, 40)}" cannot be read.`,
})

interface Content {
  readonly text: string
  readonly media: MediaRef | null
  readonly reactsTo: string | null
  readonly isKnown: boolean
}

const MEDIA: ReadonlySet<string> = new Set(['image', 'video', 'audio', 'document', 'sticker'])
const said = (words: string, more: Partial<Content> = {}): Content => ({ text: words, media: null, reactsTo: null, isKnown: true, ...more })

function contentOf(message: JsonObject): Content {
  const type = text(message['type'])
  const content = message[type]
  if (!isJsonObject(content)) return said('', { isKnown: false })
  if (MEDIA.has(type)) return said(text(content['caption']), { media: mediaOf(content) })
  switch (type) {
    case 'text':
      return said(text(content['body']))
    case 'button':
      return said(text(content['text']))
    case 'interactive': {
      const chosen = content['button_reply'] ?? content['list_reply']
      return isJsonObject(chosen) ? said(text(chosen['title'])) : said(JSON.stringify(content))
    }
    case 'reaction':
      return said(text(content['emoji']), { reactsTo: text(content['message_id']) })
    case 'location':
      return said(`${text(content['name'])} ${number(content['latitude'])}, ${number(content['longitude'])}`.trim())
    case 'contacts':
    case 'order':
      return said(JSON.stringify(content))
    default:
      return said('', { isKnown: false })
  }
}

function mediaOf(content: JsonObject): MediaRef {
  const name = text(content['filename'])
  return { id: text(content['id']), media_type: text(content['mime_type']) || 'application/octet-stream', ...(name === '' ? {} : { name }) }
}

function readStatus(status: JsonObject): Status {
  const state = text(status['status'])
  const [error] = objects(status['errors'])
  const code = number(error?.['code'])
  const delivery = text(status['biz_opaque_callback_data'])
  return {
    platformId: text(status['id']),
    state,
    delivery: delivery === '' ? null : delivery,
    news:
      state === 'delivered' || state === 'read'
        ? { state }
        : state === 'failed'
          ? {
              state,
              failure: { code: 'WHATSAPP_CLOUD_FAILED', message: `WhatsApp could not deliver it (${code}: ${text(error?.['title'])}).` },
            }
          : null,
  }
}

const objects = (value: JsonValue | undefined): readonly JsonObject[] => (Array.isArray(value) ? value.filter(isJsonObject) : [])
const number = (value: JsonValue | undefined): string => (typeof value === 'number' ? String(value) : '?')
const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')
