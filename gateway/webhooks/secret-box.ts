/**
 * Secrets of webhooks at rest: sealed with a key that is derived from the gateway's own secret, so that the database alone gives
 * none away. Each is sealed to its webhook; moved to another row it does not open.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

const IV_BYTES = 12
const TAG_BYTES = 16

export class SecretBox {
  readonly #key: KeyObject

  constructor(secret: KeyObject) {
    this.#key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'openclaw webhook secrets', 32)))
  }

  seal(secret: string, webhook: string): string {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv).setAAD(Buffer.from(webhook))
    const text = Buffer.concat([cipher.update(secret), cipher.final()])
    return Buffer.concat([iv, text, cipher.getAuthTag()]).toString('base64')
  }

  /** null: sealed by another gateway secret, to another webhook, or changed since. */
  open(sealed: string, webhook: string): string | null {
    const bytes = Buffer.from(sealed, 'base64')
    if (bytes.length <= IV_BYTES + TAG_BYTES) return null
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(webhook))
        .setAuthTag(bytes.subarray(-TAG_BYTES))
      return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]).toString()
    } catch {
      return null
    }
  }
}
