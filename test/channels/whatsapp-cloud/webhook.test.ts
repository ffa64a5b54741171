import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { newDeliveryId, newMessageId } from '#contract'
import type { Channel, Part } from '#contract'
import { whatsappCloud } from '../../../channels/whatsapp-cloud/whatsapp-cloud.ts'
import { ACCESS_TOKEN, APP_SECRET, PHONE_NUMBER_ID, WhatsAppCloudServer, seconds } from '../../fakes/whatsapp-cloud.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { RouteServer } from '../../support/route-server.ts'

interface Bench {
  readonly fake: WhatsAppCloudServer
  readonly host: MemoryHost
  readonly channel: Channel
  readonly url: string
  readonly post: (body: string, signature?: string) => Promise<Response>
}

async function started(context: TestContext): Promise<Bench> {
  const fake = await WhatsAppCloudServer.open()
  const host = new MemoryHost('wa')
  const channel = whatsappCloud.create('wa', {
    access_token: ACCESS_TOKEN,
    phone_number_id: PHONE_NUMBER_ID,
    app_secret: APP_SECRET,
    verify_token: 'words',
    api_url: fake.url,
    api_version: 'v25.0',
  })
  await channel.start(host, new AbortController().signal)
  const server = await RouteServer.open(channel)
  context.after(async () => {
    await channel.stop()
    await server.close()
    await fake.close()
  })
  const url = `http://${server.origin}/v1/channels/wa/webhook`
  const post = (body: string, signature = fake.sign(body)): Promise<Response> =>
    fetch(url, { method: 'POST', body, headers: { 'x-hub-signature-256': signature } })
  return { fake, host, channel, url, post }
}

const notification = (value: object, numberId = PHONE_NUMBER_ID): string =>
  JSON.stringify({
    object: 'whatsapp_business_account',
    entry: [{ id: '1', changes: [{ field: 'messages', value: { metadata: { phone_number_id: numberId }, ...value } }] }],
  })
const text = (id: string, body = 'hello'): object => ({ from: '15550001111', id, timestamp: seconds(), type: 'text', text: { body } })
const part = (over: Partial<Part> = {}): Part => ({
  id: newDeliveryId(1),
  seq: 1,
  messageId: newMessageId(1),
  lane: '15550001111',
  to: { chat: '15550001111' },
  rendered: { text: 'hi' },
  index: 0,
  of: 1,
  attempt: 1,
  ...over,
})
const signal = AbortSignal.timeout(20_000)

test("answers Meta's check of the webhook with the challenge, and nobody without the token", async (context) => {
  const { url } = await started(context)
  const good = await fetch(`${url}?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=words`)
  assert.deepEqual([good.status, await good.text()], [200, '1158201444'])
  assert.equal((await fetch(`${url}?hub.mode=subscribe&hub.challenge=1&hub.verify_token=word`)).status, 403)
})

test('takes nothing that is not signed over its very bytes', async (context) => {
  const { fake, host, post } = await started(context)
  const body = notification({ messages: [text('wamid.1')] })
  assert.equal((await post(body, fake.sign(`${body} `))).status, 403)
  assert.equal((await post(body, '')).status, 403)
  assert.equal((await post(body, fake.sign(body).toUpperCase())).status, 403)
  assert.equal(host.handed.length, 0)
  assert.equal((await post(body)).status, 200)
  assert.equal(host.handed.length, 1)
})

test('hands in all messages of a request together, and answers none if they cannot be stored', async (context) => {
  const { host, post } = await started(context)
  const body = notification({ messages: [text('wamid.1', 'one'), text('wamid.2', 'two')] })
  host.failure = new Error('locked')
  assert.equal((await post(body)).status >= 500, true)
  host.failure = null
  assert.equal((await post(body)).status, 200)
  assert.deepEqual(
    host.handed.slice(2).map(({ key, payload, lane }) => [key, payload, lane]),
    [
      ['wamid.1', { text: 'one' }, '15550001111'],
      ['wamid.2', { text: 'two' }, '15550001111'],
    ],
  )
})

test('passes over what is meant for another number of the same app', async (context) => {
  const { host, post } = await started(context)
  assert.equal((await post(notification({ messages: [text('wamid.1')] }, '999'))).status, 200)
  assert.equal(host.handed.length, 0)
})

