/** What the hub's own routes stand on: the rest of the hub, and what the server made for them. */
import type { Clock } from '#contract'
import type { Certificates } from '../certificate.ts'
import type { Credentials } from '../credentials.ts'
import type { Cursors } from '../cursor.ts'
import type { PageSessions } from '../page-session.ts'
import type { Services } from '../services.ts'

export interface Hub {
  readonly services: Services
  readonly cursors: Cursors
  readonly pages: PageSessions
  readonly credentials: Credentials
  readonly certificates: Pick<Certificates, 'isNamed'>
  readonly clock: Clock
}
