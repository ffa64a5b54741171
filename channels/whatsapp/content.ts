/**
 * What a decrypted WhatsApp message says, read into terms that do not depend on its many forms: words, files, or news of an earlier
 * message. Who said it and where is left to inbound.ts.
 */
import type { proto } from 'baileys'
import type { JsonObject, MediaRef } from '#contract'
import type { Baileys } from './library.ts'
import { mediaRef } from './media.ts'

/** Another message, as a message names it. */
export interface Pointed {
  readonly id: string
  /** Whose it is; null: the one who says this. */
  readonly author: string | null
}

export interface Content {
  readonly text: string
  /** In place of text: a form that has no words of its own. */
  readonly form?: JsonObject
  readonly media?: readonly MediaRef[]
  readonly event?: 'edit' | 'delete' | 'reaction'
  readonly of?: Pointed
  readonly mentions: readonly string[]
  readonly quotes: (Pointed & { readonly text: string }) | null
}

/** null: machinery of the protocol, nothing that anybody said. */
export function readContent(baileys: Baileys, message: proto.IMessage): Content | null {
  // An edit is a protocol message inside a wrapper that `extract` would take off.
  const protocol = message.protocolMessage ?? message.editedMessage?.message?.protocolMessage
  if (protocol) return readProtocol(baileys, protocol)
  const content = baileys.extractMessageContent(message)
  if (!content) return null
  if (content.protocolMessage) return readProtocol(baileys, content.protocolMessage)
  const { reactionMessage: reaction } = content
  if (reaction) return { ...NOTHING, text: reaction.text ?? '', event: 'reaction', of: pointed(reaction.key) }
  const about = contextOf(content)
  const media = mediaRef(content)
  const words = wordsOf(content)
  if (media !== null) return { ...about, text: words ?? '', media: [media] }
  if (words !== null) return { ...about, text: words }
  const form = Object.keys(content).find((name) => !MACHINERY.has(name) && isObject(Reflect.get(content, name)))
  return form === undefined ? null : { ...about, text: '', form: { type: form } }
}

const NOTHING = { text: '', mentions: [], quotes: null } as const

/** Members that come beside a message, or are about chats and keys. */
const MACHINERY: ReadonlySet<string> = new Set([
  'senderKeyDistributionMessage',
  'fastRatchetKeySenderKeyDistributionMessage',
  'messageContextInfo',
  'deviceSentMessage',
  'pinInChatMessage',
  'keepInChatMessage',
  'pollUpdateMessage',
  'encReactionMessage',
  'encEventResponseMessage',
  'placeholderMessage',
  'chat',
  'call',
])

function readProtocol(baileys: Baileys, { type, key, editedMessage }: proto.Message.IProtocolMessage): Content | null {
  const { Type } = baileys.proto.Message.ProtocolMessage
  if (type === Type.REVOKE) return { ...NOTHING, event: 'delete', of: pointed(key) }
  if (type !== Type.MESSAGE_EDIT || !editedMessage) return null
  return { ...(readContent(baileys, editedMessage) ?? NOTHING), event: 'edit', of: pointed(key) }
}

function wordsOf(content: proto.IMessage): string | null {
  const { locationMessage: place, contactMessage: contact, contactsArrayMessage: contacts } = content
  if (place)
    return [place.name, place.address, `geo:${place.degreesLatitude ?? 0},${place.degreesLongitude ?? 0}`].filter(Boolean).join('\n')
  if (contact) return contact.vcard ?? contact.displayName ?? ''
  if (contacts) return (contacts.contacts ?? []).map(({ vcard }) => vcard ?? '').join('\n')
  return (
    content.conversation ??
    content.extendedTextMessage?.text ??
    content.imageMessage?.caption ??
    content.videoMessage?.caption ??
    content.documentMessage?.caption ??
    content.buttonsResponseMessage?.selectedDisplayText ??
    content.templateButtonReplyMessage?.selectedDisplayText ??
    content.listResponseMessage?.title ??
    null
  )
}

function contextOf(content: proto.IMessage): Pick<Content, 'mentions' | 'quotes'> {
  for (const part of Object.values(content)) {
    const context: unknown = isObject(part) ? Reflect.get(part, 'contextInfo') : null
    if (!isObject(context)) continue
    const { mentionedJid, stanzaId, participant, quotedMessage }: proto.IContextInfo = context
    const quotes = stanzaId
      ? { id: stanzaId, author: participant ?? null, text: quotedMessage ? (wordsOf(quotedMessage) ?? '') : '' }
      : null
    return { mentions: mentionedJid ?? [], quotes }
  }
  return { mentions: [], quotes: null }
}

/** `fromMe` is said from the sender's side. */
const pointed = (key: proto.IMessageKey | null | undefined): Pointed => ({
  id: key?.id ?? '',
  author: key?.fromMe ? null : (key?.participant ?? key?.remoteJid ?? null),
})

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
