/**
 * What the HTTP server needs from the rest of the hub, and nothing else: `gateway.ts` hands it in, tests hand in a double. The
 * routes below this folder know these words only.
 */
import type {
  AgentDefinition,
  AgentId,
  Capabilities,
  ChannelState,
  DeadLetterId,
  FlowFeed,
  JsonObject,
  Payload,
  ReplayResult,
  SessionKey,
  Store,
} from '#contract'
import type { Keys } from './keys.ts'

export interface Services {
  readonly store: Store
  readonly feed: FlowFeed
  readonly agents: AgentDirectory
  readonly channels: { list(): readonly ChannelView[] }
  readonly deadLetters: {
    /** Puts it back on its way by today's routes; `edit` replaces what was said. */
    replay(id: DeadLetterId, edit: Payload | null): Promise<ReplayResult>
  }
  /** The session forgets; false: there is none such. */
  resetSession(key: SessionKey): Promise<boolean>
  /** Asked at every probe: must answer from memory. */
  probes(): Readiness
  readonly keys: Keys
  /** All metrics in the Prometheus text format 0.0.4. */
  metricsText(): Promise<string>
  readonly version: string
}

export interface AgentDirectory {
  list(): readonly AgentView[]
  find(nameOrId: string): AgentDefinition | null
  /** Rejects with `InvalidError` when the declaration is wrong. The same name replaces the declaration and keeps the id. */
  register(declaration: JsonObject): Promise<{ readonly id: AgentId; readonly name: string }>
}

export interface AgentView {
  readonly definition: AgentDefinition
  /** What answers, in the order in which it is tried. */
  readonly models: readonly string[]
  readonly runningTurns: number
}

export interface ChannelView {
  readonly name: string
  readonly kind: string
  readonly state: ChannelState
  readonly reason: string | null
  readonly lastInboundAt: number | null
  readonly lastSentAt: number | null
  readonly delivery: Capabilities['delivery']
}

/** live: do not kill it. started: it came up. ready: send it work. A broken channel is told, but makes nothing unready. */
export interface Readiness {
  readonly live: boolean
  readonly started: boolean
  readonly ready: boolean
  readonly parts: readonly { readonly name: string; readonly ok: boolean; readonly detail: string | null }[]
}
