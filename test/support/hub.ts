/**
 * The hub without its front door: the real store in a temporary folder, ingress, dispatch and deliveries, with an agent, a
 * channel and skills that a test scripts. Time stands still unless the test moves it; waiting is for events.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_TENANT, noTracer } from '#contract'
import type {
  AccessPolicy,
  Address,
  AgentDefinition,
  AgentRunner,
  Capabilities,
  Channel,
  DeliveryId,
  ChannelHost,
  ChannelState,
  Ending,
  FlowEvent,
  Inbound,
  Log,
  MessageId,
  MessageView,
  Part,
  RouteRule,
  SkillDescriptor,
  SkillOutcome,
  SkillRun,
  SkillRunner,
  Store,
  Tracer,
  Turn,
} from '#contract'
import { defaultPolicy } from '../../gateway/config/access.ts'
import { GuardedClient } from '../../gateway/guarded/client.ts'
import { mediaFetch } from '../../gateway/guarded/fetch.ts'
import { Registry } from '../../gateway/observe/metrics.ts'
import { Access } from '../../gateway/pipeline/access.ts'
import { Channels } from '../../gateway/pipeline/channels.ts'
import { DeadLetters } from '../../gateway/pipeline/dead-letters.ts'
import { Deliver } from '../../gateway/pipeline/deliver.ts'
import { Dispatch } from '../../gateway/pipeline/dispatch.ts'
import { Feed } from '../../gateway/pipeline/feed.ts'
import { Ingress } from '../../gateway/pipeline/ingress.ts'
import { Pairings } from '../../gateway/pipeline/pairing.ts'
import { Patience } from '../../gateway/pipeline/patience.ts'
import { Pressure } from '../../gateway/pipeline/pressure.ts'
import { Replays } from '../../gateway/pipeline/replays.ts'
import { Roster } from '../../gateway/pipeline/roster.ts'
import { Router } from '../../gateway/pipeline/route.ts'
import { SessionKeys } from '../../gateway/pipeline/session-key.ts'
import { SqliteStore } from '../../gateway/store/sqlite.ts'
import { FakeClock } from './fake-clock.ts'
import { inThisThread } from './in-this-thread.ts'
import { quietLog } from './quiet-log.ts'
import { realClock } from './real-clock.ts'
import { skillDescriptor } from './skill.ts'

export const agent = (over: Partial<AgentDefinition> = {}): AgentDefinition => ({
  tenant: DEFAULT_TENANT,
  name: 'main',
  id: null,
  version: '1',
  description: '',
  capabilities: [],
  prompt: '',
  models: [],
  skills: ['*'],
  limits: {
    maxSteps: 10,
    maxContextTokens: 4_000,
    maxOutputTokens: 500,
    turnTimeoutMs: 60_000,
    maxConcurrentTurns: 100,
    turnsPerMinute: null,
    tokensPerHour: null,
  },
  queue: { mode: 'followup', cap: 20, debounceMs: 0 },
  sessionScope: 'per-channel-peer',
  ...over,
})

export const inbound = (text: string, over: Partial<Inbound> = {}): Inbound => ({
  key: null,
  fingerprint: null,
  lane: 'ann',
  account: 'world',
  peer: { kind: 'direct', id: over.lane ?? 'ann', thread: null },
  sender: over.lane ?? 'ann',
  at: 1,
  payload: { text },
  metadata: {},
  agent: null,
  reply: { chat: over.lane ?? 'ann' },
  ...over,
})

export const reply = (text: string): Ending => ({ outcome: { kind: 'reply', text } })
export const textOf = (turn: Turn): string => turn.envelopes.map(({ payload }) => ('text' in payload ? payload.text : '?')).join('+')

export interface HubOptions {
  readonly think?: (turn: Turn) => Promise<Ending>
  readonly agents?: readonly AgentDefinition[]
  readonly rules?: readonly RouteRule[]
  readonly fallback?: string | null
  readonly skills?: {
    readonly [id: string]: { readonly effect: SkillDescriptor['effect']; readonly run: (run: SkillRun) => Promise<SkillOutcome> }
  }
  readonly send?: (part: Part, signal: AbortSignal) => Promise<{ readonly id: string | null }>
  readonly confirm?: NonNullable<Channel['confirm']>
  readonly typing?: NonNullable<Channel['typing']>
  readonly capabilities?: Partial<Capabilities>
  readonly access?: AccessPolicy
  /** All tenants share its channel. */
  readonly isShared?: boolean
  /** Going on with what a former hub left. */
  readonly dir?: string
  readonly clock?: FakeClock
  /** The channel is not there at first. */
  readonly isChannelAway?: boolean
  readonly tracer?: Tracer
  /** Default: nothing is secret. */
  readonly redact?: (text: string) => string
  /** Of what turns are told; default: nobody reads it. */
  readonly log?: Log
  /** Before a notice is posted. */
  readonly post?: () => Promise<void>
}

