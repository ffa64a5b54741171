/** A small in-memory hub behind a real HTTP server: plain objects that implement what `Services` names. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type {
  AgentDefinition,
  AuditDeed,
  DeadLetterView,
  DeliveryView,
  FlowEvent,
  FlowFeed,
  Grant,
  JsonObject,
  KeptAnswer,
  KeyRecord,
  LeftSession,
  Log,
  LogFields,
  MessageId,
  MessageView,
  Metrics,
  Pairing,
  Principal,
  ReplyView,
  RevocationRecord,
  RoleRecord,
  Route,
  SessionMessage,
  SessionView,
  StepView,
  Store,
  UpgradeRoute,
} from '#contract'
import { DEFAULT_TENANT, NotFoundError, asAgentId, asDeliveryId, asMessageId, asSessionKey, asTurnId } from '#contract'
import { GuardedClient } from '../../../gateway/guarded/client.ts'
import { Keys } from '../../../gateway/http/keys.ts'
import { Roles } from '../../../gateway/http/roles.ts'
import { HttpServer, type HttpServerOptions } from '../../../gateway/http/server.ts'
import type { ChannelView, Readiness, Services } from '../../../gateway/http/services.ts'
import { Tokens } from '../../../gateway/http/token/tokens.ts'
import type { ReplayOrder } from '../../../gateway/pipeline/dead-letters.ts'
import type { Posting } from '../../../gateway/pipeline/deliver.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { SkillsDouble } from './skills-double.ts'

export class FakeFeed implements FlowFeed {
  readonly #message = new Map<MessageId, Set<(event: FlowEvent) => void>>()
  readonly #all = new Set<(event: FlowEvent, seq: number) => void>()
  readonly #kept: { readonly seq: number; readonly event: FlowEvent }[] = []
  /** How many events are remembered. */
  memory = 100
  #seq = 0
  get listeners(): number {
    let count = this.#all.size
    for (const listeners of this.#message.values()) count += listeners.size
    return count
  }
  publish(event: FlowEvent): void {
    this.#seq += 1
    this.#kept.push({ seq: this.#seq, event })
    if (this.#kept.length > this.memory) this.#kept.shift()
    if (event.type !== 'event') for (const listen of this.#message.get(event.messageId) ?? []) listen(event)
    for (const listen of this.#all) listen(event, this.#seq)
  }
  onMessage(id: MessageId, listen: (event: FlowEvent) => void): () => void {
    const listeners = this.#message.get(id) ?? new Set()
    this.#message.set(id, listeners)
    listeners.add(listen)
    return () => listeners.delete(listen)
  }
  onLane(): () => void {
    return () => undefined
  }
  onTenant(_tenant: string, listen: (event: FlowEvent, seq: number) => void): () => void {
    this.#all.add(listen)
    return () => this.#all.delete(listen)
  }
  since(_tenant: string, seq: number): ReturnType<FlowFeed['since']> {
    const first = this.#kept[0]?.seq ?? 1
    return { gap: seq + 1 < first || seq > this.#seq, events: this.#kept.filter((kept) => kept.seq > seq) }
  }
}

export class FakeLog implements Log {
  readonly lines: { readonly level: string; readonly fields: LogFields; readonly message: string }[] = []
  debug(fields: LogFields, message: string): void {
    this.lines.push({ level: 'debug', fields, message })
  }
  info(fields: LogFields, message: string): void {
    this.lines.push({ level: 'info', fields, message })
  }
  warn(fields: LogFields, message: string): void {
    this.lines.push({ level: 'warn', fields, message })
  }
  error(fields: LogFields, message: string): void {
    this.lines.push({ level: 'error', fields, message })
  }
  child(): Log {
    return this
  }
}

export class FakeMetrics implements Metrics {
  readonly #values = new Map<string, number>()
  /** By name and labels, e.g. `http_requests_total POST 202`. */
  value(key: string): number {
    return this.#values.get(key) ?? 0
  }
  #add(name: string, labels: readonly string[], by: number): void {
    const key = [name, ...labels].join(' ')
    this.#values.set(key, (this.#values.get(key) ?? 0) + by)
  }
  counter: Metrics['counter'] = ({ name }) => ({ inc: (labels = [], by = 1) => this.#add(name, labels, by) })
  gauge: Metrics['gauge'] = ({ name }) => ({
    set: (value, labels = []) => void this.#values.set([name, ...labels].join(' '), value),
    collect: () => undefined,
  })
  histogram: Metrics['histogram'] = ({ name }) => ({ observe: (_value, labels = []) => this.#add(name, labels, 1) })
}

/** What the hub knows, for tests to fill. */
/** What no test of the double asks for. */
const absent: object = new Proxy({}, { get: (_, name) => assert.fail(`the double has no ${String(name)}`) })

export class Hub {
  readonly messages: MessageView[] = []
  readonly steps: Map<string, StepView[]> = new Map()
  readonly replies: Map<string, ReplyView[]> = new Map()
  readonly sessions: SessionView[] = []
  readonly memory: SessionMessage[] = []
  readonly letters: DeadLetterView[] = []
  /** Pages that signed out. */
  readonly left: LeftSession[] = []
  /** What is said of a message that is to be cancelled. */
  readonly ends: Map<string, 'told' | 'over'> = new Map()
  readonly keyRecords: KeyRecord[] = []
  readonly kept: Map<string, KeptAnswer> = new Map()
  readonly agents: AgentDefinition[] = [AGENT]
  readonly channels: ChannelView[] = []
  readonly pairings: Pairing[] = []
  readonly grants: Grant[] = []
  readonly posted: Posting[] = []
  readonly deeds: AuditDeed[] = []
  readonly deliveries: DeliveryView[] = []
  readonly skills: SkillsDouble = new SkillsDouble()
  link: Services['channels']['link'] = () => assert.fail('the double links nothing')
  media: Services['channels']['media'] = async () => assert.fail('the double has no media')
  readonly replays: { readonly id: string; readonly edit: unknown }[] = []
  readonly orders: ReplayOrder[] = []
  readonly feed: FakeFeed = new FakeFeed()
  readonly clock: FakeClock = new FakeClock(Date.UTC(2030, 0, 1))
  readonly log: FakeLog = new FakeLog()
  readonly metrics: FakeMetrics = new FakeMetrics()
  registrations = 0
  readiness: Readiness = { live: true, started: true, ready: true, parts: [{ name: 'store', ok: true, detail: null }], channels: [] }
  readonly roleRecords: RoleRecord[] = []
  readonly roles: Roles = new Roles({
    clock: this.clock,
    configured: {},
    store: {
      list: async () => this.roleRecords,
      add: async (role) => {
        if (this.roleRecords.some(({ tenant, name }) => tenant === role.tenant && name === role.name)) return false
        this.roleRecords.push(role)
        return true
      },
      change: async (tenant, name, { from, to }) => {
        const at = this.roleRecords.findIndex(
          (role) => role.tenant === tenant && role.name === name && String(role.permissions) === String(from),
        )
        const role = this.roleRecords[at]
        if (role !== undefined) this.roleRecords[at] = { ...role, permissions: to }
        return role !== undefined
      },
      remove: async (tenant, name) => {
        const at = this.roleRecords.findIndex((role) => role.tenant === tenant && role.name === name)
        if (at >= 0) this.roleRecords.splice(at, 1)
        return at >= 0
      },
    },
  })
  /** As without openclaw.yaml; nothing of it can be changed. */
  readonly config: Services['config'] = {
    effective: () => ({ values: [], vain: [] }),
    read: () => null,
    change: () => Promise.reject(new NotFoundError('The double has no configuration.', { code: 'AGENT_UNKNOWN' })),
  }
  readonly revocationRecords: RevocationRecord[] = []
  readonly tokens: Tokens = new Tokens({
    clock: this.clock,
    log: this.log,
    metrics: this.metrics,
    roles: this.roles,
    issuers: [],
    outbound: new GuardedClient({ clock: this.clock, isHttpsOnly: true, allowNetworks: ['127.0.0.0/8'] }),
    store: {
      list: async (now) => this.revocationRecords.filter(({ expiresAt }) => expiresAt > now),
      add: async (record) => void this.revocationRecords.push(record),
    },
  })
  readonly keys: Keys = new Keys({
    clock: this.clock,
    log: this.log,
    roles: this.roles,
    configured: [],
    store: {
      add: async (record) => void this.keyRecords.push(record),
      list: async () => this.keyRecords,
      revoke: async (tenant, id, now) => {
        const index = this.keyRecords.findIndex((record) => record.id === id && record.tenant === tenant && record.revokedAt === null)
        const record = this.keyRecords[index]
        if (record === undefined) return false
        this.keyRecords[index] = { ...record, revokedAt: now }
        return true
      },
      rotate: async (id, hash, until) => {
        const index = this.keyRecords.findIndex((record) => record.id === id && record.revokedAt === null)
        const record = this.keyRecords[index]
        if (record === undefined) return false
        this.keyRecords[index] = { ...record, hash, previous: until === null ? null : { hash: record.hash, until } }
        return true
      },
      touch: async (id, at) => {
        const index = this.keyRecords.findIndex((record) => record.id === id)
        const record = this.keyRecords[index]
        if (record !== undefined) this.keyRecords[index] = { ...record, lastUsedAt: at }
      },
    },
  })

  readonly services: Services = {
    store: this.#store(),
    feed: this.feed,
    agents: {
      list: (tenant) =>
        this.agents
          .filter((definition) => definition.tenant === tenant)
          .map((definition) => ({ definition, models: ['builtin/echo'], runningTurns: 0, status: 'idle' as const })),
      find: (tenant, nameOrId) =>
        this.agents.find((each) => each.tenant === tenant && (each.name === nameOrId || each.id === nameOrId)) ?? null,
      register: async (tenant, declaration) => {
        this.registrations += 1
        const name = typeof declaration['name'] === 'string' ? declaration['name'] : ''
        const id = asAgentId(`agent-${this.registrations}`)
        this.agents.push({ ...AGENT, tenant, name, id })
        return { id, name }
      },
      registration: async () => null,
      change: () => assert.fail('the double changes no agent'),
    },
    channels: {
      list: () => this.channels,
      setPaused: async (name, isPaused) => {
        const at = this.channels.findIndex((view) => view.name === name)
        const view = this.channels[at]
        if (view !== undefined) this.channels[at] = { ...view, isPaused }
      },
      link: (name, request, signal) => this.link(name, request, signal),
      media: (channel, ref, signal) => this.media(channel, ref, signal),
      post: async (posting) => {
        this.posted.push(posting)
        return asDeliveryId(`dlv-${this.posted.length}`)
      },
    },
    pairings: {
      open: (channel) => this.pairings.filter((pairing) => pairing.channel === channel),
      grants: (channel) => this.grants.filter((grant) => grant.channel === channel),
      approve: async (channel, code, by) => {
        const at = this.pairings.findIndex((pairing) => pairing.channel === channel && pairing.code === code)
        const [pairing] = at < 0 ? [] : this.pairings.splice(at, 1)
        if (pairing === undefined) throw new NotFoundError('none', { code: 'PAIRING_NOT_FOUND' })
        const { sender, aliases } = pairing
        const grant = { channel, sender, aliases, since: this.clock.now(), by }
        this.grants.push(grant)
        return grant
      },
      deny: async (channel, code) => {
        const at = this.pairings.findIndex((pairing) => pairing.channel === channel && pairing.code === code)
        if (at < 0) throw new NotFoundError('none', { code: 'PAIRING_NOT_FOUND' })
        this.pairings.splice(at, 1)
      },
      revoke: async (channel, sender) => {
        const at = this.grants.findIndex((grant) => grant.channel === channel && grant.sender === sender)
        if (at < 0) throw new NotFoundError('none', { code: 'GRANT_NOT_FOUND' })
        this.grants.splice(at, 1)
      },
    },
    deadLetters: {
      replay: async (_tenant, id, edit) => {
        this.replays.push({ id, edit })
        const letter = this.letters.find((each) => each.id === id)
        if (letter === undefined) return { status: 'missing' }
        if (letter.status !== 'open') return { status: 'settled', was: letter.status }
        return { status: 'replayed', kind: 'message', message: asMessageId(letter.ref), session: asSessionKey('s'), agent: 'main' }
      },
      plan: async (order) => {
        this.orders.push(order)
        const { tenant } = order.filter
        return {
          matched: 7,
          letters: this.letters.slice(0, order.limit).map(({ id }, index) => ({ tenant, id, at: index * order.everyMs })),
        }
      },
    },
    skills: this.skills,
    eraseSession: async (_tenant, key) => {
      const at = this.sessions.findIndex((session) => session.key === key)
      if (at < 0) throw new NotFoundError('none', { code: 'SESSION_NOT_FOUND' })
      this.sessions.splice(at, 1)
    },
    cancelMessage: async (_tenant, id) => this.ends.get(id) ?? 'missing',
    resetSession: async (_tenant, key) => this.sessions.some((session) => session.key === key),
    probes: () => this.readiness,
    keys: this.keys,
    roles: this.roles,
    tokens: this.tokens,
    audit: {
      during: async (deed, act) => {
        this.deeds.push(deed)
        return act()
      },
      denied: (deed) => void this.deeds.push(deed),
      onEntry: () => () => undefined,
      verify: async (tenant) => ({ tenant, ok: true, entries: 0, sealed: 0, head: null, checkpoints: 0, fault: null }),
    },
    webhooks: absent as Services['webhooks'],
    config: this.config,
    explain: () => ({ routed: null, rules: [] }),
    metricsText: async () => 'up 1\n',
    redact: (text) => text.replaceAll('hunter22', '***'),
    version: '1.2.3',
  }

  #store(): Store {
    const page = <Row extends { readonly seq: number }>(rows: readonly Row[], before: number | null, limit: number): Row[] =>
      rows
        .filter((row) => before === null || row.seq < before)
        .toSorted((a, b) => b.seq - a.seq)
        .slice(0, limit)
    return {
      start: async () => undefined,
      stop: async () => undefined,
      health: () => ({ ok: true, code: null, detail: null, waiting: 0 }),
      prune: async () => 0,
      inbox: Object.assign(Object.create(absent) as Store['inbox'], {
        get: async (_tenant: string, id: MessageId) => this.messages.find((view) => view.id === id) ?? null,
        list: async (filter: { status?: string }, before: number | null, limit: number) =>
          page(
            this.messages.filter((view) => filter.status === undefined || view.status === filter.status),
            before,
            limit,
          ),
        steps: async (turn: string) => this.steps.get(turn) ?? [],
        repliesOfTurn: async (turn: string) => this.replies.get(turn) ?? [],
      }),
      sessions: {
        list: async (_filter, before, limit) => page(this.sessions, before, limit),
        get: async (_tenant, key) => this.sessions.find((session) => session.key === key) ?? null,
        messages: async (_tenant, _key, before, limit) => page(this.memory, before, limit),
        reset: async () => false,
        erase: async () => 'missing',
        eraseOn: async () => false,
      },
      deadLetters: Object.assign(Object.create(absent) as Store['deadLetters'], {
        open: async () => ({ count: 2, oldestAt: 5_000 }),
        census: async () => ({ open: { message: 1, delivery: 1, run: 0 }, ever: 3 }),
        list: async (_filter: unknown, before: number | null, limit: number) => page(this.letters, before, limit),
        get: async (_tenant: string, id: string) => this.letters.find((letter) => letter.id === id) ?? null,
        discard: async (_tenant: string, id: string) => (this.letters.some((letter) => letter.id === id) ? 'discarded' : 'missing'),
      }),
      idempotency: {
        begin: async (key, fingerprint, _now, expiresAt) => {
          const found = this.kept.get(key)
          if (found !== undefined) return found
          this.kept.set(key, { fingerprint, answer: null, expiresAt })
          return null
        },
        finish: async (key, answer) => {
          const found = this.kept.get(key)
          if (found !== undefined) this.kept.set(key, { ...found, answer })
        },
        abandon: async (key) => void this.kept.delete(key),
      },
      keys: absent as Store['keys'],
      roles: absent as Store['roles'],
      revocations: Object.assign(Object.create(absent) as Store['revocations'], {
        leftSessions: async () => this.left,
        leaveSession: async (session: LeftSession) => void this.left.push(session),
      }),
      turns: absent as Store['turns'],
      outbox: Object.assign(Object.create(absent) as Store['outbox'], {
        get: async (_tenant: string, id: string) => this.deliveries.find((view) => view.id === id) ?? null,
      }),
      agents: absent as Store['agents'],
      channelState: absent as Store['channelState'],
      pairing: absent as Store['pairing'],
      skills: absent as Store['skills'],
      runs: absent as Store['runs'],
      audit: absent as Store['audit'],
      webhooks: absent as Store['webhooks'],
      overlay: absent as Store['overlay'],
    }
  }
}

export const AGENT: AgentDefinition = {
  tenant: DEFAULT_TENANT,
  name: 'main',
  id: null,
  version: '1.0.0',
  description: 'Answers.',
  capabilities: [],
  prompt: 'Be brief.',
  models: [],
  skills: ['*'],
  limits: {
    maxSteps: 8,
    maxContextTokens: 8_000,
    maxOutputTokens: 1_000,
    turnTimeoutMs: 60_000,
    maxConcurrentTurns: 4,
    turnsPerMinute: null,
    tokensPerHour: null,
  },
  queue: { mode: 'followup', cap: 1, debounceMs: 0 },
  sessionScope: 'per-channel-peer',
}

/** An open channel without access rules. */
export const channelView = (name: string, change: Partial<ChannelView> = {}): ChannelView => ({
  name,
  kind: name,
  tenant: DEFAULT_TENANT,
  state: 'open',
  reason: null,
  isPaused: false,
  lastInboundAt: null,
  lastSentAt: null,
  capabilities: {
    delivery: 'push',
    resend: 'id',
    text: { max: 4_096, unit: 'utf16', dialect: null },
    strangers: false,
    typingMs: null,
    threads: false,
    groups: true,
    media: true,
  },
  isLinkable: false,
  access: null,
  openPairings: 0,
  ...change,
})

/** A message as the store would show it. */
export function messageView(seq: number, change: Partial<MessageView> = {}): MessageView {
  const id = asMessageId(`msg-${seq}`)
  return {
    id,
    seq,
    channel: 'http',
    agent: 'main',
    session: asSessionKey('agent:main:http:admin:direct:a'),
    turn: asTurnId(`turn-${seq}`),
    status: 'queued',
    attempts: 0,
    reason: null,
    dueAt: null,
    acceptedAt: 0,
    doneAt: null,
    envelope: { version: 1, id, channel: 'http', sender_id: 'a', timestamp: 0, payload: { text: 'hello' }, metadata: {}, session: null },
    ...change,
  }
}

export interface Started {
  readonly hub: Hub
  readonly server: HttpServer
  readonly url: string
  /** A key that may do everything. */
  readonly key: string
  readonly dir: string
  /** `fetch` with that key unless the headers say otherwise. */
  readonly call: (path: string, init?: RequestInit & { readonly json?: unknown }) => Promise<Response>
  /** Another key. */
  readonly keyFor: (scopes: readonly string[], name?: string) => Promise<{ readonly id: string; readonly secret: string }>
}

/** A server over a hub that nobody has started yet. */
export const serverOf = ({ hub, dir }: Pick<Started, 'hub' | 'dir'>, change: Partial<HttpServerOptions> = {}): HttpServer =>
  new HttpServer({
    host: '127.0.0.1',
    port: 0,
    publicHosts: [],
    origins: [],
    insecureHttp: false,
    tls: null,
    trustedProxies: [],
    rateLimits: { perIp: 1_000_000, perKey: 1_000_000 },
    metricsPort: null,
    services: hub.services,
    routes: [],
    upgrades: [],
    consoleDir: null,
    stateDir: dir,
    log: hub.log,
    clock: hub.clock,
    metrics: hub.metrics,
    ...change,
  })

/** A server on a free port with an empty hub; stopped after the test. */
export async function startServer(t: TestContext, change: Partial<HttpServerOptions> & { readonly hub?: Hub } = {}): Promise<Started> {
  const { hub = new Hub(), ...options } = change
  const dir = options.stateDir ?? (await mkdtemp(join(tmpdir(), 'openclaw-http-')))
  await hub.keys.start()
  const { secret: key } = await hub.keys.create({ tenant: DEFAULT_TENANT, name: 'tester', scopes: ['*'], expiresAt: null })
  const server = serverOf({ hub, dir }, { routes: [echoRoute()], ...options })
  await server.start()
  t.after(async () => {
    const stopped = server.stop()
    hub.clock.advance(10_000)
    await stopped
    await hub.keys.stop()
    await rm(dir, { recursive: true, force: true })
    assert.equal(hub.feed.listeners, 0, 'a listener is left at the feed')
    assert.equal(hub.clock.pending, 0, 'a timer is left')
  })
  const { url } = server
  return {
    hub,
    server,
    url,
    key,
    dir,
    call: (path, init = {}) => {
      const { json, ...rest } = init
      const headers = new Headers(rest.headers)
      if (!headers.has('authorization')) headers.set('authorization', `Bearer ${key}`)
      if (headers.get('authorization') === 'none') headers.delete('authorization')
      if (json !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json')
      return fetch(new URL(path, url), { ...rest, headers, ...(json !== undefined && { body: JSON.stringify(json) }) })
    },
    keyFor: async (scopes, name = 'other') => {
      const { record, secret } = await hub.keys.create({ tenant: DEFAULT_TENANT, name, scopes, expiresAt: null })
      return { id: record.id, secret }
    },
  }
}

/** What a channel would lend: takes any object and says what it got. */
export function echoRoute(change: Partial<Route> = {}): Route {
  return {
    method: 'POST',
    path: '/v1/messages',
    aliases: ['/messages'],
    permission: 'messages:write',
    summary: 'Echo',
    tag: 'messages',
    body: { type: 'object' },
    responses: { 202: { description: 'Taken.' } },
    handle: ({ body }) => ({ status: 202, body: body ?? null }),
    ...change,
  }
}

export function upgradeRoute(take: (caller: { principal: Principal | null }) => void): UpgradeRoute {
  return {
    path: '/v1/ws',
    permission: 'messages:write',
    handle: (_request, socket, _head, caller) => {
      take(caller)
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    },
  }
}

/** The problem a response holds. */
export async function problem(response: Response, status: number): Promise<JsonObject> {
  assert.equal(response.status, status)
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  const body = (await response.json()) as JsonObject
  assert.equal(body['status'], status)
  assert.equal(body['instance'], response.headers.get('x-request-id'))
  return body
}
