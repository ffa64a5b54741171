/**
 * The running channels: starts each, gives it its host, keeps its status, pauses and stops it. A channel that cannot
 * start is shown as stopped with its reason and takes nobody down with it.
 */
import { ChannelFault, describeError } from '#contract'
import type {
  Accepted,
  AccessPolicy,
  Body,
  Channel,
  ChannelHost,
  ChannelState,
  Clock,
  DeliveryNews,
  Inbound,
  JsonObject,
  Log,
  MessageId,
  Metrics,
  Rendered,
  Route,
  StateChanges,
  Store,
  UpgradeRoute,
} from '#contract'
import type { Feed } from './feed.ts'
import { render } from './render.ts'
import { backoffMs } from './retry.ts'

export interface ConfiguredChannel {
  readonly name: string
  readonly kind: string
  readonly channel: Channel
  readonly access: AccessPolicy
}

export interface ChannelView {
  readonly name: string
  readonly kind: string
  readonly state: ChannelState
  readonly reason: string | null
  readonly delivery: 'push' | 'collect'
  readonly lastInboundAt: number | null
  readonly lastSentAt: number | null
}

export interface ChannelsParts {
  readonly store: Store
  readonly feed: Feed
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly accept: (channel: string, message: Inbound, state: StateChanges) => Promise<Accepted>
  readonly acceptAll: (channel: string, messages: readonly Inbound[], state: StateChanges) => Promise<readonly Accepted[]>
  readonly update: (channel: string, platformId: string, news: DeliveryNews) => Promise<void>
  readonly fetch: ChannelHost['fetch']
  readonly random: () => number
  readonly document: (id: MessageId) => Promise<JsonObject | null>
  /** A lane of a pushing channel has something to send. */
  readonly onDelivery: (channel: string, lane: string) => void
  /** A channel can send: what waited for it can go. */
  readonly onOpen: (channel: string) => void
}

interface Entry extends ConfiguredChannel {
  readonly stop: AbortController
  state: ChannelState
  reason: string | null
  lastInboundAt: number | null
  lastSentAt: number | null
}

export class Channels {
  readonly #parts: ChannelsParts
  readonly #entries = new Map<string, Entry>()

