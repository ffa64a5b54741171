/**
 * What one channel is given of the hub. Adds to it only what belongs to the channel itself: its name, when something came in by it last, and
 * that nothing does while it came up paused.
 */
import { UnavailableError } from '#contract'
import type {
  Accepted,
  ChannelHost,
  ChannelState,
  Clock,
  DeliveryNews,
  Inbound,
  JsonObject,
  Log,
  MessageId,
  Metrics,
  Redact,
  StateChanges,
  Store,
} from '#contract'
import type { Feed } from './feed.ts'
import { backoffMs } from './retry.ts'

export interface HostParts {
  readonly store: Store
  readonly feed: Feed
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly accept: (channel: string, message: Inbound, state: StateChanges) => Promise<Accepted>
  readonly acceptAll: (channel: string, messages: readonly Inbound[], state: StateChanges, inOrder: boolean) => Promise<readonly Accepted[]>
  readonly update: (channel: string, platformId: string, news: DeliveryNews) => Promise<void>
  readonly fetch: ChannelHost['fetch']
  readonly random: () => number
  /** For what platforms say of a failure. */
  readonly redact: Redact
  readonly document: (tenant: string, id: MessageId) => Promise<JsonObject | null>
}

export interface Hosted {
  readonly name: string
  /** It came up paused and was not resumed since. */
  readonly isShut: boolean
  lastInboundAt: number | null
}

export function hostOf(hosted: Hosted, parts: HostParts, status: (state: ChannelState, reason: string | null) => void): ChannelHost {
  const { store, feed, clock, log, metrics, accept, acceptAll, update, document, fetch, random, redact } = parts
  const { name } = hosted
  return {
    name,
    clock,
    feed,
    metrics,
    log: log.child({ channel: name }),
    accept: async (message, state = {}) => {
      checkNotShut(hosted)
      const accepted = await accept(name, message, state)
      if (accepted.status !== 'refused') hosted.lastInboundAt = clock.now()
      return accepted
    },
    acceptAll: async (messages, state = {}, { inOrder } = { inOrder: false }) => {
      if (messages.length === 0) {
        if (Object.keys(state).length > 0) await store.channelState.write(name, state)
        return []
      }
      checkNotShut(hosted)
      const accepted = await acceptAll(name, messages, state, inOrder)
      if (accepted.some((each) => each.status !== 'refused')) hosted.lastInboundAt = clock.now()
      return accepted
    },
    update: (platformId, news) => update(name, platformId, news.state === 'failed' ? without(news, redact) : news),
    backoff: (attempt, signal) => pause(clock, backoffMs(RECONNECT, attempt, random), signal),
    fetch,
    document,
    readState: (key) => store.channelState.read(name, key),
    writeState: (changes) => store.channelState.write(name, changes),
    replies: (lane, afterSeq, limit) => store.inbox.repliesOfLane(name, lane, afterSeq, limit),
    status: (state, reason) => status(state, reason ?? null),
  }
}

const without = (news: DeliveryNews & { readonly state: 'failed' }, redact: Redact): DeliveryNews => ({
  ...news,
  failure: { ...news.failure, message: redact(news.failure.message) },
})

/** A channel may not have heard of its pause yet when the first message comes in by it. */
function checkNotShut({ name, isShut }: Hosted): void {
  if (isShut) throw new UnavailableError(`Channel "${name}" is paused. Resume it.`, { code: 'CHANNEL_CLOSED' })
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
