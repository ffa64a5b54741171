/** The hub's own rows of the route table. Those that channels lend come before them (`server.ts`). */
import type { Clock, Route, UpgradeRoute } from '#contract'
import type { Credentials } from '../credentials.ts'
import type { Cursors } from '../cursor.ts'
import { openApi } from '../openapi.ts'
import type { PageSessions } from '../page-session.ts'
import type { Services } from '../services.ts'
import { agentRoutes } from './agents.ts'
import { channelRoutes } from './channels.ts'
import { deadLetterRoutes } from './dead-letters.ts'
import { eventRoutes } from './events.ts'
import { keyRoutes } from './keys.ts'
import { messageRoutes } from './messages.ts'
import { pageSessionRoutes } from './page-session.ts'
import { probeRoutes } from './probes.ts'
import { sessionRoutes } from './sessions.ts'

/** What the hub's rows stand on. */
export interface Hub {
  readonly services: Services
  readonly cursors: Cursors
  readonly pages: PageSessions
  readonly credentials: Credentials
  readonly clock: Clock
}

/** The whole table: what channels lend, and the hub's. */
export function routeTable(hub: Hub, lent: readonly Route[], upgrades: readonly UpgradeRoute[]): readonly Route[] {
  let document: string | null = null
  const routes: readonly Route[] = [
    ...lent,
    ...messageRoutes(hub),
    ...sessionRoutes(hub),
    ...agentRoutes(hub),
    ...channelRoutes(hub),
    ...deadLetterRoutes(hub),
    ...eventRoutes(hub),
    ...keyRoutes(hub),
    ...pageSessionRoutes(hub),
    ...probeRoutes(hub),
    {
      method: 'GET',
      path: '/v1/openapi.json',
      permission: 'public',
      summary: 'This interface as an OpenAPI 3.1 document',
      tag: 'gateway',
      responses: { 200: { description: 'The document.', contentType: 'application/json' } },
      handle: () => {
        document ??= JSON.stringify(openApi({ routes, upgrades, version: hub.services.version }))
        return { status: 200, text: document, contentType: 'application/json' }
      },
    },
  ]
  return routes
}
