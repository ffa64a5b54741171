/** The webhook: who may post, what is answered when, and what Telegram does with anything but 2xx. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { ChannelFault, UnavailableError } from '#contract'
import type { Channel, JsonObject } from '#contract'
import { telegram } from '../../../channels/telegram/telegram.ts'
import { FakeTelegram } from '../../fakes/telegram.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { RouteServer } from '../../support/route-server.ts'
import { ANN, BOB, NEVER } from './given.ts'

const SECRET = 'a-secret-of-this-test'
const PUBLIC = 'https://gateway.example/v1/channels/tg/webhook'
let fake: FakeTelegram
let host: MemoryHost
let channel: Channel
let server: RouteServer
let url: string

beforeEach(async () => {
  fake = new FakeTelegram()
  fake.updates.webhookDelayMs = 5
  host = new MemoryHost('tg')
  channel = make({ token: fake.token, api_root: await fake.start(), mode: 'webhook', webhook_url: PUBLIC, webhook_secret: SECRET })
  server = await RouteServer.open(channel)
  url = `http://${server.origin}/v1/channels/tg/webhook`
})
afterEach(async () => {
  host.release()
  await channel.stop()
  await fake.stop()
  await server.close()
  assert.equal(host.clock.pending, 0)
})

const make = (settings: JsonObject): Channel => telegram.create('tg', settings)
const texts = (): readonly unknown[] => host.handed.map(({ payload }) => ('text' in payload ? payload.text : payload))
const confirmed = (): Promise<void> => fake.until(() => fake.updates.pending.length === 0, 'the confirmation')
const post = (body: string, secret: string | null): Promise<Response> =>
  fetch(url, { method: 'POST', body, headers: secret === null ? {} : { 'x-telegram-bot-api-secret-token': secret } })

async function start(): Promise<void> {
  await channel.start(host, NEVER)
  // What stands for the public address.
  fake.updates.webhook = { url, secret: fake.updates.webhook?.secret ?? null }
}

void test('tells Telegram its address, its secret and what it wants', async () => {
  await channel.start(host, NEVER)
  assert.deepEqual(fake.called('setWebhook')[0]?.params, {
    url: PUBLIC,
    secret_token: SECRET,
    allowed_updates: ['message', 'edited_message'],
  })
  assert.equal(fake.called('getUpdates').length, 0)
  assert.equal(host.states.at(-1), 'open')
})

void test('answers 200 after a message was accepted and not before', async () => {
  await start()
  host.hold()
  fake.say({ from: ANN, text: 'one' })
  fake.say({ from: ANN, text: 'two' })
  fake.say({ from: BOB, text: 'beside it' })
  await host.handedIn(2)
  assert.deepEqual([fake.updates.offered.length, fake.updates.pending.length], [0, 3])
  host.release()
  await confirmed()
  assert.deepEqual(new Set(texts()), new Set(['beside it', 'one', 'two']))
  assert.deepEqual(
    fake.updates.offered.map(({ status }) => status),
    [200, 200, 200],
  )
})

void test('what cannot be stored is answered 503 and comes again', async () => {
  await start()
  host.failure = new UnavailableError('locked', { code: 'STORE_LOCKED' })
  fake.say({ from: ANN, text: 'again' })
  await fake.until(() => fake.updates.offered.length === 1, 'the refusal')
  host.failure = null
  await confirmed()
  assert.deepEqual(
    fake.updates.offered.map(({ status }) => status),
    [503, 200],
  )
  assert.equal(host.handed[0]?.key, host.handed[1]?.key)
})

void test('paused it answers 503 until it is resumed', async () => {
  await start()
  channel.pause()
  fake.say({ from: ANN, text: 'meanwhile' })
  await fake.until(() => fake.updates.offered.length === 1, 'the refusal')
  assert.deepEqual([fake.updates.offered[0]?.status, host.handed.length], [503, 0])
  channel.resume()
  await confirmed()
})

void test('nobody without the secret is listened to', async () => {
  await start()
  const update = JSON.stringify({ update_id: 1, message: fake.world.make({ from: ANN, text: 'forged' }) })
  for (const secret of [null, '', 'a-secret-of-this-tesT', `${SECRET}x`]) assert.equal((await post(update, secret)).status, 403)
  assert.equal((await post('{', SECRET)).status, 400)
  assert.equal((await post('{', 'wrong')).status, 403, 'nothing of a stranger is parsed')
  assert.equal(host.handed.length, 0)
  assert.equal((await post(update, SECRET)).status, 200)
})

void test('before it is started and after it is stopped nothing is taken', async () => {
  const update = JSON.stringify({ update_id: 1, message: fake.world.make({ from: ANN, text: 'early' }) })
  assert.equal((await post(update, SECRET)).status, 503)
  await start()
  await channel.stop()
  assert.equal((await post(update, SECRET)).status, 503)
  assert.equal(host.handed.length, 0)
})

void test('stop waits for what is being stored', async () => {
  await start()
  host.hold()
  fake.say({ from: ANN, text: 'in the middle' })
  await host.handedIn(1)
  let isStopped = false
  const stopped = channel.stop().then(() => (isStopped = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isStopped, false)
  host.release()
  await stopped
})

void test('an address that Telegram refuses, or none, is a fault of the configuration', async () => {
  fake.fail('setWebhook', { do: 'refuse', code: 400, description: 'Bad Request: bad webhook: An HTTPS URL must be provided for webhook' })
  const isConfig = (error: unknown): boolean => error instanceof ChannelFault && error.fault.is === 'config'
  await assert.rejects(channel.start(host, NEVER), isConfig)
  const unset = make({ token: fake.token, api_root: fake.root, mode: 'webhook' })
  await assert.rejects(unset.start(host, NEVER), isConfig)
  await unset.stop()
})