  constructor(parts: ChannelsParts, channels: readonly ConfiguredChannel[]) {
    this.#parts = parts
    for (const channel of channels)
      this.#entries.set(channel.name, {
        ...channel,
        stop: new AbortController(),
        state: 'stopped',
        reason: null,
        lastInboundAt: null,
        lastSentAt: null,
      })
    parts.metrics
      .gauge({ name: 'openclaw_channel_up', help: '1 while the channel is open.', labels: ['channel'] })
      .collect((set) => this.#entries.forEach((entry) => set(entry.state === 'open' ? 1 : 0, [entry.name])))
  }

  get routes(): readonly Route[] {
    return [...this.#entries.values()].flatMap((entry) => entry.channel.routes ?? [])
  }

  get upgrades(): readonly UpgradeRoute[] {
    return [...this.#entries.values()].flatMap((entry) => entry.channel.upgrades ?? [])
  }

  /** Starts all without waiting for the slow ones: each tells its state by itself. */
  start(): void {
    for (const entry of this.#entries.values()) void this.#start(entry)
  }

  async stop(): Promise<void> {
    await Promise.all(
      [...this.#entries.values()].map(async (entry) => {
        entry.stop.abort()
        await entry.channel.stop()
        this.#status(entry, 'stopped', null)
      }),
    )
  }

  list(): readonly ChannelView[] {
    return [...this.#entries.values()].map(({ name, kind, state, reason, lastInboundAt, lastSentAt, channel }) => ({
      name,
      kind,
      state,
      reason,
      delivery: channel.capabilities.delivery,
      lastInboundAt,
      lastSentAt,
    }))
  }

  /** The channel, if deliveries can be tried on it now. */
  sendable(name: string): Channel | null {
    const entry = this.#entries.get(name)
    return entry !== undefined && (entry.state === 'open' || entry.state === 'degraded') ? entry.channel : null
  }

  pushing(): readonly string[] {
    return [...this.#entries.values()].filter((entry) => entry.channel.capabilities.delivery === 'push').map((entry) => entry.name)
  }

  isCollected(name: string): boolean {
    return this.#entries.get(name)?.channel.capabilities.delivery === 'collect'
  }

  /** A channel that is no longer configured renders nothing: its reply waits whole until it is back. */
  render(name: string, body: Body): readonly Rendered[] {
    const channel = this.#entries.get(name)?.channel
    return channel === undefined ? [{ text: body.text }] : render(body, channel.capabilities.text)
  }

  deliver(name: string, lane: string): void {
    this.#parts.onDelivery(name, lane)
  }

  sent(name: string): void {
    const entry = this.#entries.get(name)
    if (entry !== undefined) entry.lastSentAt = this.#parts.clock.now()
  }

  /** The platform says that credentials or settings are wrong: nothing more is tried until somebody acts. */
  refuse(name: string, reason: string): void {
    const entry = this.#entries.get(name)
    if (entry !== undefined) this.#status(entry, 'stopped', reason)
  }

  async #start(entry: Entry): Promise<void> {
    this.#status(entry, 'connecting', null)
    try {
      await entry.channel.start(this.#host(entry), entry.stop.signal)
      if (entry.state === 'connecting') this.#status(entry, 'open', null)
    } catch (error) {
      this.#status(entry, 'stopped', describeError(error).message)
      if (!(error instanceof ChannelFault))
        this.#parts.log.error({ channel: entry.name, err: asError(error) }, 'A channel failed to start.')
    }
  }

  #host(entry: Entry): ChannelHost {
    const { store, feed, clock, log, metrics, accept, acceptAll, update, document, fetch, random } = this.#parts
    const { name } = entry
    return {
      name,
      clock,
      feed,
      metrics,
      log: log.child({ channel: name }),
      accept: (message, state = {}) => {
        entry.lastInboundAt = clock.now()
        return accept(name, message, state)
      },
      acceptAll: async (messages, state = {}) => {
        if (messages.length === 0) {
          if (Object.keys(state).length > 0) await store.channelState.write(name, state)
          return []
        }
        entry.lastInboundAt = clock.now()
        return acceptAll(name, messages, state)
      },
      update: (platformId, news) => update(name, platformId, news),
      backoff: (attempt, signal) => pause(clock, backoffMs(RECONNECT, attempt, random), signal),
      fetch,
      document,
      readState: (key) => store.channelState.read(name, key),
      writeState: (changes) => store.channelState.write(name, changes),
      replies: (lane, afterSeq, limit) => store.inbox.repliesOfLane(name, lane, afterSeq, limit),
      status: (state, reason) => this.#status(entry, state, reason ?? null),
    }
  }

  #status(entry: Entry, state: ChannelState, reason: string | null): void {
    if (entry.state === state && entry.reason === reason) return
    entry.state = state
    entry.reason = reason
    const { log, feed, onOpen } = this.#parts
    log[state === 'stopped' && reason !== null ? 'error' : 'debug'](
      { channel: entry.name, state, ...(reason === null ? {} : { reason }) },
      'channel status',
    )
    feed.emit({ type: 'event', name: 'channel.status', data: { channel: entry.name, state, reason } })
    if (state === 'open' || state === 'degraded') onOpen(entry.name)
  }
}

/** Reconnects never end, so no attempt is the last. */
const RECONNECT = { attempts: Infinity, baseMs: 1_000, capMs: 60_000 }

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(asError(signal.reason))
    const aborted = (): void => {
      cancel()
      reject(asError(signal.reason))
    }
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', aborted)
      resolve()
    })
    signal.addEventListener('abort', aborted, { once: true })
  })
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
