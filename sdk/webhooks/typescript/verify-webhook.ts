/**
 * For receivers of OpenClaw's webhooks: is this request from the gateway, of now, and not one that came before? Needs Node and nothing
 * else; take the file into your project. `sdk/webhooks/vectors.json` says what it has to accept and refuse, in every language.
 */
import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto'

export interface VerifyOptions {
  /** Seconds by which a request may be older or newer than now. */
  readonly tolerance?: number
  /** Which requests came before. Default: one in memory, for this process; where several receive, give one that they share. */
  readonly nonceStore?: NonceStore
  /** Epoch milliseconds. */
  readonly now?: () => number
}

export interface NonceStore {
  /** True if it was not there yet and is now, in one step. It may be forgotten at `expiresAt` (epoch milliseconds). */
  insert(nonce: string, expiresAt: number): boolean | Promise<boolean>
}

export type WebhookHeaders = Headers | { readonly [name: string]: string | readonly string[] | undefined }

/** What was sent, as JSON; null: an empty body. Its `id` is the same whenever the event comes again: dedupe by it. */
export type WebhookEvent = null | boolean | number | string | readonly WebhookEvent[] | { readonly [member: string]: WebhookEvent }

export type Reason =
  /** The program's mistakes. */
  | 'raw_body_needed'
  | 'secret_missing'
  /** The request's. */
  | 'header_missing'
  | 'header_malformed'
  | 'too_old'
  | 'too_new'
  | 'no_match'
  | 'replayed'
  | 'body_unreadable'

export class SignatureVerificationError extends Error {
  readonly reason: Reason
  constructor(reason: Reason, message: string) {
    super(message)
    this.name = 'SignatureVerificationError'
    this.reason = reason
  }
}

/**
 * Resolves with the event. `secret`: the webhook's `whsec_…`, or its public key `whpk_…`, which can only verify; a list while it is changed.
 * Checks in this order: shape of the headers, time, signature over the very bytes, and only then whether it came before.
 * @throws SignatureVerificationError
 */
export async function verifyWebhook(
  rawBody: Uint8Array | string,
  headers: WebhookHeaders,
  secret: string | readonly string[],
  { tolerance = 300, nonceStore = nonces, now = Date.now }: VerifyOptions = {},
): Promise<WebhookEvent> {
  if (typeof rawBody !== 'string' && !(rawBody instanceof Uint8Array)) {
    throw new SignatureVerificationError(
      'raw_body_needed',
      'The body was parsed already, and the signature is over its bytes. Verify before parsing: in Express, ' +
        "express.raw({ type: '*/*' }) for this route, ahead of express.json().",
    )
  }
  // JavaScript may hand in an environment variable that is not set.
  const secrets: readonly unknown[] = Array.isArray(secret) ? secret : [secret]
  if (secrets.length === 0 || !secrets.every(isSecret)) {
    throw new SignatureVerificationError(
      'secret_missing',
      'A secret is missing, blank, or no key: what follows `whsec_` or `whpk_` is its base64.',
    )
  }
  const body = Buffer.from(rawBody)
  const claim = claimOf(body, readerOf(headers), secrets.some(isPublic))
  const nowMs = now()
  const age = Math.floor(nowMs / 1_000) - claim.timestamp
  if (age > tolerance) throw new SignatureVerificationError('too_old', `It was signed more than ${tolerance} seconds ago.`)
  if (-age > tolerance) throw new SignatureVerificationError('too_new', `It is signed for more than ${tolerance} seconds from now.`)
  if (!secrets.some((each) => fits(claim, each))) {
    throw new SignatureVerificationError('no_match', 'No signature fits. Is it the secret of this webhook, and the body as it came?')
  }
  if (!(await nonceStore.insert(claim.nonce(), (claim.timestamp + tolerance) * 1_000 + 1_000))) {
    throw new SignatureVerificationError('replayed', 'This very request came before.')
  }
  if (body.length === 0) return null
  const event = parse(body)
  if (event === undefined) throw new SignatureVerificationError('body_unreadable', 'The body is signed, and is no JSON.')
  return event
}

/** Remembers so many; what expires first is forgotten first. Only requests that were signed get here. */
export class MemoryNonceStore implements NonceStore {
  readonly #expiries = new Map<string, number>()
  readonly #max: number
  readonly #now: () => number

  constructor(max = 100_000, now: () => number = Date.now) {
    this.#max = max
    this.#now = now
  }

