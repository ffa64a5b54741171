/**
 * Signs what leaves the gateway and must come back unchanged: page cookies and cursors. One secret for all, kept over restarts; each
 * use signs under its own name, so that one is never taken for another.
 */
import { createHmac, createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto'
import { InvalidError } from '#contract'
import { privateFile } from './private-file.ts'

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

/** One of the gateway's own secrets, made at first start; `loss`: what a new one would cost. */
export async function loadSecret(path: string, loss: string): Promise<KeyObject> {
  const { text } = await privateFile(path, () => randomBytes(32).toString('base64url'))
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length < 32) {
    throw new InvalidError(`The secret in ${path} is damaged. Put it back from a backup, or remove it: a new one is made, and ${loss}.`, {
      code: 'SECRET_DAMAGED',
    })
  }
  return createSecretKey(bytes)
}
