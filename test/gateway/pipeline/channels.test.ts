import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_TENANT } from '#contract'
import type { Channel, ChannelHost, FlowEvent, Inbound, LinkStep } from '#contract'
import { defaultPolicy } from '../../../gateway/config/access.ts'
import { GuardedClient } from '../../../gateway/guarded/client.ts'
import { mediaFetch } from '../../../gateway/guarded/fetch.ts'
import { Registry } from '../../../gateway/observe/metrics.ts'
import { Channels } from '../../../gateway/pipeline/channels.ts'
import { Feed } from '../../../gateway/pipeline/feed.ts'
import { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { inbound } from '../../support/hub.ts'
import { inThisThread } from '../../support/in-this-thread.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { realClock } from '../../support/real-clock.ts'

class Wire implements Channel {
  readonly calls: string[] = []
  host: ChannelHost | null = null
  readonly capabilities: Channel['capabilities'] = {
    delivery: 'push',
    resend: 'id',
    text: { max: 100, unit: 'utf16', dialect: null },
    strangers: false,
    typingMs: null,
    threads: false,
    groups: false,
    media: false,
  }
  async start(host: ChannelHost): Promise<void> {
    this.calls.push('start')
    this.host = host
  }
  async stop(): Promise<void> {
    this.calls.push('stop')
  }
  async send(): Promise<{ id: null }> {
    return { id: null }
  }
  pause(): void {
    this.calls.push('pause')
  }
  resume(): void {
    this.calls.push('resume')
  }
  hostNow(): ChannelHost {
    return this.host ?? assert.fail('not started')
  }
}

/** Linked by a code that is scanned when the test says so. */
class Phone extends Wire {
  scanned: PromiseWithResolvers<void> = Promise.withResolvers<void>()
  async *link(_: unknown, signal: AbortSignal): AsyncGenerator<LinkStep> {
    signal.addEventListener('abort', () => this.scanned.resolve())
    yield { show: 'qr', data: 'x' }
    await this.scanned.promise
    if (!signal.aborted) yield { show: 'done', as: '+49' }
  }
}

interface World {
  readonly channels: Channels
  readonly wire: Wire
  readonly phone: Phone
  readonly clock: FakeClock
  readonly metrics: Registry
  readonly events: FlowEvent[]
  readonly accepted: Inbound[]
}

async function withChannels(dir: string, run: (world: World) => Promise<void>): Promise<void> {
  const clock = new FakeClock(1_000_000)
  const store = new SqliteStore({ file: join(dir, 'sessions.db'), log: quietLog, clock, startSide: inThisThread })
  await store.start()
  const feed = new Feed()
  const events: FlowEvent[] = []
  feed.onTenant(DEFAULT_TENANT, (event) => events.push(event))
  const metrics = new Registry()
  const accepted: Inbound[] = []
  const [wire, phone] = [new Wire(), new Phone()]
  const channels = new Channels(
    {
      store,
      clock,
      feed,
      metrics,
      log: quietLog,
      random: () => 1,
      onLine: () => undefined,
      fetch: mediaFetch(new GuardedClient({ clock: realClock })),
      redact: (text) => text.replaceAll('hunter22', '***'),
      document: async () => null,
      cancel: async () => undefined,
      abilities: () => null,
      schemas: { fault: async () => null, check: async () => [] },
      update: async () => undefined,
      accept: async (_, message) => {
        accepted.push(message)
        return { status: 'refused', reason: message.sender === 'eve' ? 'stranger' : 'self' }
      },
      acceptAll: async (channel, messages) =>
        messages.map((message) => {
          accepted.push(message)
          const { sender, at, payload, metadata } = message
          const id = 'msg-1' as never
          return {
            status: 'new',
            envelope: { version: 1, id, channel, sender_id: sender, timestamp: at, payload, metadata, session: null },
          }
        }),
      onDelivery: () => undefined,
      onOpen: () => undefined,
    },
    [
      { name: 'wire', kind: 'wire', tenant: DEFAULT_TENANT, channel: wire, access: defaultPolicy },
      { name: 'phone', kind: 'phone', tenant: DEFAULT_TENANT, channel: phone, access: defaultPolicy },
    ],
  )
  await channels.start()
  await new Promise(setImmediate)
  try {
    await run({ channels, wire, phone, clock, metrics, events, accepted })
  } finally {
    await channels.stop()
    await store.stop()
  }
}

function withFolder(run: (dir: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const dir = await mkdtemp(join(tmpdir(), 'openclaw-channels-'))
    try {
      await run(dir)
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  }
}

const view = ({ channels }: World, name: string): ReturnType<Channels['list']>[number] =>
  channels.list().find((each) => each.name === name) ?? assert.fail(name)

test(
  'a paused channel is paused after a restart too, and nothing comes in by it before it has heard of that',
  withFolder(async (dir) => {
    await withChannels(dir, async (world) => {
      const { channels, wire, events } = world
      await channels.setPaused('wire', true)
      assert.deepEqual(wire.calls, ['start', 'pause'])
      assert.equal(view(world, 'wire').isPaused, true)
      const last = events.at(-1)
      assert.deepEqual(last?.type === 'event' && last.data, { channel: 'wire', state: 'open', reason: null, paused: true })
      await wire.hostNow().accept(inbound('on its way already'))
    })
    await withChannels(dir, async (world) => {
      const { channels, wire, phone, accepted } = world
      assert.deepEqual([wire.calls, phone.calls], [['start', 'pause'], ['start']])
      await assert.rejects(wire.hostNow().accept(inbound('early')), { name: 'UnavailableError', code: 'CHANNEL_CLOSED' })
      await assert.rejects(wire.hostNow().acceptAll([inbound('early')]), { code: 'CHANNEL_CLOSED' })
      assert.deepEqual(accepted, [])
      await channels.setPaused('wire', false)
      assert.equal(wire.calls.at(-1), 'resume')
      await wire.hostNow().accept(inbound('now'))
      assert.equal(accepted.length, 1)
    })
    await withChannels(dir, async (world) => {
      assert.deepEqual(world.wire.calls, ['start'])
      assert.equal(view(world, 'wire').isPaused, false)
      await assert.rejects(world.channels.setPaused('none', true), { code: 'CHANNEL_UNKNOWN' })
    })
  }),
)

test(
  "the hub's own values are not those of a channel",
  withFolder((dir) =>
    withChannels(dir, async ({ channels, wire }) => {
      await channels.setPaused('wire', true)
      assert.equal(await wire.hostNow().readState('paused/wire'), null)
    }),
  ),
)

test(
  'what was refused is no sign of life of a channel',
  withFolder((dir) =>
    withChannels(dir, async (world) => {
      const host = world.wire.hostNow()
      await host.accept(inbound('no', { sender: 'eve' }))
      assert.equal(view(world, 'wire').lastInboundAt, null)
      await host.acceptAll([inbound('yes')])
      assert.equal(view(world, 'wire').lastInboundAt, world.clock.now())
    }),
  ),
)

test(
  'a channel is linked by one at a time, and by another when that ended',
  withFolder((dir) =>
    withChannels(dir, async ({ channels, phone }) => {
      const link = (signal = new AbortController().signal): AsyncIterator<LinkStep> =>
        channels.link('phone', { phone: null }, signal)[Symbol.asyncIterator]()
      const second = link()
      const leaving = new AbortController()
      const first = link(leaving.signal)
      assert.deepEqual((await first.next()).value, { show: 'qr', data: 'x' })
      assert.throws(() => link(), { code: 'CHANNEL_LINKING' })
      await assert.rejects(second.next(), { code: 'CHANNEL_LINKING' })
      leaving.abort()
      assert.equal((await first.next()).done, true)
      phone.scanned = Promise.withResolvers()
      const third = link()
      await third.next()
      phone.scanned.resolve()
      assert.deepEqual((await third.next()).value, { show: 'done', as: '+49' })
      await third.next()
      assert.throws(() => channels.link('wire', { phone: null }, leaving.signal), { code: 'CHANNEL_NOT_LINKABLE' })
      assert.throws(() => channels.link('none', { phone: null }, leaving.signal), { code: 'CHANNEL_UNKNOWN' })
    }),
  ),
)

test(
  'linking ends with the gateway',
  withFolder(async (dir) => {
    const world = Promise.withResolvers<AsyncIterator<LinkStep>>()
    await withChannels(dir, async ({ channels }) => {
      const steps = channels.link('phone', { phone: null }, new AbortController().signal)[Symbol.asyncIterator]()
      await steps.next()
      world.resolve(steps)
    })
    assert.equal((await (await world.promise).next()).done, true)
  }),
)

test(
  'media of a channel that holds none, or is not there any more, is not found',
  withFolder((dir) =>
    withChannels(dir, async ({ channels }) => {
      for (const name of ['wire', 'none'])
        await assert.rejects(channels.media(name, { id: '1', media_type: 'a/b' }, new AbortController().signal), {
          code: 'MEDIA_NOT_FOUND',
        })
    }),
  ),
)

test(
  'the metrics tell state, connects, pauses and how long nothing came',
  withFolder((dir) =>
    withChannels(dir, async ({ channels, wire, phone, clock, metrics }) => {
      await wire.hostNow().acceptAll([inbound('yes')])
      await channels.setPaused('wire', true)
      clock.advance(2_500)
      phone.hostNow().status('connecting', 'lost')
      phone.hostNow().status('open')
      phone.hostNow().status('degraded', 'slow')
      const lines = (await metrics.text()).split('\n')
      for (const line of [
        'openclaw_channel_up{channel="wire"} 1',
        'openclaw_channel_up{channel="phone"} 0',
        'openclaw_channel_paused{channel="wire"} 1',
        'openclaw_channel_state{channel="phone",state="degraded"} 1',
        'openclaw_channel_state{channel="phone",state="open"} 0',
        'openclaw_channel_connects_total{channel="wire"} 1',
        'openclaw_channel_connects_total{channel="phone"} 2',
        'openclaw_channel_last_inbound_age_seconds{channel="wire"} 2.5',
      ])
        assert.ok(lines.includes(line), line)
      assert.ok(!lines.some((line) => line.startsWith('openclaw_channel_last_inbound_age_seconds{channel="phone"}')))
    }),
  ),
)

test(
  'what a channel says of its state is shown and told without known secrets',
  withFolder(async (dir) => {
    await withChannels(dir, async (world) => {
      world.wire.hostNow().status('degraded', 'Refused hunter22.')
      assert.equal(view(world, 'wire').reason, 'Refused ***.')
      assert.doesNotMatch(JSON.stringify(world.events), /hunter22/)
    })
  }),
)
