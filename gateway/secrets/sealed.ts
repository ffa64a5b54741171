/**
 * Values of `.env.enc`: each sealed for itself under its name, so that a changed value is one changed line and none can be put in another's
 * place. `enc:v1:` + base64url(nonce 12 ‖ ciphertext ‖ tag 16), AES-256-GCM (NIST SP 800-38D) with a key by name from
 * HKDF-SHA256 (RFC 5869). The key is 256 random bits: a passphrase is not taken, so there is nothing to stretch.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'

const PREFIX = 'enc:v1:'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY = /^oek_([A-Za-z0-9_-]{43})$/

/** 32 bytes. */
export type EnvKey = Buffer & { readonly __brand: 'EnvKey' }

/** `oek_` and 43 characters: with a prefix, so that it is known for what it is wherever it turns up. */
export const newKeyText = (): string => `oek_${randomBytes(32).toString('base64url')}`

/** null: that is no key. */
export function parseKey(text: string): EnvKey | null {
  const [, encoded] = KEY.exec(text.trim()) ?? []
  return encoded === undefined ? null : (Buffer.from(encoded, 'base64url') as EnvKey)
}

export const isSealed = (text: string): boolean => text.startsWith(PREFIX)

export function seal(key: EnvKey, name: string, value: string): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', keyOf(key, name), nonce)
  const sealed = Buffer.concat([nonce, cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return PREFIX + sealed.toString('base64url')
}

/** null: made with another key, for another name, or changed since. */
export function unseal(key: EnvKey, name: string, text: string): string | null {
  if (!isSealed(text)) return null
  const sealed = Buffer.from(text.slice(PREFIX.length), 'base64url')
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return null
  const end = sealed.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', keyOf(key, name), sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(end))
  try {
    return decipher.update(sealed.subarray(NONCE_BYTES, end), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return null
  }
}

const keyOf = (key: EnvKey, name: string): Uint8Array => new Uint8Array(hkdfSync('sha256', key, '', `openclaw .env v1 ${name}`, 32))
