/**
 * A decrypted message and its stanza, made into what the hub takes in: who, where, when, under which key. What it says is read by
 * content.ts.
 */
import type { proto } from 'baileys'
import type { Address, Inbound, Metadata, Payload } from '#contract'
import { readContent } from './content.ts'
import type { Content, Pointed } from './content.ts'
import type { Baileys } from './library.ts'
import type { Named, Names } from './names.ts'
import { quotable } from './quote.ts'

/** The attributes of a `message` stanza. */
export type Stanza = { readonly [attribute: string]: string | undefined }

export interface Reader {
  readonly baileys: Baileys
  readonly names: Names
  /** Our own names, without a device. */
  readonly me: { readonly jid: string; readonly lid: string }
  readonly account: string
  /** Epoch milliseconds: what was said before was never meant for this device. */
  readonly linkedAt: number
  readonly maxAgeMs: number
  readonly now: number
}

export interface Read {
  readonly inbound: Inbound
  readonly learned: { readonly [key: string]: Uint8Array }
}

/** null: nothing that anybody said to us. */
export async function readMessage(reader: Reader, stanza: Stanza, message: proto.IMessage): Promise<Read | null> {
  const content = readContent(reader.baileys, message.deviceSentMessage?.message ?? message)
  const at = Number(stanza['t'] ?? 0) * 1_000
  if (content === null || at < reader.linkedAt - CLOCK_SKEW_MS) return null
  const { inbound, learned } = await frame(reader, stanza, at, content)
  const isStale = at < reader.now - reader.maxAgeMs
  return { learned, inbound: isStale ? { ...inbound, dead: STALE } : inbound }
}

/** Bytes that were decrypted and are no message: kept whole. */
export async function unreadable(reader: Reader, stanza: Stanza, bytes: Uint8Array): Promise<Read> {
  const { inbound, learned } = await frame(reader, stanza, Number(stanza['t'] ?? 0) * 1_000, { text: '', mentions: [], quotes: null })
  const payload = { binary: Buffer.from(bytes).toString('base64'), media_type: 'application/octet-stream' }
  return { learned, inbound: { ...inbound, payload, dead: UNDECODABLE } }
}

const CLOCK_SKEW_MS = 60_000
const STALE = {
  code: 'WHATSAPP_MESSAGE_STALE',
  message: 'It had waited at WhatsApp for longer than `max_age_days`. Replay it if it still matters.',
}
const UNDECODABLE = { code: 'WHATSAPP_MESSAGE_UNDECODABLE', message: 'It was decrypted, but is no message that this version can read.' }

async function frame(reader: Reader, stanza: Stanza, at: number, content: Content): Promise<Read> {
  const { baileys, names, account, me } = reader
  const from = stanza['from'] ?? ''
  const id = stanza['id'] ?? ''
  const isGroup = baileys.isJidGroup(from) === true
  const author = stanza['participant'] ?? from
  const sender = await names.of(author, alternative(stanza))
  const isOurs = isUs(reader, author)
  const peer = isGroup
    ? null
    : isOurs
      ? await names.of(stanza['recipient'] ?? from, stanza['recipient_pn'] ?? stanza['recipient_lid'])
      : sender
  const lane = peer?.id ?? from
  const key = (said: string, by: string): string => (isGroup ? `${lane} ${by} ${said}` : `${lane} ${said}`)
  const of = content.of === undefined ? null : key(content.of.id, await authorOf(names, content.of, sender))
  const reply: Address = isGroup
    ? { chat: lane, kind: 'group', replyTo: quotable(id, author, content.text) }
    : { chat: lane, kind: 'direct' }
  const metadata: Metadata = {
    message_id: id,
    ...(stanza['notify'] === undefined ? {} : { push_name: stanza['notify'] }),
    ...(content.media === undefined ? {} : { media: content.media }),
    ...(content.quotes === null ? {} : { quoted: { id: content.quotes.id, text: content.quotes.text } }),
    ...(content.event === undefined || of === null ? {} : { event: content.event, of }),
  }
  return {
    learned: { ...sender.learned, ...peer?.learned },
    inbound: {
      key: key(id, sender.id),
      fingerprint: null,
      lane,
      account,
      peer: { kind: isGroup ? 'group' : 'direct', id: lane, thread: null },
      sender: sender.id,
      aliases: sender.aliases,
      author: isOurs ? 'self' : author.endsWith('@bot') ? 'bot' : 'person',
      ...(isGroup ? { isAddressed: isAddressed(reader, content) } : {}),
      ...(content.event === undefined ? {} : { event: content.event }),
      at,
      payload: payloadOf(content),
      metadata,
      agent: null,
      reply,
    },
  }

  function isUs({ baileys: { areJidsSameUser } }: Reader, jid: string): boolean {
    return areJidsSameUser(jid, me.jid) || areJidsSameUser(jid, me.lid)
  }
}

const payloadOf = ({ text, form }: Content): Payload => (form === undefined ? { text } : { json: form })

/** The sender's other name, in the attribute that depends on kind of chat and addressing. */
const alternative = (stanza: Stanza): string | undefined =>
  stanza['participant_pn'] ?? stanza['participant_lid'] ?? stanza['sender_pn'] ?? stanza['sender_lid']

async function authorOf(names: Names, { author }: Pointed, sender: Named): Promise<string> {
  return author === null ? sender.id : (await names.of(author)).id
}

/** A mention by either of our names, or an answer to what we said. */
function isAddressed({ baileys, me }: Reader, { mentions, quotes }: Content): boolean {
  const named = [...mentions, ...(quotes?.author ? [quotes.author] : [])]
  return named.some((jid) => baileys.areJidsSameUser(jid, me.jid) || baileys.areJidsSameUser(jid, me.lid))
}
