/**
 * A message of Telegram as the hub knows messages: who said it, in which conversation, whether it is meant for us, and the key
 * that is the same whenever it comes again. Pure; what may be refused or joined is left to others.
 */
import type { Inbound, JsonValue, Metadata } from '#contract'
import type { Chat, Message } from 'grammy/types'
import { isAddressed } from './addressed.ts'
import type { Bot } from './addressed.ts'
import { mediaOf } from './media.ts'
import type { Migrations } from './migration.ts'

export interface Reader {
  readonly bot: Bot
  readonly migrations: Migrations
}

/** The messages of an album, or one; null: nothing was said (a service message). */
export function readMessages(messages: readonly Message[], reader: Reader): Inbound | null {
  const [first] = messages
  if (first === undefined) return null
  const payload = payloadOf(messages)
  if (payload === null) return null
  const { chat, from } = first
  const { bot, migrations } = reader
  const isGroup = chat.type !== 'private'
  const home = migrations.homeOf(String(chat.id))
  const thread = first.is_topic_message === true && first.message_thread_id !== undefined ? String(first.message_thread_id) : null
  const kind = isGroup ? 'group' : 'direct'
  const isEdit = first.edit_date !== undefined
  return {
    key: isEdit ? `${keyOf(first)}:${first.edit_date}` : keyOf(first),
    fingerprint: null,
    lane: thread === null ? home : `${home}/${thread}`,
    account: String(bot.id),
    peer: { kind, id: home, thread },
    // Anonymous administrators and linked channels speak as a chat.
    sender: String(first.sender_chat?.id ?? from?.id ?? chat.id),
    aliases: first.sender_chat === undefined && from?.username !== undefined ? [`@${from.username}`] : [],
    author: from?.id === bot.id ? 'self' : from?.is_bot === true && first.sender_chat === undefined ? 'bot' : 'person',
    isAddressed: !isGroup || messages.some((message) => isAddressed(message, bot)),
    ...(isEdit ? { event: 'edit' } : {}),
    at: (first.edit_date ?? first.date) * 1_000,
    payload,
    metadata: metadataOf(messages, first, isEdit),
    agent: null,
    reply: {
      chat: home,
      kind,
      ...(thread === null ? {} : { thread }),
      ...(isGroup ? { replyTo: String(first.message_id) } : {}),
    },
  }
}

/** Ids of messages are unique in a chat, ids of updates only for a week (https://core.telegram.org/bots/api#update). */
const keyOf = ({ chat, message_id: id }: { readonly chat: Chat; readonly message_id: number }): string => `${chat.id}:${id}`

/** What is said without words or files, as the Bot API has it. */
const SPOKEN = ['location', 'venue', 'contact', 'poll', 'dice', 'checklist'] as const

function payloadOf(messages: readonly Message[]): Inbound['payload'] | null {
  const texts = messages.flatMap(({ text, caption }) => text ?? caption ?? [])
  if (texts.length > 0 || messages.some((message) => mediaOf(message).length > 0)) return { text: texts.join('\n') }
  const [message] = messages
  // A venue has its location beside it.
  const kind = SPOKEN.findLast((kind) => message?.[kind] !== undefined)
  return kind === undefined ? null : { json: { [kind]: asJson(message?.[kind]) } }
}

/** Of an object that came as JSON. */
const asJson = (value: unknown): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue

function metadataOf(messages: readonly Message[], first: Message, isEdit: boolean): Metadata {
  const { chat, from, reply_to_message: answered } = first
  const media = messages.flatMap((message) => mediaOf(message))
  const name = [from?.first_name, from?.last_name].filter((part) => part !== undefined).join(' ')
  return {
    ...(name === '' ? {} : { sender_name: name }),
    ...(chat.title === undefined ? {} : { chat_title: chat.title }),
    ...(answered === undefined || answered.forum_topic_created !== undefined ? {} : { reply_to: keyOf(answered) }),
    ...(media.length === 0 ? {} : { media }),
    ...(isEdit ? { event: 'edit', of: keyOf(first) } : {}),
  }
}
