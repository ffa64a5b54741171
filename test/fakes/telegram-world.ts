/**
 * People, groups and their messages as Telegram knows them: what the Bot API fake hands out and what it answers to sends is
 * made of these. Entities are found in the words as Telegram's own apps find them. Knows nothing of ours.
 */
import type { Entity } from './telegram-html.ts'

export interface User {
  readonly id: number
  readonly is_bot: boolean
  readonly first_name: string
  readonly username?: string
}

export interface Chat {
  readonly id: number
  readonly type: 'private' | 'group' | 'supergroup' | 'channel'
  readonly title?: string
  readonly username?: string
  readonly first_name?: string
  readonly is_forum?: true
}

export interface FileRef {
  readonly file_id: string
  readonly file_unique_id: string
  readonly file_size?: number
  readonly [member: string]: unknown
}

export interface Message {
  readonly message_id: number
  readonly date: number
  readonly chat: Chat
  readonly from?: User
  readonly text?: string
  readonly caption?: string
  readonly entities?: readonly object[]
  readonly caption_entities?: readonly object[]
  readonly edit_date?: number
  readonly message_thread_id?: number
  readonly is_topic_message?: true
  readonly reply_to_message?: Message
  readonly media_group_id?: string
  readonly photo?: readonly FileRef[]
  readonly document?: FileRef
  readonly [member: string]: unknown
}

/** What somebody says; `text` is the caption where something comes with it. */
export interface Saying {
  /** Default: the sender's private chat. */
  readonly chat?: number
  readonly from?: number
  readonly text?: string
  /** Instead of those found in the words. */
  readonly entities?: readonly object[]
  readonly thread?: number
  readonly replyTo?: Message
  readonly photo?: readonly FileRef[]
  readonly document?: FileRef
  readonly album?: string
  readonly at?: number
  /** Any other members of a message. */
  readonly more?: { readonly [member: string]: unknown }
}

export class World {
  readonly bot: User
  readonly #users = new Map<number, User>()
  readonly #chats = new Map<number, Chat>()
  /** Old group → supergroup. */
  readonly #moved = new Map<number, number>()
  readonly #messages = new Map<number, Message[]>()
  readonly #topics = new Map<number, Set<number>>()
  /** Chats that refuse the bot, and with which words. */
  readonly #refusing = new Map<number, string>()
  readonly files: Map<string, { readonly path: string; readonly bytes: Uint8Array; readonly mediaType: string }> = new Map()
  #nextMessage = 1
  #nextSupergroup = 1

  constructor(bot: { readonly id: number; readonly username: string }) {
    this.bot = { id: bot.id, is_bot: true, first_name: 'Gate', username: bot.username }
  }

  person(id: number, more: { readonly name?: string; readonly username?: string; readonly isBot?: boolean } = {}): User {
    const { name = `P${id}`, username, isBot = false } = more
    const user = { id, is_bot: isBot, first_name: name, ...(username === undefined ? {} : { username }) }
    this.#users.set(id, user)
    this.#chats.set(id, { id, type: 'private', first_name: name })
    return user
  }

  group(id: number, more: { readonly title?: string; readonly isForum?: boolean } = {}): Chat {
    const type = String(id).startsWith('-100') ? 'supergroup' : 'group'
    const chat: Chat = { id, type, title: more.title ?? `G${id}`, ...(more.isForum === true ? { is_forum: true } : {}) }
    this.#chats.set(id, chat)
    return chat
  }

  /** In a forum; its id is that of the message that began it. */
  topic(chat: number): Message {
    const begun = this.make({ chat, from: this.bot.id, more: { forum_topic_created: { name: 'T', icon_color: 0 } } })
    this.#topics.set(chat, (this.#topics.get(chat) ?? new Set()).add(begun.message_id))
    return begun
  }

  hasTopic(chat: number, thread: number): boolean {
    return this.#topics.get(chat)?.has(thread) === true
  }

  chat(id: number): Chat | undefined {
    return this.#chats.get(id)
  }

  movedTo(id: number): number | undefined {
    return this.#moved.get(id)
  }

