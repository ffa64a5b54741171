/** Names of leases: which calls may be served by one container after another. */
import { createHmac, randomBytes } from 'node:crypto'
import type { Job } from '../sandbox.ts'

export class Leases {
  /** So that nothing about secrets can be learned from a name. */
  readonly #pepper: Buffer = randomBytes(32)

  /** Everything that one call could leave to the next belongs to the same. */
  of({ tenant, bundle, secrets, egress, grade }: Job): string {
    const named = Object.keys(secrets)
      .sort()
      .map((name) => [name, secrets[name] ?? ''])
    const what = JSON.stringify([tenant, bundle.digest, named, [...egress].sort(), grade])
    return createHmac('sha256', this.#pepper).update(what).digest('base64')
  }
}
