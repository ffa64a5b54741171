/**
 * What webhooks are signed with, in the words of Standard Webhooks 1.0.0: `whsec_` and 24 to 64 bytes for HMAC, made here or brought along,
 * and `whsk_` with its `whpk_` for ed25519, always made here, because whoever gave a private key would have it too.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { InvalidError } from '#contract'

const SECRET_BYTES = 32
const MIN_BYTES = 24
const MAX_BYTES = 64
const SEED_BYTES = 32
/** Of a PKCS #8 document (RFC 8410 §7) all that comes before the 32 bytes. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

export const newSecret = (): string => `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`

/** @throws InvalidError */
export function checkSecret(secret: string): void {
  const [, encoded = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? []
  const bytes = Buffer.from(encoded, 'base64')
  // Written otherwise, some libraries would read another key out of it.
  if (bytes.toString('base64') === encoded && bytes.length >= MIN_BYTES && bytes.length <= MAX_BYTES) return
  const rule = `\`whsec_\` and the base64 (RFC 4648 §4, padded) of ${MIN_BYTES} to ${MAX_BYTES} random bytes`
  throw new InvalidError(`The secret is none that Standard Webhooks knows. Give ${rule}, or leave it out and one is made.`, {
    code: 'WEBHOOK_SECRET_INVALID',
    faults: [{ pointer: '#/secret', detail: `must be ${rule}` }],
  })
}

export interface KeyPair {
  /** `whsk_…` */
  readonly privateKey: string
  /** `whpk_…` */
  readonly publicKey: string
}

export function newKeyPair(): KeyPair {
  const pair = generateKeyPairSync('ed25519')
  const seed = pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_ED25519.length)
  const point = pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-SEED_BYTES)
  return { privateKey: `whsk_${seed.toString('base64')}`, publicKey: `whpk_${point.toString('base64')}` }
}

/** Of a `whsk_…` that was made here. */
export const signingKey = (privateKey: string): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, Buffer.from(privateKey.slice('whsk_'.length), 'base64')]),
    format: 'der',
    type: 'pkcs8',
  })
