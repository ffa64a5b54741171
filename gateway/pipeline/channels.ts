/**
 * The running channels: starts each, gives it its host, keeps its status, pauses it also beyond a restart, and stops it. A channel that cannot
 * start is shown as stopped with its reason and takes nobody down with it.
 */
import { ChannelFault, DEFAULT_TENANT, NotFoundError, describeError } from '#contract'
import type {
  AccessPolicy,
  Body,
  Capabilities,
  Channel,
  ChannelState,
  Counter,
  DialogueRoute,
  LinkRequest,
  LinkStep,
  Media,
  MediaRef,
  Rendered,
  Route,
  UpgradeRoute,
} from '#contract'
import { hostOf } from './channel-host.ts'
import type { HostParts, Hosted } from './channel-host.ts'
import { linkOf } from './channel-link.ts'
import type { Linkable } from './channel-link.ts'
import { measureChannels } from './channel-metrics.ts'
import { loadParse, parseWords, render } from './render.ts'
import type { Parse } from './render.ts'

export interface ConfiguredChannel {
  readonly name: string
  readonly kind: string
  /** Whose its account is; of one that all share it says nothing. */
  readonly tenant: string
  readonly channel: Channel
  readonly access: AccessPolicy
}

export interface ChannelView {
  readonly name: string
  readonly kind: string
  /** null: all tenants share it. */
  readonly tenant: string | null
  readonly state: ChannelState
  readonly reason: string | null
  readonly isPaused: boolean
  readonly capabilities: Capabilities
  readonly isLinkable: boolean
  readonly lastInboundAt: number | null
  readonly lastSentAt: number | null
}

export interface ChannelsParts extends HostParts {
  /** A lane of a pushing channel has something to send. */
  readonly onDelivery: (channel: string, lane: string) => void
  /** A channel can send: what waited for it can go. */
  readonly onOpen: (channel: string) => void
  /** It can send and be reached, or cannot any more. */
  readonly onLine: (channel: string, isConnected: boolean, reason: string | null) => void
}

interface Entry extends ConfiguredChannel, Hosted, Linkable {
  readonly name: string
  readonly channel: Channel
  state: ChannelState
  reason: string | null
  lastSentAt: number | null
  isPaused: boolean
  isShut: boolean
}

