/**
 * An event of Slack as what the hub takes in: which events say something, who said it and where, and one dedupe key for all events of
 * one post. Whatever is of no interest reads as null and is acknowledged.
 */
import { isJsonObject } from '#contract'
import type { Address, Inbound, JsonObject, JsonValue, MediaRef, Peer } from '#contract'
import { mentions, readText } from './text.ts'

/** Who we are, as `auth.test` tells. */
export interface Identity {
  readonly team: string
  readonly user: string
  readonly bot: string
}

/** Whether we have spoken in this thread. */
export type IsOurThread = (channel: string, thread: string) => boolean

/** @param body of an `events_api` envelope, or of a request to the events URL */
export function readEvent(body: JsonValue, me: Identity, isOurs: IsOurThread): Inbound | null {
  const event = isJsonObject(body) ? body['event'] : undefined
  if (!isJsonObject(event)) return null
  const type = textOf(event['type'])
  if (type !== 'message' && type !== 'app_mention') return null
  const read = readMessage(event, me, isOurs)
  return read === 'unreadable' ? unreadable(body, me) : read
}

/** Slack is the clock of what is said there: `ts` is seconds with six digits, and the id of a message in its channel. */
const timeOf = (ts: string): number => Math.floor(Number(ts) * 1_000)

export const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')

/** Where something was said. A direct chat is one conversation unless it is threaded; in a channel every post begins a thread. */
export function placeOf(channel: string, thread: string | null): { readonly lane: string; readonly peer: Peer; readonly reply: Address } {
  // The letter tells, because `app_mention` brings no `channel_type`.
  const kind = channel.startsWith('D') ? 'direct' : 'channel'
  return {
    lane: thread === null ? channel : `${channel}/${thread}`,
    peer: { kind, id: channel, thread },
    reply: { chat: channel, kind, ...(thread === null ? {} : { thread }) },
  }
}

function readMessage(event: JsonObject, me: Identity, isOurs: IsOurThread): Inbound | null | 'unreadable' {
  const subtype = textOf(event['subtype'])
  switch (subtype) {
    case '':
    case 'file_share':
    case 'thread_broadcast':
    case 'bot_message':
      return said(event, textOf(event['channel']), me, isOurs)
    case 'message_changed':
      return changed(event, me, isOurs)
    case 'message_deleted':
      return gone(event, event['previous_message'], textOf(event['deleted_ts']), me, isOurs)
    default:
      return null
  }
}

function said(message: JsonObject, channel: string, me: Identity, isOurs: IsOurThread): Inbound | 'unreadable' {
  const [ts, bot, user] = [textOf(message['ts']), textOf(message['bot_id']), textOf(message['user'])]
  const sender = user === '' ? bot : user
  if (channel === '' || sender === '' || !/^\d+\.\d+$/.test(ts)) return 'unreadable'
  const text = textOf(message['text'])
  const isDirect = channel.startsWith('D')
  const given = textOf(message['thread_ts'])
  const thread = given === '' ? (isDirect ? null : ts) : given
  const media = readFiles(message['files'])
  const isSelf = user === me.user || bot === me.bot
  return {
    key: keyOf(me, channel, ts),
    fingerprint: null,
    ...placeOf(channel, thread),
    account: me.team,
    sender,
    author: isSelf ? 'self' : bot !== '' || subtypeOf(message) === 'bot_message' || user === 'USLACKBOT' ? 'bot' : 'person',
    isAddressed: isDirect || mentions(text, me.user) || (given !== '' && (message['parent_user_id'] === me.user || isOurs(channel, given))),
    at: timeOf(ts),
    payload: { text: readText(text, me.user) },
    metadata: media.length === 0 ? {} : { media },
    agent: null,
  }
}

function changed(event: JsonObject, me: Identity, isOurs: IsOurThread): Inbound | null | 'unreadable' {
  const [message, before, channel] = [event['message'], event['previous_message'], textOf(event['channel'])]
  if (!isJsonObject(message)) return 'unreadable'
  // The first post of a thread whose answers stay is not deleted but emptied.
  if (subtypeOf(message) === 'tombstone') return gone(event, before, textOf(message['ts']), me, isOurs)
  // A preview was added, or an answer was counted.
  if (isJsonObject(before) && before['text'] === message['text']) return null
  return news('edit', event, said(message, channel, me, isOurs))
}

function gone(event: JsonObject, before: JsonValue | undefined, ts: string, me: Identity, isOurs: IsOurThread): Inbound | 'unreadable' {
  const message: JsonObject = isJsonObject(before) ? before : {}
  return news('delete', event, said({ ...message, ts: ts === '' ? textOf(message['ts']) : ts }, textOf(event['channel']), me, isOurs))
}

function news(what: 'edit' | 'delete', event: JsonObject, of: Inbound | 'unreadable'): Inbound | 'unreadable' {
  const ts = textOf(event['event_ts']) || textOf(event['ts'])
  if (of === 'unreadable' || of.key === null || !/^\d+\.\d+$/.test(ts)) return 'unreadable'
  return { ...of, key: `${of.key}:${what}:${ts}`, event: what, at: timeOf(ts), metadata: { ...of.metadata, event: what, of: of.key } }
}

/** `message` and `app_mention` of one post have event ids of their own, so the post is the key. */
const keyOf = ({ team }: Identity, channel: string, ts: string): string => `${team}:${channel}:${ts}`

const subtypeOf = (message: JsonObject): string => textOf(message['subtype'])

function readFiles(files: JsonValue | undefined): readonly MediaRef[] {
  return (Array.isArray(files) ? files : []).filter(isJsonObject).flatMap((file) => {
    const [id, type, name, bytes] = [textOf(file['id']), textOf(file['mimetype']), textOf(file['name']), file['size']]
    if (id === '') return []
    const size = typeof bytes === 'number' ? { bytes } : {}
    return [{ id, media_type: type === '' ? 'application/octet-stream' : type, ...size, ...(name === '' ? {} : { name }) }]
  })
}

/** Kept whole as a dead letter: it says that something was said, and lacks what would tell what. */
function unreadable(body: JsonValue, me: Identity): Inbound {
  const id = isJsonObject(body) ? textOf(body['event_id']) : ''
  return {
    key: id === '' ? null : `${me.team}:event:${id}`,
    fingerprint: null,
    ...placeOf('unreadable', null),
    account: me.team,
    sender: 'unknown',
    dead: { code: 'SLACK_UNREADABLE', message: 'The event says too little to be understood: a channel, a sender or a time is missing.' },
    at: 0,
    payload: { json: body },
    metadata: {},
    agent: null,
  }
}
