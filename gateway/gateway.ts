/**
 * The hub as one object: its parts, the order in which they start and the order in which they drain. Which spokes there
 * are is decided in `main.ts`; nothing here knows a channel, a model or a skill by name.
 */
import { join } from 'node:path'
import { DEFAULT_TENANT, describeError, messageDocument } from '#contract'
import type {
  AgentDefinition,
  AgentRunner,
  Clock,
  ConfigDesk,
  JsonObject,
  Lifecycle,
  Log,
  MessageId,
  Metrics,
  Redact,
  SessionKey,
  Skills,
  Store,
  Tracer,
} from '#contract'
import type { AuditTrail } from './audit/trail.ts'
import { declaredAgent } from './config/agent.ts'
import type { Config } from './config/config.ts'
import { Front } from './front.ts'
import type { FrontParts } from './front.ts'
import { ownAddresses } from './guarded/address.ts'
import { GuardedClient } from './guarded/client.ts'
import { mediaFetch } from './guarded/fetch.ts'
import { dropFormer, loadOwnSecret } from './http/own-secret.ts'
import type { ChannelView } from './http/services.ts'
import { judge } from './observe/readiness.ts'
import { Access } from './pipeline/access.ts'
import type { Policies } from './pipeline/access.ts'
import { measureAgents, statusOf } from './pipeline/agent-metrics.ts'
import { Channels } from './pipeline/channels.ts'
import type { ConfiguredChannel } from './pipeline/channels.ts'
import { DeadLetters } from './pipeline/dead-letters.ts'
import { Deliver } from './pipeline/deliver.ts'
import { Dispatch } from './pipeline/dispatch.ts'
import { Erasure } from './pipeline/erasure.ts'
import { Feed } from './pipeline/feed.ts'
import { Ingress } from './pipeline/ingress.ts'
import { Pairings } from './pipeline/pairing.ts'
import { Patience } from './pipeline/patience.ts'
import { Pressure } from './pipeline/pressure.ts'
import { measureQueues } from './pipeline/queue-metrics.ts'
import { RegisteredAgents } from './pipeline/registered-agents.ts'
import { Replays } from './pipeline/replays.ts'
import { Retention } from './pipeline/retention.ts'
import { Roster } from './pipeline/roster.ts'
import { Router } from './pipeline/route.ts'
import { SessionKeys } from './pipeline/session-key.ts'
import { Webhooks } from './webhooks/webhooks.ts'

export interface GatewayParts {
  readonly config: Config
  /** The same while it runs: what the API reads and changes of it. */
  readonly desk: ConfigDesk
  /** Where `.openclaw/` lies. */
  readonly dir: string
  readonly consoleDir: string
  readonly version: string
  readonly store: Store
  readonly audit: { readonly trail: AuditTrail; readonly key: Uint8Array }
  readonly channels: readonly ConfiguredChannel[]
  readonly agents: AgentRunner
  readonly skills: Skills
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
  readonly tracer: Tracer
  /** By how much the event loop was late of late. */
  readonly lateMs: () => number
  /** How often a gateway was started in this folder; 0: not known yet. */
  readonly starts: () => number
  readonly metricsText: () => Promise<string>
  readonly random: () => number
  /** Takes known secrets out of what others say of failures, before it is stored or shown. */
  readonly redact: Redact
}

/** A platform call that takes longer is cut. */
const SEND_TIMEOUT_MS = 30_000
/** Of one channel. */
const MAX_CONCURRENT_DELIVERIES = 64

export class Gateway implements Lifecycle {
  readonly #parts: GatewayParts
  readonly #config: Config
  readonly #roster: Roster
  readonly #registered: RegisteredAgents
  readonly #feed = new Feed()
  readonly #patience: Patience
  readonly #pairings: Pairings
  readonly #access: Access
  readonly #ingress: Ingress
  readonly #channels: Channels
  readonly #dispatch: Dispatch
  readonly #deliver: Deliver
  readonly #deadLetters: DeadLetters
  readonly #replays: Replays
  readonly #erasure: Erasure
  readonly #retention: Retention
  readonly #outbound: GuardedClient
  readonly #webhooks: Webhooks
  readonly #front: Front
  #phase: 'new' | 'starting' | 'open' | 'draining' | 'stopped' = 'new'