test('reads captions, buttons, reactions and what it does not know', async (context) => {
  const { host, post } = await started(context)
  const base = { from: '15550001111', timestamp: '1700000000' }
  const messages = [
    { ...base, id: 'a', type: 'image', image: { id: '123', mime_type: 'image/jpeg', caption: 'look' } },
    { ...base, id: 'b', type: 'interactive', interactive: { type: 'button_reply', button_reply: { id: 'x', title: 'Yes' } } },
    { ...base, id: 'c', type: 'reaction', reaction: { message_id: 'wamid.9', emoji: '👍' } },
    { ...base, id: 'd', type: 'hologram' },
  ]
  await post(notification({ messages }))
  const [image, button, reaction, unknown] = host.handed
  assert.deepEqual([image?.payload, image?.metadata.media], [{ text: 'look' }, [{ id: '123', media_type: 'image/jpeg' }]])
  assert.deepEqual(button?.payload, { text: 'Yes' })
  assert.deepEqual([reaction?.event, reaction?.metadata.of, reaction?.payload], ['reaction', 'wamid.9', { text: '👍' }])
  assert.equal(unknown?.dead?.code, 'WHATSAPP_CLOUD_UNREADABLE')
})

test('tells what WhatsApp says later of a message that was sent', async (context) => {
  const { host, post } = await started(context)
  const statuses = [
    { id: 'wamid.1', status: 'read', timestamp: '1', recipient_id: '1' },
    { id: 'wamid.2', status: 'failed', errors: [{ code: 131_026, title: 'Message undeliverable' }] },
  ]
  await post(notification({ statuses }))
  assert.deepEqual(
    host.news.map(({ platformId, news }) => [platformId, news.state]),
    [
      ['wamid.1', 'read'],
      ['wamid.2', 'failed'],
    ],
  )
})

test('sends a template where one was posted, and says when free text is too late', async (context) => {
  const { fake, channel } = await started(context)
  const template = { name: 'order_ready', language: { code: 'en_US' } }
  await channel.send(part({ rendered: { text: '', extra: { template } } }), signal)
  assert.deepEqual([fake.sent[0]?.body['type'], fake.sent[0]?.body['template']], ['template', template])
  fake.mishaps.push({ kind: 'error', status: 400, code: 131_047 })
  await assert.rejects(channel.send(part(), signal), { code: 'WHATSAPP_CLOUD_WINDOW', fault: { is: 'window' } })
  fake.mishaps.push({ kind: 'error', status: 429, code: 130_429, retryAfter: 7 })
  await assert.rejects(channel.send(part(), signal), { fault: { is: 'rate', afterMs: 7_000, scope: 'account' } })
})

test('confirms a send whose answer was lost by the status that names it, also after a restart', async (context) => {
  const { fake, host, channel, post } = await started(context)
  fake.tellsStatus = false
  fake.mishaps.push({ kind: 'lost' })
  const lost = part()
  await assert.rejects(channel.send(lost, signal), { fault: { is: 'transient', maybeSent: true } })
  await assert.rejects(async () => channel.confirm?.(lost, signal), { fault: { is: 'transient', maybeSent: true } })
  const id = fake.sent[0]?.id ?? ''
  await post(notification({ statuses: [{ id, status: 'sent', biz_opaque_callback_data: lost.id }] }))
  assert.deepEqual(await channel.confirm?.(lost, signal), { outcome: 'sent', id })
  const next = whatsappCloud.create('wa', {
    access_token: ACCESS_TOKEN,
    phone_number_id: PHONE_NUMBER_ID,
    app_secret: APP_SECRET,
    verify_token: 'words',
    api_url: fake.url,
    api_version: 'v25.0',
  })
  await next.start(host, new AbortController().signal)
  assert.deepEqual(await next.confirm?.(lost, signal), { outcome: 'sent', id })
  await next.stop()
})

test('shows that an answer is thought about, and fetches media by its id', async (context) => {
  const { fake, channel } = await started(context)
  await channel.typing?.({ chat: '15550001111', correlation: 'wamid.7' }, true)
  assert.deepEqual(fake.typing, ['wamid.7'])
  fake.files.set('55', { type: 'image/png', bytes: Buffer.from('picture') })
  const media = await channel.media?.({ id: '55', media_type: 'image/png' }, signal)
  assert.equal(Buffer.from(media?.bytes ?? []).toString(), 'picture')
})

test('stops with a reason where the token is refused', async (context) => {
  const fake = await WhatsAppCloudServer.open()
  context.after(() => fake.close())
  fake.isTokenValid = false
  const channel = whatsappCloud.create('wa', {
    access_token: 'x',
    phone_number_id: PHONE_NUMBER_ID,
    app_secret: 's',
    verify_token: 'v',
    api_url: fake.url,
    api_version: 'v25.0',
  })
  await assert.rejects(channel.start(new MemoryHost('wa'), signal), { code: 'WHATSAPP_CLOUD_AUTH', fault: { is: 'auth' } })
  assert.equal(fake.refused, 1)
})
