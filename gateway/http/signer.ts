/**
 * Signs what leaves the gateway and must come back unchanged: page cookies and cursors. One secret for all, kept over restarts (`own-secret.ts`); each
 * use signs under its own name, so that one is never taken for another.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

export class Signer {
  readonly #key: KeyObject
  readonly #use: string

  constructor(key: KeyObject, use: string) {
    this.#key = key
    this.#use = use
  }

  /** `<base64url of text>.<base64url of its HMAC-SHA-256>` */
  seal(text: string): string {
    const body = Buffer.from(text).toString('base64url')
    return `${body}.${this.#mac(body).toString('base64url')}`
  }

  /** What was sealed; null: not by us, not for this use, or changed since. */
  open(sealed: string): string | null {
    const dot = sealed.indexOf('.')
    if (dot < 1) return null
    const body = sealed.slice(0, dot)
    const given = Buffer.from(sealed.slice(dot + 1), 'base64url')
    const expected = this.#mac(body)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null
    return Buffer.from(body, 'base64url').toString()
  }

  #mac(body: string): Buffer {
    return createHmac('sha256', this.#key).update(`${this.#use}\n${body}`).digest()
  }
}