  refuse(chat: number, why: string | null): void {
    if (why === null) this.#refusing.delete(chat)
    else this.#refusing.set(chat, why)
  }

  refusal(chat: number): string | undefined {
    return this.#refusing.get(chat)
  }

  find(chat: number, messageId: number): Message | undefined {
    return this.#messages.get(chat)?.find(({ message_id }) => message_id === messageId)
  }

  make(said: Saying): Message {
    const fromId = said.from ?? said.chat ?? 0
    const from = fromId === this.bot.id ? this.bot : (this.#users.get(fromId) ?? this.person(fromId))
    const chatId = said.chat ?? fromId
    const chat = this.#chats.get(chatId) ?? (chatId < 0 ? this.group(chatId) : this.person(chatId) && this.#chats.get(chatId))
    if (chat === undefined) throw new Error(`no chat ${chatId}`)
    const isTopic = said.thread !== undefined && this.hasTopic(chatId, said.thread)
    // In a topic every message answers the one that began it, unless it answers another.
    const answered = said.replyTo ?? (isTopic ? this.find(chatId, said.thread) : undefined)
    const hasMedia = said.photo !== undefined || said.document !== undefined
    const entities = said.entities ?? (said.text === undefined ? [] : this.#entitiesOf(said.text))
    const message: Message = {
      message_id: this.#nextMessage++,
      date: said.at ?? Math.floor(Date.now() / 1_000),
      chat,
      from,
      ...(said.thread === undefined ? {} : { message_thread_id: said.thread }),
      ...(isTopic ? { is_topic_message: true } : {}),
      ...(answered === undefined ? {} : { reply_to_message: answered }),
      ...(said.album === undefined ? {} : { media_group_id: said.album }),
      ...(said.photo === undefined ? {} : { photo: said.photo }),
      ...(said.document === undefined ? {} : { document: said.document }),
      ...(said.text === undefined ? {} : hasMedia ? { caption: said.text } : { text: said.text }),
      ...(entities.length === 0 ? {} : hasMedia ? { caption_entities: entities } : { entities }),
      ...said.more,
    }
    this.#messages.set(chatId, [...(this.#messages.get(chatId) ?? []), message])
    return message
  }

  edited(message: Message, text: string, at?: number): Message {
    const seconds = at ?? Math.floor(Date.now() / 1_000)
    return { ...message, ...(message.caption === undefined ? { text } : { caption: text }), edit_date: seconds }
  }

  /** The group becomes a supergroup: another id, message ids of its own. Both service messages, that of the old group first. */
  migrate(id: number): readonly [Message, Message] {
    const to = -1_001_000_000_000 - this.#nextSupergroup++
    const { title = '' } = this.#chats.get(id) ?? {}
    this.group(to, { title })
    const out = this.make({ chat: id, from: this.bot.id, more: { migrate_to_chat_id: to } })
    const into = this.make({ chat: to, from: this.bot.id, more: { migrate_from_chat_id: id } })
    this.#moved.set(id, to)
    return [out, into]
  }

  file(content: string | Uint8Array, more: { readonly name?: string; readonly mediaType?: string; readonly size?: number } = {}): FileRef {
    const number = this.files.size + 1
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    const { name, mediaType = 'application/octet-stream', size = bytes.length } = more
    const id = `file-${number}`
    this.files.set(id, { path: `documents/file_${number}.bin`, bytes, mediaType })
    return {
      file_id: id,
      file_unique_id: `u${number}`,
      file_size: size,
      ...(name === undefined ? {} : { file_name: name }),
      ...(more.mediaType === undefined ? {} : { mime_type: more.mediaType }),
    }
  }

  #entitiesOf(text: string): readonly Entity[] {
    return [...text.matchAll(/(?<![\w@/])(@\w{3,}|\/[a-z]\w*(?:@\w+)?)/gi)].map(({ 0: found, index }) => ({
      type: found.startsWith('@') ? 'mention' : 'bot_command',
      offset: index,
      length: found.length,
    }))
  }
}