  insert(nonce: string, expiresAt: number): boolean {
    const expiry = this.#expiries.get(nonce)
    if (expiry !== undefined && expiry > this.#now()) return false
    this.#expiries.delete(nonce)
    for (const [oldest, at] of this.#expiries) {
      if (at > this.#now() && this.#expiries.size < this.#max) break
      this.#expiries.delete(oldest)
    }
    this.#expiries.set(nonce, expiresAt)
    return true
  }
}

/** Of all who give none. */
const nonces = new MemoryNonceStore()

interface Claim {
  readonly timestamp: number
  /** Asked for when the signature fits: it may look into the body. */
  readonly nonce: () => string
  readonly signatures: readonly Buffer[]
  /** By ed25519, over the same message. */
  readonly asymmetric?: readonly Buffer[]
  readonly message: readonly (string | Buffer)[]
  readonly keyOf: (secret: string) => Buffer
}

const SECONDS = /^[0-9]{10}$/
const NONCE = /^[0-9a-f]{32}$/
const ID = /^[\x21-\x2d\x2f-\x7e]{1,255}$/
/** Some proxies and libraries name the hash before it, as GitHub does. */
const HEX = /^(?:sha256=)?([0-9a-f]{64})$/
const BASE64 = /^[A-Za-z0-9+/]{43}=$/
const BASE64_OF_64 = /^[A-Za-z0-9+/]{86}==$/

/** `isForPublic`: a public key verifies, and of the two signatures only that of Standard Webhooks has one for it. */
function claimOf(body: Buffer, header: (name: string) => string | undefined, isForPublic: boolean): Claim {
  const own = isForPublic ? undefined : header('x-openclaw-signature')
  if (own !== undefined) {
    const { timestamp, nonce } = header('x-openclaw-timestamp') === undefined ? statedIn(body) : statedIn(header)
    const signatures = own.split(/, ?/).flatMap((one) => HEX.exec(one)?.[1] ?? [])
    if (timestamp === undefined || nonce === undefined) throw missing('a timestamp and a nonce, in headers or body')
    if (signatures.length === 0 || !SECONDS.test(timestamp) || !NONCE.test(nonce)) throw malformed('X-OpenClaw-*')
    return {
      timestamp: Number(timestamp),
      nonce: () => `openclaw:${nonce}`,
      signatures: signatures.map((one) => Buffer.from(one, 'hex')),
      message: [body, timestamp, nonce],
      keyOf: (secret) => Buffer.from(secret),
    }
  }
  const [id, timestamp, signature] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map(header)
  if (id === undefined || timestamp === undefined || signature === undefined) {
    throw missing('X-OpenClaw-Signature, or webhook-id, webhook-timestamp and webhook-signature')
  }
  const signatures = versioned(signature, 'v1,', BASE64)
  const asymmetric = isForPublic ? versioned(signature, 'v1a,', BASE64_OF_64) : []
  if (signatures.length + asymmetric.length === 0 || !SECONDS.test(timestamp) || !ID.test(id)) throw malformed('webhook-*')
  return {
    timestamp: Number(timestamp),
    nonce: () => {
      const stated = statedIn(body)
      // The gateway signs twice: whoever leaves one signature away sends the same request, not another.
      if (stated.timestamp === timestamp && NONCE.test(stated.nonce ?? '')) return `openclaw:${stated.nonce}`
      // The id stays when an event is sent again, with another time.
      return `standard:${id}.${timestamp}`
    },
    signatures,
    asymmetric,
    message: [`${id}.${timestamp}.`, body],
    keyOf: standardKey,
  }
}

const versioned = (header: string, version: 'v1,' | 'v1a,', shape: RegExp): readonly Buffer[] =>
  header
    .split(' ')
    .filter((one) => one.startsWith(version) && shape.test(one.slice(version.length)))
    .map((one) => Buffer.from(one.slice(version.length), 'base64'))

interface Stated {
  readonly timestamp: string | undefined
  readonly nonce: string | undefined
}
function statedIn(place: Buffer | ((name: string) => string | undefined)): Stated {
  if (typeof place === 'function') return { timestamp: place('x-openclaw-timestamp'), nonce: place('x-openclaw-nonce') }
  const event: unknown = parse(place)
  if (typeof event !== 'object' || event === null) return { timestamp: undefined, nonce: undefined }
  const { timestamp, nonce } = event as { readonly timestamp?: unknown; readonly nonce?: unknown }
  return {
    timestamp: typeof timestamp === 'number' ? String(timestamp) : undefined,
    nonce: typeof nonce === 'string' ? nonce : undefined,
  }
}

/** A public key is only ever a public key: with it as a key of HMAC, everybody could sign. */
function isSecret(given: unknown): given is string {
  if (typeof given !== 'string' || given.trim() === '' || given.startsWith('whsk_')) return false
  return isPublic(given) ? BASE64.test(given.slice('whpk_'.length)) : standardKey(given).length > 0
}
const isPublic = (secret: string): boolean => secret.startsWith('whpk_')

/** Standard Webhooks encodes its key; without the prefix the secret is the key. */
function standardKey(secret: string): Buffer {
  if (!secret.startsWith('whsec_')) return Buffer.from(secret)
  const encoded = secret.slice('whsec_'.length)
  return Buffer.from(/^[A-Za-z0-9+/]+={0,2}$/.test(encoded) ? encoded : '', 'base64')
}

function fits({ message, signatures, asymmetric = [], keyOf }: Claim, secret: string): boolean {
  if (isPublic(secret)) {
    const x = Buffer.from(secret.slice('whpk_'.length), 'base64').toString('base64url')
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    const bytes = Buffer.concat(message.map((part) => Buffer.from(part)))
    return asymmetric.some((given) => verify(null, bytes, key, given))
  }
  const hmac = createHmac('sha256', keyOf(secret))
  for (const part of message) hmac.update(part)
  const expected = hmac.digest()
  return signatures.some((given) => timingSafeEqual(given, expected))
}

function readerOf(headers: WebhookHeaders): (name: string) => string | undefined {
  if (headers instanceof Headers) return (name) => headers.get(name) ?? undefined
  const byName = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  return (name) => {
    const value = byName.get(name)
    // Given twice it is nobody's.
    return typeof value === 'string' ? value : value?.join(', ')
  }
}

/** undefined: it is no JSON. */
function parse(body: Buffer): WebhookEvent | undefined {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)) as WebhookEvent
  } catch {
    return undefined
  }
}

const missing = (what: string): SignatureVerificationError =>
  new SignatureVerificationError('header_missing', `It is not signed: there is no ${what}.`)
const malformed = (which: string): SignatureVerificationError =>
  new SignatureVerificationError('header_malformed', `A header ${which} is not of its form.`)