  constructor(parts: GatewayParts) {
    const { config, store, clock, log, metrics, tracer, random, redact, agents, skills } = parts
    this.#parts = parts
    this.#config = config
    this.#roster = new Roster(config.agents)
    this.#registered = new RegisteredAgents({ store, clock, log, roster: this.#roster, feed: this.#feed, declared: declaredAgent })
    this.#patience = new Patience(clock)
    const pressure = new Pressure(clock)
    this.#pairings = new Pairings({
      store,
      clock,
      log,
      feed: this.#feed,
      tenantOf: (channel) => this.#channels.tenantOf(channel) ?? DEFAULT_TENANT,
      post: (notice) => this.#deliver.post(notice),
    })
    this.#access = new Access({ clock, pairings: this.#pairings }, policiesOf(parts.channels, config))
    this.#ingress = new Ingress(
      {
        store,
        clock,
        log,
        metrics,
        tracer,
        access: this.#access,
        tenantOf: (channel) => this.#channels.tenantOf(channel),
        roster: this.#roster,
        feed: this.#feed,
        pressure,
        redact,
        onReady: (session, agent) => this.#dispatch.ready(session, agent),
      },
      ...routing(config),
    )
    this.#channels = new Channels(
      {
        store,
        clock,
        log,
        metrics,
        feed: this.#feed,
        random,
        redact,
        update: (channel, platformId, news) => this.#deliver.update(channel, platformId, news),
        fetch: mediaFetch(new GuardedClient({ clock, own: ownAddresses })),
        accept: (channel, message, state) => this.#ingress.accept(channel, message, state),
        acceptAll: (...given) => this.#ingress.acceptAll(...given),
        document: (tenant, id) => this.#document(tenant, id),
        cancel: (tenant, id) => this.#dispatch.cancel(tenant, id),
        abilities: (tenant, name) => {
          const agent = this.#roster.find(tenant, name)
          return agent === null ? null : agents.abilities(agent)
        },
        schemas: skills.schemas,
        onDelivery: (channel, lane) => this.#deliver.hint(channel, lane),
        onOpen: () => this.#deliver.scan(),
        onLine: (channel, isConnected, reason) =>
          this.#webhooks.tell(
            isConnected ? 'channel.connected' : 'channel.disconnected',
            { channel, reason },
            this.#channels.tenantOf(channel) ?? DEFAULT_TENANT,
          ),
      },
      parts.channels,
    )
    const shared = { store, clock, log, metrics, tracer, random, redact, patience: this.#patience, channels: this.#channels }
    this.#dispatch = new Dispatch(
      {
        ...shared,
        pressure,
        skills: skills.runner,
        agents,
        feed: this.#feed,
        roster: this.#roster,
        onExceeded: (tenant, data) => this.#exceeded(tenant, data),
      },
      { ...config.turns, retry: config.turns },
    )
    this.#deliver = new Deliver(shared, {
      retry: config.delivery,
      maxConcurrent: MAX_CONCURRENT_DELIVERIES,
      sendTimeoutMs: SEND_TIMEOUT_MS,
    })
    this.#deadLetters = new DeadLetters({
      store,
      clock,
      ingress: this.#ingress,
      dispatch: this.#dispatch,
      roster: this.#roster,
      onDelivery: () => this.#deliver.scan(),
      onRun: () => skills.runs.wake(),
      onPlanned: () => this.#replays.wake(),
    })
    this.#replays = new Replays({ store, clock, log, replay: ({ tenant, id }) => this.#deadLetters.replay(tenant, id, null) })
    this.#erasure = new Erasure({ store, clock, log, feed: this.#feed })
    this.#retention = new Retention({ store, clock, log, keepMs: config.retention.messagesMs })
    this.#outbound = new GuardedClient({ clock, own: ownAddresses, keepAlive: true, ...config.webhooks })
    this.#webhooks = new Webhooks({
      store: store.webhooks,
      outbound: this.#outbound,
      clock,
      log,
      metrics,
      tracer,
      random,
      version: parts.version,
    })
    this.#front = new Front({ ...parts, channels: this.#channels, services: this.#services() })
    measureAgents({
      metrics,
      clock,
      roster: this.#roster,
      runningOf: (name) => this.#roster.list().reduce((sum, agent) => sum + (agent.name === name ? this.#dispatch.runningOf(agent) : 0), 0),
      modelsOf: (agent) => parts.agents.models(agent),
      isUp: () => this.#isUp(),
      starts: parts.starts,
    })
    measureQueues({ metrics, store, running: () => this.#dispatch.running })
  }

  /** Where it listens; valid after `start`. */
  get url(): string {
    return this.#front.url
  }

  /** Where gRPC listens, `host:port`; null: it is off. */
  get grpcAddress(): string | null {
    return this.#front.grpcAddress
  }

  /** A link that opens the chat page signed in, once. */
  signInLink(): string {
    return this.#front.signInLink()
  }

  agents(): readonly { readonly agent: AgentDefinition; readonly models: readonly string[] }[] {
    return this.#roster.list().map((agent) => ({ agent, models: this.#parts.agents.models(agent) }))
  }

  async start(): Promise<void> {
    if (this.#phase !== 'new') return
    this.#phase = 'starting'
    try {
      await this.#open()
    } catch (error) {
      // What holds something open would keep a process alive that serves nobody.
      await this.stop()
      throw error
    }
    this.#phase = 'open'
  }

  /** Nothing is worked on before it is sure that we may: the directory is ours, and so is the port. */
  async #open(): Promise<void> {
    const { store, dir } = this.#parts
    await store.start()
    await this.#front.prepare()
    // Before anything is sent that should be gone.
    await this.#erasure.start()
    await Promise.all([this.#registered.read(), this.#pairings.start(), this.#parts.skills.start()])
    this.#tellOpen()
    await this.#channels.start()
    await this.#front.start()
    await this.#startWebhooks(join(dir, '.openclaw', 'secret'))
    this.#dispatch.start()
    this.#parts.skills.runs.wake()
    this.#deliver.start()
    this.#replays.start()
    this.#retention.start()
  }

  /** If the gateway's secret was replaced, what the one before sealed is sealed anew before that is thrown away. */
  async #startWebhooks(path: string): Promise<void> {
    const { audit, log } = this.#parts
    const { current, former } = await loadOwnSecret(path, 'webhooks need new secrets')
    this.#webhooks.start(current, former)
    if (former === null) return
    try {
      const webhooks = await this.#webhooks.reseal()
      await audit.trail.note('secret.replace', { webhooks }, DEFAULT_TENANT)
      await dropFormer(path)
    } catch (error) {
      log.warn(
        { 'error.code': describeError(error).code },
        'The former secret is kept: not all is sealed anew. The next start goes on with it.',
      )
    }
  }

  /** Takes in nothing new, lets what runs end within the bound, and stops. */
  async stop(): Promise<void> {
    if (this.#phase === 'stopped' || this.#phase === 'draining') return
    this.#phase = 'draining'
    this.#ingress.close()
    await Promise.all([this.#retention, this.#replays, this.#erasure].map((part) => part.stop()))
    const { clock } = this.#parts
    const { drainMs } = this.#config.shutdown
    const endsAt = clock.now() + drainMs
    await Promise.all([this.#dispatch.drain(drainMs), this.#parts.skills.drain(drainMs)])
    // What the last turns said still goes out, within the same bound.
    await Promise.all([this.#deliver, this.#webhooks].map((part) => part.drain(Math.max(0, endsAt - clock.now()))))
    this.#outbound.close()
    await this.#channels.stop()
    await this.#front.stop()
    await Promise.all([this.#parts.agents.stop(), this.#parts.skills.stop()])
    await this.#parts.store.stop()
    this.#phase = 'stopped'
  }

  /** Something that happened, for those of the tenant who watch. */
  tell(tenant: string, name: string, data: JsonObject): void {
    this.#feed.emit({ type: 'event', tenant, name, data })
  }

  /** Turns can be begun. */
  #isUp(): boolean {
    return this.#phase === 'open' && this.#parts.store.health().ok
  }

  #exceeded(tenant: string, data: JsonObject): void {
    this.tell(tenant, 'budget.exceeded', data)
    this.#webhooks.tell('budget.exceeded', data, tenant)
  }

  /** New routes, agents, access rules, rate limits, issuers, roles and keys; turns under way keep what they began with. Everything else needs a restart. */
  reload(config: Config): void {
    this.#roster.declare(config.agents)
    this.#ingress.reroute(...routing(config))
    this.#access.replace(policiesOf(this.#parts.channels, config))
    this.#front.configure(config)
    this.#tellOpen()
    this.tell(DEFAULT_TENANT, 'config.reloaded', { agents: config.agents.length, routes: config.routes.length })
  }

  #services(): FrontParts['services'] {
    const { store, agents, version, metricsText, redact } = this.#parts
    return {
      store,
      feed: this.#feed,
      version,
      metricsText,
      redact,
      agents: {
        list: (tenant) =>
          this.#roster.list(tenant).map((definition) => ({
            definition,
            models: agents.models(definition),
            runningTurns: this.#dispatch.runningOf(definition),
            status: statusOf(this.#isUp(), this.#dispatch.runningOf(definition)),
          })),
        find: (tenant, nameOrId) => this.#roster.find(tenant, nameOrId),
        register: (tenant, declaration) => this.#registered.register(tenant, declaration),
        registration: async (tenant, id) => (await this.#registered.find(tenant, id))?.declaration ?? null,
        change: (tenant, id, decide) => this.#registered.change(tenant, id, decide),
      },
      channels: {
        list: () => this.#channelViews(),
        setPaused: (name, isPaused) => this.#channels.setPaused(name, isPaused),
        link: (name, request, signal) => this.#channels.link(name, request, signal),
        media: (name, ref, signal) => this.#channels.media(name, ref, signal),
        post: (posting) => this.#deliver.post(posting),
      },
      config: this.#parts.desk,
      explain: (message) => this.#ingress.explain(message),
      pairings: this.#pairings,
      webhooks: this.#webhooks,
      skills: this.#parts.skills,
      deadLetters: this.#deadLetters,
      cancelMessage: (tenant, id) => this.#dispatch.stop(tenant, id),
      resetSession: (tenant, key: SessionKey) => store.sessions.reset(tenant, key, this.#parts.clock.now()),
      eraseSession: (tenant, key) => this.#erasure.erase(tenant, key),
      probes: () => ({
        ...judge({ phase: this.#phase, store: store.health(), lateMs: this.#parts.lateMs() }),
        channels: this.#channels.list(),
      }),
    }
  }

  /** Also where it is a star in a list that opens it: nobody should learn that from the bill. */
  #tellOpen(): void {
    for (const { name } of this.#parts.channels) {
      if (this.#access.policy(name)?.direct === 'open')
        this.#parts.log.info({ channel: name }, `Channel "${name}" is open: everybody on its platform may write to it directly.`)
    }
  }

  #channelViews(): readonly ChannelView[] {
    return this.#channels.list().map((view) => ({
      ...view,
      access: this.#access.policy(view.name),
      openPairings: this.#pairings.open(view.name).length,
    }))
  }

  async #document(tenant: string, id: MessageId): Promise<JsonObject | null> {
    const whole = await this.#parts.store.inbox.whole(tenant, id)
    return whole === null ? null : messageDocument(whole.message, whole.steps, whole.replies)
  }
}

/** Those of the channels that strangers can reach. One that is not configured any more keeps what it began with. */
function policiesOf(channels: readonly ConfiguredChannel[], { channels: declared }: Config): Policies {
  const now = new Map(declared.map(({ name, access }) => [name, access]))
  return new Map(
    channels.filter(({ channel }) => channel.capabilities.strangers).map(({ name, access }) => [name, now.get(name) ?? access]),
  )
}

const routing = (config: Config): [Router, SessionKeys] => [
  new Router({ rules: config.routes, fallbacks: config.fallbacks, identityLinks: config.session.identityLinks }),
  new SessionKeys(config.session.identityLinks),
]
