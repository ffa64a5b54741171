/**
 * Updates, from a poll or a webhook, handed in: albums joined, migrations learned, what cannot be read made a dead letter. All of a
 * batch and the channel's own values are in one transaction, or none of it is.
 */
import type { ChannelHost, Inbound, JsonValue, StateChanges } from '#contract'
import type { Message, Update } from 'grammy/types'
import type { Bot } from './addressed.ts'
import { albumOf } from './album.ts'
import { readMessages } from './inbound.ts'
import type { Migrations } from './migration.ts'

/** All that is asked for: whatever is not named here never comes. */
export const KINDS = ['message', 'edited_message'] as const

export class Intake {
  readonly #host: ChannelHost
  readonly #bot: Bot
  readonly #migrations: Migrations

  constructor(host: ChannelHost, bot: Bot, migrations: Migrations) {
    this.#host = host
    this.#bot = bot
    this.#migrations = migrations
  }

  /** Resolves when they are stored and may be confirmed; rejects when none is. */
  async take(updates: readonly Update[], state: StateChanges = {}): Promise<void> {
    const messages: Inbound[] = []
    let changes = state
    for (const update of joined(updates)) {
      try {
        changes = { ...changes, ...this.#learn(update.message) }
        const message = this.#read(update)
        if (message !== null) messages.push(message)
      } catch {
        messages.push(this.#unreadable(update))
      }
    }
    await this.#host.acceptAll(messages, changes)
  }

  #read({ message, album, edited_message: edited }: Joined): Inbound | null {
    const reader = { bot: this.#bot, migrations: this.#migrations }
    if (message !== undefined) return readMessages([message, ...album], reader)
    return edited === undefined ? null : readMessages([edited], reader)
  }

  #learn(message: Message | undefined): StateChanges {
    if (message?.migrate_to_chat_id !== undefined)
      return this.#migrations.learn(String(message.chat.id), String(message.migrate_to_chat_id))
    if (message?.migrate_from_chat_id !== undefined) {
      return this.#migrations.learn(String(message.migrate_from_chat_id), String(message.chat.id))
    }
    return {}
  }

  #unreadable(update: Joined): Inbound {
    return {
      key: `update:${update.update_id}`,
      fingerprint: null,
      lane: 'unreadable',
      account: String(this.#bot.id),
      peer: { kind: 'direct', id: 'unreadable', thread: null },
      sender: 'unreadable',
      dead: {
        code: 'TELEGRAM_UPDATE_UNREADABLE',
        message: 'Telegram sent something that this version cannot read. It is kept as it came; look whether there is a newer version.',
      },
      at: this.#host.clock.now(),
      payload: { json: JSON.parse(JSON.stringify(update)) as JsonValue },
      metadata: {},
      agent: null,
      reply: { chat: 'unreadable' },
    }
  }
}

type Joined = Update & { readonly album: readonly Message[] }

/** Each album at the place of its first message. */
function joined(updates: readonly Update[]): readonly Joined[] {
  const all: Joined[] = []
  const albums = new Map<string, Message[]>()
  for (const update of updates) {
    const id = albumOf(update)
    const begun = id === null ? undefined : albums.get(id)
    if (begun !== undefined && update.message !== undefined) begun.push(update.message)
    else {
      const album: Message[] = []
      if (id !== null) albums.set(id, album)
      all.push({ ...update, album })
    }
  }
  return all
}