export class Channels {
  readonly #parts: ChannelsParts
  readonly #entries = new Map<string, Entry>()
  #parse: Parse = parseWords
  readonly #connects: Counter

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
        isPaused: false,
        isShut: false,
        isLinking: false,
      })
    this.#connects = measureChannels(parts, () => this.list())
  }

  get routes(): readonly Route[] {
    return [...this.#entries.values()].flatMap((entry) => entry.channel.routes ?? [])
  }

  get upgrades(): readonly UpgradeRoute[] {
    return [...this.#entries.values()].flatMap((entry) => entry.channel.upgrades ?? [])
  }

  /** The conversation that a channel lends to other doors; null: none does. */
  get dialogue(): DialogueRoute | null {
    for (const { channel } of this.#entries.values()) if (channel.dialogue !== undefined) return channel.dialogue
    return null
  }

  /** Starts all without waiting for the slow ones: each tells its state by itself. From here on replies can be rendered. */
  async start(): Promise<void> {
    const hasDialect = [...this.#entries.values()].some(({ channel }) => channel.capabilities.text.dialect !== null)
    if (hasDialect) this.#parse = await loadParse()
    const kept = new Set(await this.#parts.store.channelState.keys(HUB))
    for (const entry of this.#entries.values()) {
      entry.isPaused = entry.isShut = kept.has(pauseKey(entry.name))
      void this.#start(entry)
    }
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
    return [...this.#entries.values()].map(({ name, kind, tenant, state, reason, isPaused, lastInboundAt, lastSentAt, channel }) => ({
      name,
      kind,
      tenant: channel.capabilities.isShared === true ? null : tenant,
      state,
      reason,
      isPaused,
      capabilities: channel.capabilities,
      isLinkable: channel.link !== undefined,
      lastInboundAt,
      lastSentAt,
    }))
  }

  /** Whose a channel is; null: all tenants share it. Of one that is not there any more, the operator's. */
  tenantOf(name: string): string | null {
    const entry = this.#entries.get(name)
    if (entry === undefined) return DEFAULT_TENANT
    return entry.channel.capabilities.isShared === true ? null : entry.tenant
  }

  /**
   * Whether it takes messages in, from now on and after restarts; sending goes on.
   * @throws NotFoundError when there is no such channel
   */
  async setPaused(name: string, isPaused: boolean): Promise<void> {
    const entry = this.#entry(name)
    await this.#parts.store.channelState.write(HUB, { [pauseKey(name)]: isPaused ? new Uint8Array(0) : null })
    entry.isPaused = isPaused
    if (!isPaused) entry.isShut = false
    if (isPaused) entry.channel.pause()
    else entry.channel.resume()
    this.#parts.log.info({ channel: name }, isPaused ? 'channel paused' : 'channel resumed')
    this.#tell(entry)
  }

  /**
   * Begins linking it to a phone; one at a time.
   * @throws NotFoundError when there is no such channel; ConflictError when it cannot be linked, or is being linked
   */
  link(name: string, request: LinkRequest, signal: AbortSignal): AsyncIterable<LinkStep> {
    return linkOf(this.#entry(name), request, signal)
  }

  /** @throws NotFoundError when the channel, or what it referred to, is gone; ChannelFault when it cannot be had now */
  async media(name: string, ref: MediaRef, signal: AbortSignal): Promise<Media> {
    const channel = this.#entries.get(name)?.channel
    if (channel?.media !== undefined) return channel.media(ref, signal)
    throw new NotFoundError(`Channel "${name}" does not hold what came with its messages.`, { code: 'MEDIA_NOT_FOUND' })
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
    return channel === undefined ? [{ text: body.text }] : render(body, channel.capabilities.text, this.#parse)
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
      const starting = entry.channel.start(
        hostOf(entry, this.#parts, (state, reason) => this.#status(entry, state, reason)),
        entry.stop.signal,
      )
      if (entry.isPaused) entry.channel.pause()
      await starting
      if (entry.state === 'connecting') this.#status(entry, 'open', null)
    } catch (error) {
      this.#status(entry, 'stopped', describeError(error).message)
      if (!(error instanceof ChannelFault))
        this.#parts.log.error({ channel: entry.name, err: asError(error) }, 'A channel failed to start.')
    }
  }

  #status(entry: Entry, state: ChannelState, said: string | null): void {
    const reason = said === null ? null : this.#parts.redact(said)
    if (entry.state === state && entry.reason === reason) return
    if (state === 'open' && entry.state !== 'open') this.#connects.inc([entry.name])
    const was = isConnected(entry.state)
    entry.state = state
    entry.reason = reason
    const { log, onOpen, onLine } = this.#parts
    if (was !== isConnected(state)) onLine(entry.name, !was, reason)
    log[state === 'stopped' && reason !== null ? 'error' : 'debug'](
      { channel: entry.name, state, ...(reason === null ? {} : { reason }) },
      'channel status',
    )
    this.#tell(entry)
    if (state === 'open' || state === 'degraded') onOpen(entry.name)
  }

  #tell({ name: channel, state, reason, isPaused }: Entry): void {
    const tenant = this.tenantOf(channel) ?? DEFAULT_TENANT
    this.#parts.feed.emit({ type: 'event', tenant, name: 'channel.status', data: { channel, state, reason, paused: isPaused } })
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name)
    if (entry !== undefined) return entry
    throw new NotFoundError(`There is no channel "${name}". GET /v1/channels lists those there are.`, { code: 'CHANNEL_UNKNOWN' })
  }
}

const isConnected = (state: ChannelState): boolean => state === 'open' || state === 'degraded'

/** Where the hub keeps values of its own: a name that no channel can have. */
const HUB = ''
const pauseKey = (channel: string): string => `paused/${channel}`

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