export interface Notice {
  readonly id: DeliveryId
  readonly channel: string
  readonly lane: string
  readonly to: Address
  readonly text: string
}

export interface Hub {
  readonly dir: string
  readonly clock: FakeClock
  readonly store: Store
  /** All events so far; a test may forget them. */
  readonly events: FlowEvent[]
  readonly feed: Feed
  readonly ingress: Ingress
  readonly dispatch: Dispatch
  readonly deliver: Deliver
  readonly deadLetters: DeadLetters
  readonly pairings: Pairings
  readonly metrics: Registry
  /** What strangers were told. */
  readonly notices: readonly Notice[]
  allow(policy: AccessPolicy): void
  /** Parts that went out. */
  readonly sent: readonly Part[]
  /** The event for which this holds: one that was seen, or the next. */
  saw(holds: (event: FlowEvent) => boolean): Promise<FlowEvent>
  became(id: MessageId, status: string): Promise<FlowEvent>
  setChannelStatus(state: ChannelState): void
  /** What its channel is told it by. */
  readonly host: Pick<ChannelHost, 'update'>
  reroute(rules: readonly RouteRule[], fallback: string | null): void
  say(text: string, over?: Partial<Inbound>): Promise<MessageId>
  message(id: MessageId): Promise<MessageView>
  /** Waits until so many parts went out. */
  delivered(count: number): Promise<readonly Part[]>
  /** Ends it in order; `keep` leaves the folder to a successor. */
  stop(keep?: boolean): Promise<void>
}

