/** Names of leases: which calls may be served by one container after another. */
import { hash, randomBytes } from 'node:crypto'
import type { Job } from '../sandbox.ts'

export class Leases {
  /** So that nothing about secrets can be learned from a name. */
  readonly #pepper: string = randomBytes(32).toString('base64')

  /** Everything that one call could leave to the next belongs to the same. */
  of({ tenant, bundle, secrets, egress, grade }: Job): string {
    const named = Object.keys(secrets)
      .sort()
      .map((name) => [name, secrets[name] ?? ''])
    const what = JSON.stringify([tenant, bundle.digest, named, [...egress].sort(), grade])
    // One that stays is asked for thousands of times a second, and an HMAC costs twenty times as much. Names are shown to nobody.
    return hash('sha256', this.#pepper + what, 'base64')
  }
}
