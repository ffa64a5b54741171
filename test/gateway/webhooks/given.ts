/** Webhooks over a real store and real sockets, with a clock that the test moves. */
import { createSecretKey } from 'node:crypto'
import { noTracer } from '#contract'
import type { KeyObject } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Metrics, WebhookAttempt, WebhookDelivery, WebhookId, WebhookStore } from '#contract'
import { GuardedClient } from '../../../gateway/guarded/client.ts'
import type { GuardedClientOptions } from '../../../gateway/guarded/client.ts'
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { Webhooks } from '../../../gateway/webhooks/webhooks.ts'
import type { WebhookRequest } from '../../../gateway/webhooks/webhooks.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { noMetrics } from '../../support/no-metrics.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { Receiver } from '../../support/receiver.ts'

// Every test starts threads; with the cache they start in half the time.
enableCompileCache()

export const SECRET: KeyObject = createSecretKey(Buffer.alloc(32, 7))
/** Of real time; only a failing test waits so long. */
const WAIT_LIMIT_MS = 30_000

export interface WorldOptions {
  readonly guard?: Partial<GuardedClientOptions>
  readonly metrics?: Metrics
  /** Around what the engine writes. */
  readonly settle?: (settle: WebhookStore['settle']) => WebhookStore['settle']
}

export class World {
  readonly clock: FakeClock = new FakeClock()
  readonly store: SqliteStore
  readonly receiver: Receiver
  webhooks: Webhooks
  /** Attempts that were written down. */
  settled = 0
  readonly #options: WorldOptions
  readonly #watchers = new Set<() => void>()

  constructor(store: SqliteStore, receiver: Receiver, options: WorldOptions) {
    this.store = store
    this.receiver = receiver
    this.#options = options
    this.webhooks = this.make()
  }

  static async open(context: TestContext, options: WorldOptions = {}): Promise<World> {
    const dir = await mkdtemp(join(tmpdir(), 'openclaw-webhooks-'))
    const store = new SqliteStore({ file: join(dir, 'sessions.db'), log: quietLog, clock: { now: () => 0, after: () => () => {} } })
    await store.start()
    const world = new World(store, await Receiver.open(context), options)
    context.after(async () => {
      await world.webhooks.drain(0)
      await store.stop()
      await rm(dir, { recursive: true })
    })
    world.webhooks.start(SECRET)
    return world
  }

  /** Another engine over the same store, as after a restart; not started. */
  make(): Webhooks {
    const { settle: around = (settle) => settle, guard } = this.#options
    const settle = around((settlements) => this.store.webhooks.settle(settlements))
    const outbound = new GuardedClient({ clock: this.clock, allowNetworks: ['127.0.0.0/8'], isHttpsOnly: true, ...guard })
    return new Webhooks({
      store: {
        ...this.store.webhooks,
        settle: async (settlements) => {
          const notices = await settle(settlements)
          this.settled += settlements.length
          for (const watch of this.#watchers) watch()
          return notices
        },
      },
      outbound,
      clock: this.clock,
      log: quietLog,
      metrics: this.#options.metrics ?? noMetrics,
      tracer: noTracer,
      random: () => 0.5,
      version: '1.2.3',
    })
  }

  async webhook(change: Partial<WebhookRequest> = {}): Promise<{ readonly id: WebhookId; readonly secret: string }> {
    const made = {
      tenant: 'default',
      url: this.receiver.url,
      description: null,
      events: ['*'],
      ordering: 'none',
      maxPerSecond: null,
    } as const
    const given = { ...made, secret: null, hasKeyPair: false, ...change }
    const { record, secret } = await this.webhooks.create(given)
    return { id: record.id, secret }
  }

  emit(n: number): Promise<void> {
    return this.store.webhooks.emit({ tenant: 'default', type: 'agent.registered', data: { n }, now: this.clock.now() })
  }

  /** Resolves when so many attempts were written down since the beginning. */
  until(count: number): Promise<void> {
    if (this.settled >= count) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const watch = (): void => {
        if (this.settled < count) return
        clearTimeout(bound)
        this.#watchers.delete(watch)
        resolve()
      }
      const bound = setTimeout(() => {
        this.#watchers.delete(watch)
        reject(new Error(`${this.settled} of ${count} attempts were written down`))
      }, WAIT_LIMIT_MS)
      this.#watchers.add(watch)
    })
  }

  /** Resolves when nothing is due or on its way: only then may time go on without cutting something off. */
  async quiet(): Promise<void> {
    for (;;) {
      const seen = this.settled
      const { deliveries } = await this.store.webhooks.due(this.clock.now(), [], 1_000)
      if (deliveries.length === 0) return
      await this.until(seen + 1)
    }
  }

  /** The newest delivery of a webhook, with its attempts. */
  async last(webhook: WebhookId): Promise<{ readonly delivery: WebhookDelivery; readonly attempts: readonly WebhookAttempt[] }> {
    const [newest] = await this.store.webhooks.deliveries({ tenant: 'default', webhook }, null, 1)
    const found = newest === undefined ? null : await this.store.webhooks.delivery('default', newest.id)
    if (found === null) throw new Error('there is no delivery')
    return found
  }
}
