/**
 * Identifiers: branded strings, each made by one function.
 * An id is `<prefix>-` followed by 26 Crockford base32 characters: 48 bits of epoch milliseconds, 80 bits of
 * randomness. Ids made later sort later (to the millisecond), as in the ULID specification.
 */
import { randomFillSync } from 'node:crypto'

declare const brand: unique symbol
type Id<Name extends string> = string & { readonly [brand]: Name }

/** One accepted message, `msg-…`. */
export type MessageId = Id<'message'>
/** What an agent does about one or more messages, `turn-…`. */
export type TurnId = Id<'turn'>
/** One outgoing part on its way, `dlv-…`. */
export type DeliveryId = Id<'delivery'>
/** Something that was given up, kept whole, `dl-…`. */
export type DeadLetterId = Id<'dead letter'>
/** An API key's public part, `key-…`. */
export type KeyId = Id<'key'>
/** A registered agent, `agent-…`. */
export type AgentId = Id<'agent'>
/** Tokens that were called back, `rev-…`. */
export type RevocationId = Id<'revocation'>
/** A webhook, `whk-…`. */
export type WebhookId = Id<'webhook'>
/** Something that happened, `evt_…`: the `webhook-id` that receivers dedupe by. */
export type EventId = Id<'event'>
/** One event on its way to one webhook, `wdl-…`. */
export type WebhookDeliveryId = Id<'webhook delivery'>
/** One execution of a skill, `run-…`. */
export type RunId = Id<'run'>
/**
 * The memory of one agent with one sender:
 * `agent:<agent>:<channel>:<account>:<direct|group|channel>:<peer>[:thread:<id>]`, each part percent-encoded; before it, but for the tenant
 * `default`, `tenant:<tenant>:`.
 */
export type SessionKey = Id<'session'>

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const pool = new Uint8Array(16 * 512)
let used = pool.length

function unique(prefix: string, at: number): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  let time = ''
  for (let rest = at, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = ALPHABET.charAt(rest % 32) + time
  let random = ''
  for (let i = 0; i < 16; i++) random += ALPHABET.charAt((pool[used++] ?? 0) % 32)
  return `${prefix}-${time}${random}`
}

/** When it was made, epoch milliseconds. */
export function timeOf(id: MessageId | DeliveryId): number {
  const start = id.indexOf('-') + 1
  let at = 0
  for (let i = start; i < start + 10; i++) at = at * 32 + ALPHABET.indexOf(id.charAt(i))
  return at
}

/** @param at epoch milliseconds, for the sortable part */
export const newMessageId = (at: number): MessageId => unique('msg', at) as MessageId
export const newTurnId = (at: number): TurnId => unique('turn', at) as TurnId
export const newDeliveryId = (at: number): DeliveryId => unique('dlv', at) as DeliveryId
export const newDeadLetterId = (at: number): DeadLetterId => unique('dl', at) as DeadLetterId
export const newKeyId = (at: number): KeyId => unique('key', at) as KeyId
export const newRunId = (at: number): RunId => unique('run', at) as RunId
export const newRevocationId = (at: number): RevocationId => unique('rev', at) as RevocationId
export const newWebhookId = (at: number): WebhookId => unique('whk', at) as WebhookId
/** With the underscore of the ids in the Standard Webhooks specification. */
export const newEventId = (at: number): EventId => unique('evt', at).replace('-', '_') as EventId
export const newWebhookDeliveryId = (at: number): WebhookDeliveryId => unique('wdl', at) as WebhookDeliveryId
export const newAgentId = (at: number): AgentId => unique('agent', at) as AgentId

/** Ids that come from outside (a path, a database row) enter the program here and nowhere else. */
export const asMessageId = (text: string): MessageId => text as MessageId
export const asTurnId = (text: string): TurnId => text as TurnId
export const asDeliveryId = (text: string): DeliveryId => text as DeliveryId
export const asDeadLetterId = (text: string): DeadLetterId => text as DeadLetterId
export const asKeyId = (text: string): KeyId => text as KeyId
export const asRunId = (text: string): RunId => text as RunId
export const asRevocationId = (text: string): RevocationId => text as RevocationId
export const asWebhookId = (text: string): WebhookId => text as WebhookId
export const asEventId = (text: string): EventId => text as EventId
export const asWebhookDeliveryId = (text: string): WebhookDeliveryId => text as WebhookDeliveryId
export const asAgentId = (text: string): AgentId => text as AgentId
export const asSessionKey = (text: string): SessionKey => text as SessionKey

/** When an id was made, epoch milliseconds. */
export function idTime(id: string): number {
  let time = 0
  for (const digit of id.slice(-26, -16)) time = time * 32 + ALPHABET.indexOf(digit)
  return time
}