export async function startHub(options: HubOptions = {}): Promise<Hub> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'openclaw-hub-')))
  const tracer = options.tracer ?? noTracer
  const clock = options.clock ?? new FakeClock()
  const metrics = new Registry()
  const store = new SqliteStore({ file: join(dir, 'sessions.db'), log: quietLog, clock, startSide: inThisThread })
  await store.start()
  const feed = new Feed()
  const events: FlowEvent[] = []
  const waiting: { readonly holds: (event: FlowEvent) => boolean; readonly resolve: (event: FlowEvent) => void }[] = []
  feed.onTenant(DEFAULT_TENANT, (event) => {
    events.push(event)
    for (const wait of waiting.filter(({ holds }) => holds(event))) {
      waiting.splice(waiting.indexOf(wait), 1)
      wait.resolve(event)
    }
  })
  const sent: Part[] = []
  let wentOut = (): void => undefined
  const channel: Channel = {
    capabilities: {
      delivery: 'push',
      resend: 'none',
      text: { max: 4_096, unit: 'utf16', dialect: null },
      strangers: false,
      typingMs: null,
      threads: false,
      groups: false,
      media: false,
      ...options.capabilities,
    },
    start: (host) => {
      if (options.isChannelAway === true) host.status('connecting', 'away')
      setChannelStatus = (state) => host.status(state)
      update = (platformId, news) => host.update(platformId, news)
      return options.isChannelAway === true ? new Promise(() => undefined) : Promise.resolve()
    },
    stop: async () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    send: async (part, signal) => {
      const result = (await options.send?.(part, signal)) ?? { id: `p-${part.id}` }
      sent.push(part)
      wentOut()
      return result
    },
    ...(options.confirm !== undefined && { confirm: options.confirm }),
    ...(options.typing !== undefined && { typing: options.typing }),
  }
  let setChannelStatus: (state: ChannelState) => void = () => undefined
  let update: ChannelHost['update'] = async () => undefined
  const scripted = options.skills ?? {}
  const skills: SkillRunner = {
    list: () => Object.entries(scripted).map(([id, { effect }]) => skillDescriptor({ id, description: id, effect })),
    find: () => null,
    adopt: async () => null,
    run: (run) => scripted[run.skill]?.run(run) ?? Promise.reject(new Error('no such skill')),
    stop: async () => undefined,
  }
  const agents: AgentRunner = {
    run: options.think ?? (async (turn) => reply(`re: ${textOf(turn)}`)),
    models: () => [],
    abilities: () => [],
    stop: async () => undefined,
  }
  const roster = new Roster(options.agents ?? [agent()])
  const patience = new Patience(clock)
  const pressure = new Pressure(clock)
  const router = (rules: readonly RouteRule[], fallback: string | null): Router =>
    new Router({ rules, fallbacks: fallback === null ? {} : { [DEFAULT_TENANT]: fallback }, identityLinks: {} })
  const notices: Notice[] = []
  const pairings = new Pairings({
    store,
    clock,
    log: quietLog,
    feed,
    tenantOf: () => DEFAULT_TENANT,
    post: async (notice) => {
      await options.post?.()
      notices.push(notice)
      await deliver.post(notice)
    },
  })
  await pairings.start()
  const policies = (policy: AccessPolicy): ReadonlyMap<string, AccessPolicy> =>
    new Map(channel.capabilities.strangers ? [['wire', policy]] : [])
  const redact = options.redact ?? ((text: string): string => text)
  const access = new Access({ clock, pairings }, policies(options.access ?? defaultPolicy))
  const ingress = new Ingress(
    {
      access,
      store,
      clock,
      log: quietLog,
      metrics,
      tracer,
      redact,
      roster,
      feed,
      pressure,
      tenantOf: () => (options.isShared === true ? null : DEFAULT_TENANT),
      onReady: (session, of) => dispatch.ready(session, of),
    },
    router(options.rules ?? [], options.fallback === undefined ? 'main' : options.fallback),
    new SessionKeys({}),
  )
  const channels = new Channels(
    {
      store,
      clock,
      log: quietLog,
      metrics,
      feed,
      accept: (name, message, state) => ingress.accept(name, message, state),
      acceptAll: (...given) => ingress.acceptAll(...given),
      update: (name, platformId, news) => deliver.update(name, platformId, news),
      onLine: () => undefined,
      fetch: mediaFetch(new GuardedClient({ clock: realClock })),
      random: () => 0.5,
      redact,
      document: async () => null,
      cancel: (tenant, id) => dispatch.cancel(tenant, id),
      abilities: () => null,
      schemas: { fault: async () => null, check: async () => [] },
      onDelivery: (name, lane) => deliver.hint(name, lane),
      onOpen: () => deliver.scan(),
    },
    [{ name: 'wire', kind: 'wire', tenant: DEFAULT_TENANT, channel, access: options.access ?? defaultPolicy }],
  )
  const shared = { store, clock, log: quietLog, metrics, tracer, patience, channels, redact, random: () => 1 }
  const retry = { attempts: 5, baseMs: 1_000, capMs: 180_000 }
  const dispatch: Dispatch = new Dispatch(
    {
      ...shared,
      log: options.log ?? quietLog,
      pressure,
      skills,
      agents,
      feed,
      roster,
      onExceeded: (tenant, data) => feed.emit({ type: 'event', tenant, name: 'budget.exceeded', data }),
    },
    { retry, leaseMs: 30_000, maxConcurrent: 64 },
  )
  const deliver: Deliver = new Deliver(shared, { retry, maxConcurrent: 8, sendTimeoutMs: 30_000 })
  const deadLetters: DeadLetters = new DeadLetters({
    store,
    clock,
    ingress,
    dispatch,
    roster,
    onDelivery: () => deliver.scan(),
    onRun: () => undefined,
    onPlanned: () => replays.wake(),
  })
  const replays = new Replays({ store, clock, log: quietLog, replay: ({ tenant, id }) => deadLetters.replay(tenant, id, null) })
  await channels.start()
  dispatch.start()
  deliver.start()
  replays.start()

  const saw = (holds: (event: FlowEvent) => boolean): Promise<FlowEvent> => {
    const seen = events.find(holds)
    if (seen !== undefined) return Promise.resolve(seen)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing of the kind among ${JSON.stringify(events.slice(-10))}`)), 10_000)
      waiting.push({
        holds,
        resolve: (event) => {
          clearTimeout(timer)
          resolve(event)
        },
      })
    })
  }
  const became = (id: MessageId, status: string): Promise<FlowEvent> =>
    saw((event) => event.type === 'message' && event.messageId === id && event.status === status)

  return {
    dir,
    feed,
    clock,
    store,
    events,
    ingress,
    dispatch,
    deliver,
    deadLetters,
    pairings,
    metrics,
    notices,
    allow: (policy: AccessPolicy) => access.replace(policies(policy)),
    sent,
    saw,
    became,
    setChannelStatus: (state: ChannelState) => setChannelStatus(state),
    host: { update: (platformId, news) => update(platformId, news) },
    reroute: (rules: readonly RouteRule[], fallback: string | null) => ingress.reroute(router(rules, fallback), new SessionKeys({})),
    async say(text: string, over: Partial<Inbound> = {}): Promise<MessageId> {
      const accepted = await ingress.accept('wire', inbound(text, over), {})
      if (accepted.status === 'refused') throw new Error(`refused: ${accepted.reason}`)
      return accepted.status === 'conflict' ? accepted.id : accepted.envelope.id
    },
    async message(id: MessageId): Promise<MessageView> {
      const view = await store.inbox.get(DEFAULT_TENANT, id)
      if (view === null) throw new Error(`no message ${id}`)
      return view
    },
    async delivered(count: number): Promise<readonly Part[]> {
      const deadline = AbortSignal.timeout(10_000)
      while (sent.length < count) {
        deadline.throwIfAborted()
        await new Promise<void>((resolve) => {
          wentOut = resolve
          deadline.addEventListener('abort', () => resolve())
        })
      }
      return sent
    },
    async stop(keep = false): Promise<void> {
      ingress.close()
      await replays.stop()
      const drained = Promise.all([dispatch.drain(1_000), deliver.drain(1_000)])
      // The bound of the drain, and the grace of a call that was cut.
      clock.advance(2_001)
      await drained
      await channels.stop()
      await store.stop()
      if (!keep) await rm(dir, { recursive: true, force: true })
    },
  }
}
