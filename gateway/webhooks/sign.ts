/**
 * The signatures of a delivery; the first two are always there. `X-OpenClaw-Signature`: hex HMAC-SHA-256 over body, timestamp and nonce, keyed with the
 * secret as it is written. Standard Webhooks 1.0.0: base64 HMAC-SHA-256 over `id.timestamp.body`, keyed with what the secret encodes. Keys
 * and messages differ, so neither is ever taken for the other. And where the webhook has a key pair, ed25519 over the same words (`v1a`),
 * which whoever verifies cannot make. Of several secrets each signs, the newest first.
 */
import { createHmac, sign } from 'node:crypto'
import type { WebhookEvent } from '#contract'
import { signingKey } from './secret.ts'

export interface Attempt {
  readonly event: WebhookEvent
  /** From 1. */
  readonly number: number
  /** Epoch milliseconds of this attempt: a receiver refuses what is older than five minutes. */
  readonly at: number
  /** 32 hex digits, new at each attempt. Fixed in length like the timestamp, so that no byte can pass from one signed part to the next. */
  readonly nonce: string
  readonly secrets: readonly string[]
  /** `whsk_…` */
  readonly privateKeys?: readonly string[]
  readonly userAgent: string
  /** W3C Trace Context, for a receiver that traces. */
  readonly traceparent?: string | undefined
}

export interface SignedRequest {
  readonly headers: { readonly [name: string]: string }
  readonly body: string
}

/** Rendered anew at each attempt; `id` is what stays. */
export function signedRequest({ event, number, at, nonce, secrets, privateKeys = [], userAgent, traceparent }: Attempt): SignedRequest {
  const timestamp = Math.floor(at / 1_000)
  const body = JSON.stringify({
    id: event.id,
    type: event.type,
    created_at: new Date(event.createdAt).toISOString(),
    timestamp,
    nonce,
    attempt: number,
    data: event.data,
  })
  const own = secrets.map((secret) => ownSignature(secret, { body, timestamp: String(timestamp), nonce }))
  const signed: Signed = { id: event.id, timestamp: String(timestamp), body }
  const standard = [
    ...secrets.map((secret) => standardSignature(secret, signed)),
    ...privateKeys.map((key) => asymmetricSignature(key, signed)),
  ]
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'user-agent': userAgent,
      ...(traceparent !== undefined && { traceparent }),
      'x-openclaw-event': event.type,
      'x-openclaw-attempt': String(number),
      'x-openclaw-timestamp': String(timestamp),
      'x-openclaw-nonce': nonce,
      'x-openclaw-signature': own.join(','),
      'webhook-id': event.id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': standard.join(' '),
    },
  }
}

export const ownSignature = (
  secret: string,
  { body, timestamp, nonce }: { readonly body: string; readonly timestamp: string; readonly nonce: string },
): string => createHmac('sha256', secret).update(body).update(timestamp).update(nonce).digest('hex')

interface Signed {
  readonly id: string
  readonly timestamp: string
  readonly body: string
}

export const standardSignature = (secret: string, signed: Signed): string =>
  `v1,${createHmac('sha256', standardKey(secret)).update(wordsOf(signed)).digest('base64')}`

export const asymmetricSignature = (privateKey: string, signed: Signed): string =>
  `v1a,${sign(null, Buffer.from(wordsOf(signed)), signingKey(privateKey)).toString('base64')}`

const wordsOf = ({ id, timestamp, body }: Signed): string => `${id}.${timestamp}.${body}`

const PREFIX = 'whsec_'
const standardKey = (secret: string): Uint8Array =>
  secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), 'base64') : Buffer.from(secret)
