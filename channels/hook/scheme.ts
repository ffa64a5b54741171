/**
 * The ways in which senders sign what they post: what they claim in their headers, over which bytes, with which key, and by what an event is
 * known when it comes again. Only what is signed may tell one event from another: whoever has seen a request can change the rest.
 * Whether a claim holds is signature.ts.
 */
import { hash } from 'node:crypto'
import { isJsonObject, readName } from '#contract'
import type { HttpRequest, JsonValue } from '#contract'

export type Signed = Pick<HttpRequest, 'headers' | 'raw'>

export interface Claim {
  /** Epoch seconds at which it was signed; null: the scheme has no time. */
  readonly at: number | null
  /** Any of these, by any of the secrets. */
  readonly signatures: readonly Buffer[]
  /** HMAC-SHA-256 is over these in turn. */
  readonly message: readonly (string | Uint8Array)[]
  /** What is signed and the same whenever this event comes; `body`: it as JSON, undefined where it is none. */
  key(body: JsonValue | undefined): string
}

export interface Scheme {
  keyOf(secret: string): Uint8Array
  /** null: the headers are missing, or not of this shape. */
  read(request: Signed): Claim | null
  /** Form and time cannot be told from these headers alone. */
  needsBody?(headers: Signed['headers']): boolean
  /** Headers that are kept with the message, so that routes may match on them. */
  readonly carries: readonly string[]
}

/** More in one header are nobody's rotation. */
const MAX_SIGNATURES = 16
const HEX = /^[0-9a-f]{64}$/
const BASE64 = /^[A-Za-z0-9+/]{43}=$/
/** Ten digits until the year 2286: of one length, so that no byte can pass from one signed part to the next. */
const SECONDS = /^[0-9]{10}$/
const NONCE = /^[0-9a-f]{32}$/
/** Without a full stop, which is what the signed parts are joined by. */
const STANDARD_ID = /^[\x21-\x2d\x2f-\x7e]{1,255}$/

/** What this gateway sends to others: timestamp and nonce in the body, and in headers for those who will not read it before they trust it. */
const openclaw: Scheme = {
  keyOf: (secret) => Buffer.from(secret),
  read({ headers, raw }) {
    // Some name the hash before it, as GitHub does.
    const given = headers['x-openclaw-signature']?.split(/, ?/).map((one) => one.replace(/^sha256=/, ''))
    const signatures = listed(given, HEX, 'hex')
    const stated = headers['x-openclaw-timestamp'] === undefined ? inBody(raw) : headersOf(headers)
    if (signatures === null || !SECONDS.test(stated.timestamp) || !NONCE.test(stated.nonce)) return null
    const { timestamp, nonce } = stated
    return {
      at: Number(timestamp),
      signatures,
      message: [raw, timestamp, nonce],
      // Each attempt at the same event has a nonce of its own.
      key: (body) => idIn(body) ?? `nonce:${nonce}`,
    }
  },
  needsBody: (headers) =>
    headers['x-openclaw-timestamp'] === undefined && listed(headers['x-openclaw-signature']?.split(/, ?/), HEX, 'hex') !== null,
  carries: ['x-openclaw-event', 'x-openclaw-attempt'],
}

/** Standard Webhooks 1.0.0. */
const standard: Scheme = {
  keyOf: (secret) => (secret.startsWith('whsec_') ? base64(secret.slice('whsec_'.length)) : Buffer.from(secret)),
  read({ headers, raw }) {
    const id = headers['webhook-id'] ?? ''
    const timestamp = headers['webhook-timestamp'] ?? ''
    const versioned = headers['webhook-signature']?.split(' ').filter((one) => one.startsWith('v1,'))
    const signatures = listed(
      versioned?.map((one) => one.slice('v1,'.length)),
      BASE64,
      'base64',
    )
    if (signatures === null || !STANDARD_ID.test(id) || !SECONDS.test(timestamp)) return null
    return { at: Number(timestamp), signatures, message: [`${id}.${timestamp}.`, raw], key: () => id }
  },
  carries: ['webhook-id'],
}

/** GitHub signs the body and nothing else, so it is known by its body: `X-GitHub-Delivery` is anybody's to change. */
const github: Scheme = {
  keyOf: (secret) => Buffer.from(secret),
  read({ headers, raw }) {
    const given = headers['x-hub-signature-256'] ?? ''
    const signatures = given.startsWith('sha256=') ? listed([given.slice('sha256='.length)], HEX, 'hex') : null
    return signatures === null ? null : { at: null, signatures, message: [raw], key: () => digest(raw) }
  },
  carries: ['x-github-event', 'x-github-delivery', 'x-github-hook-id'],
}

/** `t=1492774577,v1=…,v1=…`: Stripe's, and that of many who took it over. */
const stripe: Scheme = {
  keyOf: (secret) => Buffer.from(secret),
  read({ headers, raw }) {
    const pairs = (headers['stripe-signature'] ?? '').split(/, ?/).map((pair) => pair.split('='))
    const of = (name: string): string[] => pairs.flatMap(([key, value]) => (key === name && value !== undefined ? [value] : []))
    const [timestamp = '', ...more] = of('t')
    const signatures = listed(of('v1'), HEX, 'hex')
    if (signatures === null || !SECONDS.test(timestamp) || more.length > 0) return null
    return { at: Number(timestamp), signatures, message: [`${timestamp}.`, raw], key: (body) => idIn(body) ?? digest(raw) }
  },
  carries: [],
}

export const schemes: { readonly [name in 'standard' | 'openclaw' | 'github' | 'stripe']: Scheme } = { standard, openclaw, github, stripe }

/** Those of the right shape; null: none is, or there are too many. */
function listed(given: readonly string[] | undefined, shape: RegExp, encoding: 'hex' | 'base64'): readonly Buffer[] | null {
  if (given === undefined || given.length > MAX_SIGNATURES) return null
  const fit = given.filter((one) => shape.test(one)).map((one) => Buffer.from(one, encoding))
  return fit.length === 0 ? null : fit
}

interface Stated {
  readonly timestamp: string
  readonly nonce: string
}
const headersOf = (headers: Signed['headers']): Stated => ({
  timestamp: headers['x-openclaw-timestamp'] ?? '',
  nonce: headers['x-openclaw-nonce'] ?? '',
})

function inBody(raw: Uint8Array): Stated {
  const body = readJson(raw)
  const { timestamp, nonce } = isJsonObject(body) ? body : {}
  return { timestamp: typeof timestamp === 'number' ? String(timestamp) : '', nonce: typeof nonce === 'string' ? nonce : '' }
}

/** undefined: it is no JSON. */
export function readJson(raw: Uint8Array): JsonValue | undefined {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw)) as JsonValue
  } catch {
    return undefined
  }
}

const idIn = (body: JsonValue | undefined): string | null => (isJsonObject(body) ? readName(body['id'], '#', []) : null)
const digest = (raw: Uint8Array): string => `sha256:${hash('sha256', raw, 'base64url')}`
/** Empty: it is none. */
const base64 = (text: string): Uint8Array => Buffer.from(/^[A-Za-z0-9+/]+={0,2}$/.test(text) ? text : '', 'base64')
