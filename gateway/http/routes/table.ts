/** The hub's own rows of the route table. Those that channels lend come before them (`server.ts`). */
import type { Route, UpgradeRoute } from '#contract'
import { openApi } from '../openapi.ts'
import { audited } from '../audited.ts'
import { agentRoutes } from './agents.ts'
import { auditRoutes } from './audit.ts'
import { agentChangeRoutes } from './agent-changes.ts'
import { channelChangeRoutes } from './channel-changes.ts'
import { channelLinkRoutes } from './channel-link.ts'
import { channelPairingRoutes } from './channel-pairings.ts'
import { channelRoutes } from './channels.ts'
import { configRoutes } from './config.ts'
import { deadLetterRoutes } from './dead-letters.ts'
import { deliveryRoutes } from './deliveries.ts'
import { eventRoutes } from './events.ts'
import type { Hub } from './hub.ts'
import { keyRoutes } from './keys.ts'
import { mediaRoutes } from './media.ts'
import { messageRoutes } from './messages.ts'
import { modelRoutes } from './models.ts'
import { pageSessionRoutes } from './page-session.ts'
import { probeRoutes } from './probes.ts'
import { revocationRoutes } from './revocations.ts'
import { roleRoutes } from './roles.ts'
import { routingRoutes } from './routing.ts'
import { runRoutes } from './runs.ts'
import { sessionRoutes } from './sessions.ts'
import { skillRegistrationRoutes } from './skill-registration.ts'
import { skillRolloutRoutes } from './skill-rollout.ts'
import { skillRunRoutes } from './skill-runs.ts'
import { skillRoutes } from './skills.ts'
import { whoamiRoutes } from './whoami.ts'
import { webhookDeliveryRoutes } from './webhook-deliveries.ts'
import { webhookRoutes } from './webhooks.ts'

/** The whole table: what channels lend, and the hub's. */
export function routeTable(hub: Hub, lent: readonly Route[], upgrades: readonly UpgradeRoute[]): readonly Route[] {
  let document: string | null = null
  const routes: readonly Route[] = [
    ...lent,
    ...messageRoutes(hub),
    ...mediaRoutes(hub),
    ...sessionRoutes(hub),
    ...agentRoutes(hub),
    ...agentChangeRoutes(hub),
    ...modelRoutes(hub),
    ...skillRunRoutes(hub),
    ...runRoutes(hub),
    ...skillRoutes(hub),
    ...skillRegistrationRoutes(hub),
    ...skillRolloutRoutes(hub),
    ...channelRoutes(hub),
    ...channelChangeRoutes(hub),
    ...channelLinkRoutes(hub),
    ...channelPairingRoutes(hub),
    ...deliveryRoutes(hub),
    ...webhookRoutes(hub),
    ...webhookDeliveryRoutes(hub),
    ...deadLetterRoutes(hub),
    ...eventRoutes(hub),
    ...routingRoutes(hub),
    ...configRoutes(hub),
    ...keyRoutes(hub),
    ...roleRoutes(hub),
    ...revocationRoutes(hub),
    ...whoamiRoutes(hub),
    ...auditRoutes(hub),
    ...pageSessionRoutes(hub),
    ...probeRoutes(hub),
    {
      method: 'GET',
      path: '/v1/openapi.json',
      permission: 'public',
      summary: 'This interface as an OpenAPI 3.1 document',
      tag: 'gateway',
      responses: { 200: { description: 'The document.', contentType: 'application/json', schema: { type: 'object' } } },
      handle: () => {
        document ??= JSON.stringify(openApi({ routes, upgrades, version: hub.services.version }))
        return { status: 200, text: document, contentType: 'application/json' }
      },
    },
  ]
  return routes.map((route) => audited(route, hub.services.audit))
}
