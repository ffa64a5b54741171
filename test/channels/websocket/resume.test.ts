/** Resuming: whatever is cut and whenever, each reply reaches the client once and in its order. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { DEFAULT_TENANT, asMessageId } from '#contract'
import type { Channel, JsonObject, MessageId, ReplyView } from '#contract'
import { websocket } from '../../../channels/websocket/websocket.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { seededRandom } from '../../support/random.ts'
import { RouteServer } from '../../support/route-server.ts'
import { SocketClient } from '../../support/socket-client.ts'

let host: MemoryHost
let channel: Channel
let server: RouteServer

beforeEach(async () => {
  host = new MemoryHost('ws')
  channel = websocket.create('ws', {})
  server = await RouteServer.open(channel)
  await channel.start(host, new AbortController().signal)
})
afterEach(async () => {
  await channel.stop()
  await server.close()
  assert.equal(host.feed.listeners, 0)
})

const LANE = 'admin/main'
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const seqs = (frames: readonly JsonObject[]): readonly unknown[] => frames.map((frame) => frame['seq'])
const upTo = (count: number, first = 1): readonly number[] => Array.from({ length: count }, (_, index) => first + index)
const reply = (text = 'x'): ReplyView => {
  const stored = host.store(LANE, text)
  host.announce(LANE, stored)
  return stored
}

void test('replays all pages after "since", says where it stands, then goes on live', async () => {
  for (let index = 0; index < 120; index++) host.store(LANE, `r${index}`)
  const client = await SocketClient.open(server.origin)
  client.send({ type: 'subscribe', since: 10 })
  assert.deepEqual(await client.next('subscribed'), { type: 'subscribed', conversation: 'main', last_seq: 120 })
  reply()
  assert.equal((await client.next('reply'))['seq'], 121)
  assert.deepEqual(seqs(client.of('reply')), upTo(111, 11))
})

void test('without "since" tells only what comes', async () => {
  host.store(LANE, 'before')
  const client = await SocketClient.open(server.origin)
  client.send({ type: 'subscribe' })
  assert.deepEqual(await client.next('subscribed'), { type: 'subscribed', conversation: 'main', last_seq: 0 })
  reply()
  assert.equal((await client.next('reply'))['seq'], 2)
  client.send({ type: 'subscribe', since: 0 })
  assert.equal((await client.next('subscribed'))['last_seq'], 2)
  assert.deepEqual(seqs(client.of('reply')), [2, 1, 2])
})

void test('holds live frames back during a replay, in their order, and drops what the replay brought', async () => {
  const client = await SocketClient.open(server.origin)
  const late = [host.store(LANE, 'a'), host.store(LANE, 'b')]
  client.send({ type: 'subscribe', since: 0 })
  while (host.pages === 0) await tick()
  for (const stored of late) host.announce(LANE, stored)
  host.feed.emit({
    type: 'delta',
    tenant: DEFAULT_TENANT,
    messageId: asMessageId('msg-1'),
    channel: 'ws',
    lane: LANE,
    session: null,
    agent: null,
    text: 'live',
  })
  reply('c')
  const { last_seq } = await client.next('subscribed')
  client.send({ type: 'ping' })
  await client.next('pong')
  assert.deepEqual(seqs(client.of('reply')), [1, 2, 3])
  const kinds = client.frames.map(({ type }) => type)
  assert.ok(kinds.indexOf('delta') > kinds.indexOf('subscribed'))
  assert.ok(last_seq === 2 || last_seq === 3)
})

void test('tells no text of a reply that the replay brought whole, whenever the feed told it', async () => {
  const client = await SocketClient.open(server.origin)
  const delta = (messageId: MessageId): void =>
    host.feed.emit({
      type: 'delta',
      tenant: DEFAULT_TENANT,
      messageId,
      channel: 'ws',
      lane: LANE,
      session: null,
      agent: null,
      text: 'live',
    })
  const stored = host.store(LANE, 'whole')
  const other = asMessageId('msg-other')
  client.send({ type: 'subscribe', since: 0 })
  // What was said before the reply was stored reaches us while the store is being read.
  while (host.pages === 0) await tick()
  delta(stored.messageId)
  delta(other)
  host.announce(LANE, stored)
  await client.next('subscribed')
  client.send({ type: 'ping' })
  await client.next('pong')
  assert.deepEqual(seqs(client.of('reply')), [1])
  assert.deepEqual(
    client.of('delta').map((frame) => frame['message_id']),
    [other],
  )
})

void test('looks into the store again when more came live than it can hold back', async () => {
  for (const [count, text] of [
    [1_500, 'x'],
    [5, 'x'.repeat(100_000)],
  ] as const) {
    const client = await SocketClient.open(server.origin)
    const since = host.store(LANE, 'known').seq
    const read = host.replies.bind(host)
    host.replies = async (lane, afterSeq, limit) => {
      const page = await read(lane, afterSeq, limit)
      if (page.length > 0) return page
      // What comes now is behind what was read.
      host.replies = read
      for (let index = 0; index < count; index++) reply(text)
      return page
    }
    client.send({ type: 'subscribe', since })
    assert.equal((await client.next('subscribed'))['last_seq'], since + count)
    assert.deepEqual(seqs(client.of('reply')), upTo(count, since + 1))
    await client.close()
  }
})

void test('does not call a reader slow because a replay is long', async () => {
  for (let index = 0; index < 100; index++) host.store(LANE, 'x'.repeat(100_000))
  const client = await SocketClient.open(server.origin)
  client.send({ type: 'subscribe', since: 0 })
  client.socket.pause()
  const pages = host.pages
  for (let turn = 0; turn < 200; turn++) await tick()
  assert.ok(host.pages - pages <= 2)
  client.socket.resume()
  await client.next('subscribed')
  assert.deepEqual(seqs(client.of('reply')), upTo(100))
})

void test('keeps nothing back for a client who remembers another store', async () => {
  const client = await SocketClient.open(server.origin)
  client.send({ type: 'subscribe', since: 500 })
  assert.equal((await client.next('subscribed'))['last_seq'], 0)
  reply()
  assert.equal((await client.next('reply'))['seq'], 1)
})

void test('drops what the feed tells late, after a resume', async () => {
  const known = host.store(LANE, 'x')
  const first = await SocketClient.open(server.origin)
  first.send({ type: 'subscribe', since: 0 })
  await first.next('subscribed')
  await first.close()
  const second = await SocketClient.open(server.origin)
  second.send({ type: 'subscribe', since: 1 })
  assert.equal((await second.next('subscribed'))['last_seq'], 1)
  host.announce(LANE, known)
  reply()
  assert.equal((await second.next('reply'))['seq'], 2)
})

void test('closes 1013 if the store cannot be read, so that nothing is missed', async () => {
  const client = await SocketClient.open(server.origin)
  host.replies = () => Promise.reject(new Error('locked'))
  client.send({ type: 'subscribe', since: 0 })
  assert.equal(await client.closed, 1013)
})

void test('brings each reply once and in order through sixty cuts at random points', async () => {
  const random = seededRandom(20_261_121)
  const total = 3_000
  const got: { [conversation: string]: number[] } = { main: [], side: [] }
  const stored: { [conversation: string]: number[] } = { main: [], side: [] }

  // Replies come in bursts; the feed tells each lane's in order, but up to some turns of the loop after they were stored.
  const stream = (async () => {
    const untold: { lane: string; view: ReplyView }[] = []
    for (let made = 0; made < total || untold.length > 0;) {
      for (let burst = Math.floor(random() * 6); burst > 0 && made < total; burst--, made++) {
        const name = random() < 0.7 ? 'main' : 'side'
        const view = host.store(`admin/${name}`, `${made}`)
        stored[name]?.push(view.seq)
        untold.push({ lane: `admin/${name}`, view })
      }
      for (let burst = Math.floor(random() * 8); burst > 0; burst--) {
        const next = untold.shift()
        if (next !== undefined) host.announce(next.lane, next.view)
      }
      await tick()
    }
  })()

  let cuts = 0
  const count = (): number => (got['main']?.length ?? 0) + (got['side']?.length ?? 0)
  while (cuts < 60 || count() < total) {
    const client = await SocketClient.open(server.origin)
    for (const [conversation, seen] of Object.entries(got)) client.send({ type: 'subscribe', conversation, since: seen.at(-1) ?? 0 })
    for (let turns = Math.floor(random() * 60); turns > 0; turns--) await tick()
    client.socket.terminate()
    for (const { conversation, seq } of client.of('reply')) if (typeof conversation === 'string') got[conversation]?.push(Number(seq))
    cuts++
    assert.ok(cuts < 2_000, 'it gets nowhere')
  }
  await stream
  assert.deepEqual(got, stored)
})
