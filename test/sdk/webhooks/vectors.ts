/** The vectors that everything which signs or verifies is held against: `sdk/webhooks/vectors.json`. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface SignedVector {
  readonly name: string
  readonly secret: string
  readonly id: string
  readonly timestamp: string
  readonly nonce?: string
  readonly body: string
  readonly standard: string
  readonly openclaw?: string
  /** Of a key pair: `whsk_…`, `whpk_…`, and what the first makes of it. */
  readonly private_key?: string
  readonly public_key?: string
  readonly asymmetric?: string
}

export interface RequestVector {
  readonly name: string
  readonly scheme: 'standard' | 'openclaw' | 'github' | 'stripe' | 'ed25519'
  readonly secret: readonly string[]
  /** Epoch seconds. */
  readonly now: number
  readonly headers: { readonly [name: string]: string }
  readonly body: string
  readonly accepted: boolean
  /** What the receivers' helpers say. */
  readonly reason?: string
}

const file = join(import.meta.dirname, '..', '..', '..', 'sdk', 'webhooks', 'vectors.json')

export const vectors: { readonly signing: readonly SignedVector[]; readonly requests: readonly RequestVector[] } = JSON.parse(
  readFileSync(file, 'utf8'),
)
