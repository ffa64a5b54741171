/**
 * What the HTTP server needs from the rest of the hub, and nothing else: `gateway.ts` hands it in, tests hand in a double. The
 * routes below this folder know these words only.
 */
import type {
  AccessPolicy,
  AgentDefinition,
  AgentId,
  AuditDesk,
  Capabilities,
  ChannelState,
  ConfigDesk,
  DeadLetterId,
  DeliveryId,
  FlowFeed,
  Grant,
  JsonObject,
  LinkRequest,
  LinkStep,
  Media,
  MediaRef,
  MessageId,
  Pairing,
  Payload,
  Redact,
  ReplayResult,
  SessionKey,
  Skills,
  Store,
} from '#contract'
import type { AgentStatus } from '../pipeline/agent-metrics.ts'
import type { ReplayOrder, ReplayPlan } from '../pipeline/dead-letters.ts'
import type { Posting } from '../pipeline/deliver.ts'
import type { Routable, Routed, RuleTrial } from '../pipeline/route.ts'
import type { Webhooks } from '../webhooks/webhooks.ts'
import type { Keys } from './keys.ts'
import type { Roles } from './roles.ts'
import type { Tokens } from './token/tokens.ts'

export interface Services {
  readonly store: Store
  readonly feed: FlowFeed
  readonly agents: AgentDirectory
  readonly channels: ChannelDirectory
  readonly config: ConfigDesk
  /** Where a message would go, and what each rule says of it. */
  explain(message: Routable): { readonly routed: Routed; readonly rules: readonly RuleTrial[] }
  readonly pairings: PairingDesk
  readonly skills: Skills
  readonly webhooks: WebhookDesk
  readonly deadLetters: {
    /** Puts it back on its way by today's routes; `edit` replaces what was said. */
    replay(tenant: string, id: DeadLetterId, edit: Payload | null): Promise<ReplayResult>
    /** Many, each when its time comes. */
    plan(order: ReplayOrder): Promise<ReplayPlan>
  }
  /** Ends the turn about this message and no other, or that it does not begin. */
  cancelMessage(tenant: string, id: MessageId): Promise<'told' | 'over' | 'missing'>
  /** The session forgets; false: there is none such. */
  resetSession(tenant: string, key: SessionKey): Promise<boolean>
  /** Resolves when nothing of it is left. Rejects with `NotFoundError`, and with `ConflictError` while a turn of it is worked on. */
  eraseSession(tenant: string, key: SessionKey): Promise<void>
  /** Asked at every probe: must answer from memory. */
  probes(): Readiness
  readonly keys: Keys
  readonly roles: Roles
  readonly tokens: Tokens
  readonly audit: AuditDesk
  /** All metrics in the Prometheus text format 0.0.4. */
  metricsText(): Promise<string>
  /** Takes known secrets out of what others say of failures. */
  readonly redact: Redact
  readonly version: string
}

export interface AgentDirectory {
  list(tenant: string): readonly AgentView[]
  find(tenant: string, nameOrId: string): AgentDefinition | null
  /** Rejects with `InvalidError` when the declaration is wrong. The same name replaces the declaration and keeps the id. */
  register(tenant: string, declaration: JsonObject): Promise<{ readonly id: AgentId; readonly name: string }>
  /** As it was declared over the API; null: it was not. */
  registration(tenant: string, id: string): Promise<JsonObject | null>
  /** Of one that was registered, one at a time; null takes it away. Rejects as `decide` throws, and with `InvalidError`, with nothing changed. */
  change(tenant: string, id: string, decide: (now: JsonObject) => JsonObject | null): Promise<void>
}

export interface AgentView {
  readonly definition: AgentDefinition
  /** What answers, in the order in which it is tried. */
  readonly models: readonly string[]
  readonly runningTurns: number
  readonly status: AgentStatus
}

export interface ChannelDirectory {
  /** Of all tenants: whoever shows them leaves out what is another's. */
  list(): readonly ChannelView[]
  /** All of these reject or throw with `NotFoundError` when there is no such channel. */
  setPaused(name: string, isPaused: boolean): Promise<void>
  link(name: string, request: LinkRequest, signal: AbortSignal): AsyncIterable<LinkStep>
  media(name: string, ref: MediaRef, signal: AbortSignal): Promise<Media>
  /** Something without a message before it. Answers the delivery of its first part. */
  post(posting: Posting): Promise<DeliveryId>
}

export interface ChannelView {
  readonly name: string
  readonly kind: string
  /** null: all tenants share it. */
  readonly tenant: string | null
  readonly state: ChannelState
  readonly reason: string | null
  readonly isPaused: boolean
  readonly lastInboundAt: number | null
  readonly lastSentAt: number | null
  readonly capabilities: Capabilities
  readonly isLinkable: boolean
  /** The rules in force; null: no stranger reaches it. */
  readonly access: AccessPolicy | null
  readonly openPairings: number
}

/** Each of one tenant's; another's looks missing. */
export type WebhookDesk = Pick<Webhooks, 'create' | 'get' | 'change' | 'remove' | 'rotate' | 'test' | 'redeliver' | 'recover'>

/** Strangers who were given a code, and senders who were let in. */
export interface PairingDesk {
  open(channel: string): readonly Pairing[]
  grants(channel: string): readonly Grant[]
  approve(channel: string, code: string, by: string): Promise<Grant>
  deny(channel: string, code: string): Promise<void>
  revoke(channel: string, sender: string): Promise<void>
}

/** live: do not kill it. started: it came up. ready: send it work. A broken channel is told, but makes nothing unready. */
export interface Readiness {
  readonly live: boolean
  readonly started: boolean
  readonly ready: boolean
  readonly parts: readonly { readonly name: string; readonly ok: boolean; readonly detail: string | null }[]
  readonly channels: readonly Pick<ChannelView, 'name' | 'state' | 'reason' | 'isPaused'>[]
}
