/** What a message of a queue becomes: payload, names, key, address. And settings that contradict each other. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ConsumeMessage, MessageProperties } from 'amqplib'
import { ChannelFault } from '#contract'
import type { Inbound, JsonObject } from '#contract'
import { inboundOf } from '../../../channels/amqp/inbound.ts'
import { readSettings } from '../../../channels/amqp/settings.ts'

const NOW = 1_800_000_000_000
const BASE = { url: 'amqp://127.0.0.1', queue: 'tasks' }

const NOTHING: MessageProperties = {
  contentType: undefined,
  contentEncoding: undefined,
  headers: undefined,
  deliveryMode: undefined,
  priority: undefined,
  correlationId: undefined,
  replyTo: undefined,
  expiration: undefined,
  messageId: undefined,
  timestamp: undefined,
  type: undefined,
  userId: undefined,
  appId: undefined,
  clusterId: undefined,
}

interface Given extends Partial<MessageProperties> {
  readonly body?: string | Buffer
  readonly routingKey?: string
  readonly settings?: JsonObject
}

function read({ body = 'hello', routingKey = 'tasks', settings = {}, ...properties }: Given): Inbound {
  const message: ConsumeMessage = {
    content: Buffer.from(body),
    fields: { consumerTag: 'c', deliveryTag: 1, redelivered: false, exchange: '', routingKey },
    properties: { ...NOTHING, ...properties },
  }
  return inboundOf(message, { settings: readSettings({ ...BASE, ...settings }), origin: 'us', now: NOW })
}

describe('the body', () => {
  const cases: readonly (readonly [name: string, given: Given, payload: unknown])[] = [
    ['text', { body: 'hé' }, { text: 'hé' }],
    ['text that begins like JSON', { body: '{not json' }, { text: '{not json' }],
    ['JSON that says it is text', { body: '{"a":1}', contentType: 'text/plain' }, { text: '{"a":1}' }],
    ['JSON without a type', { body: ' {"a":1}' }, { json: { a: 1 } }],
    ['JSON of a vendor', { body: '[1]', contentType: 'application/vnd.shop+json; charset=utf-8' }, { json: [1] }],
    ['JSON text', { body: '"hi"', contentType: 'application/json' }, { text: 'hi' }],
    ['JSON null', { body: 'null', contentType: 'application/json' }, { json: null }],
    ['a publish form', { body: '{"channel_id":"shop","payload":"hi"}' }, { text: 'hi' }],
    ['the short publish form', { body: '{"channel":"shop","content":"hi"}' }, { text: 'hi' }],
    ['other JSON with a member of that name', { body: '{"content":"hi","author":"me"}' }, { json: { content: 'hi', author: 'me' } }],
    ['bytes', { body: Buffer.from([0xff, 0xfe]) }, { binary: '//4=', media_type: 'application/octet-stream' }],
    ['an image', { body: 'x', contentType: 'image/png' }, { binary: 'eA==', media_type: 'image/png' }],
    ['a type that is none', { body: 'x', contentType: 'whatever' }, { binary: 'eA==', media_type: 'application/octet-stream' }],
    [
      'what is compressed',
      { body: 'x', contentType: 'application/json', contentEncoding: 'gzip' },
      { binary: 'eA==', media_type: 'application/octet-stream' },
    ],
    ['a character set in the wrong place', { body: 'x', contentType: 'text/plain', contentEncoding: 'utf-8' }, { text: 'x' }],
  ]
  for (const [name, given, payload] of cases)
    test(name, () => {
      const inbound = read(given)
      assert.deepEqual(inbound.payload, payload)
      assert.equal(inbound.dead, undefined)
    })

  const dead: readonly (readonly [name: string, given: Given, code: string])[] = [
    ['nothing', { body: '' }, 'MESSAGE_EMPTY'],
    ['more than is allowed', { body: 'x'.repeat(11), settings: { max_bytes: 10 } }, 'MESSAGE_TOO_LARGE'],
    ['what says it is JSON and is not', { body: '{"a":', contentType: 'application/json' }, 'MESSAGE_UNREADABLE'],
    ['what says it is JSON and is not UTF-8', { body: Buffer.from([0xff]), contentType: 'application/json' }, 'MESSAGE_UNREADABLE'],
    ['what is nested beyond bounds', { body: `${'['.repeat(40)}${']'.repeat(40)}`, contentType: 'application/json' }, 'MESSAGE_UNREADABLE'],
    ['what poisons', { body: '{"__proto__":{"a":1}}', contentType: 'application/json' }, 'MESSAGE_UNREADABLE'],
  ]
  for (const [name, given, code] of dead) test(`${name} is a dead letter`, () => assert.equal(read(given).dead?.code, code))

  test('what cannot be read keeps its bytes, and they stand in no error', () => {
    const { payload, dead } = read({ body: '{"secret', contentType: 'application/json' })
    assert.deepEqual(payload, { binary: Buffer.from('{"secret').toString('base64'), media_type: 'application/json' })
    assert.ok(!dead?.message.includes('secret'), dead?.message)
  })
})

describe('who and where', () => {
  test('a bare message is of its routing key', () => {
    assert.deepEqual(read({ routingKey: 'order.eu.created' }), {
      key: null,
      fingerprint: null,
      lane: 'topic:order.eu.created',
      account: 'tasks',
      peer: { kind: 'direct', id: 'topic:order.eu.created', thread: null },
      sender: 'tasks',
      author: 'person',
      at: NOW,
      payload: { text: 'hello' },
      metadata: { topic: 'order.eu.created', headers: {} },
      agent: null,
      reply: { chat: '' },
    })
  })

  test('session, header, user and property name the conversation, in this order', () => {
    const lanes = (given: Given): readonly string[] => {
      const { lane, sender } = read(given)
      return [lane, sender]
    }
    const all = { headers: { 'x-session-id': 's', 'X-Lane': 'l', 'x-user-id': 'u' }, userId: 'p', appId: 'shop' }
    assert.deepEqual(lanes(all), ['s', 'u'])
    assert.deepEqual(lanes({ ...all, headers: { 'X-Lane': 'l', 'x-user-id': 'u' } }), ['l', 'u'])
    assert.deepEqual(lanes({ ...all, headers: { 'x-user-id': 'u' } }), ['u', 'u'])
    assert.deepEqual(lanes({ ...all, headers: {} }), ['p', 'p'])
    assert.deepEqual(lanes({ appId: 'shop' }), ['topic:tasks', 'shop'])
    assert.deepEqual(lanes({ ...all, body: '{"payload":"x","metadata":{"session_id":"b"},"sender_id":"c"}' }), ['b', 'c'])
  })

  test('a header cannot pass for what the broker vouches for', () => {
    const { metadata } = read({
      headers: { 'user-id': 'root', 'User-Id': 'root' },
      userId: 'ann',
      body: '{"payload":"x","metadata":{"headers":{"user-id":"root"}}}',
    })
    assert.equal(metadata.headers?.['user-id'], 'ann')
  })

  test('headers that would poison are left out, however they are written', () => {
    const table: { readonly [name: string]: unknown } = JSON.parse('{"__proto__":"a","__PROTO__":"b","Constructor":"c","fine":"d"}')
    const { headers = {} } = read({ headers: table }).metadata
    assert.deepEqual(Object.entries(headers), [['fine', 'd']])
    assert.equal(Object.getPrototypeOf(headers), Object.prototype)
  })

  test('headers that are no text come as JSON', () => {
    const death = [{ reason: 'delivery_limit', count: 4, queue: 'tasks', 'routing-keys': ['tasks'] }]
    const { metadata } = read({ headers: { 'x-death': death, 'x-delivery-count': 3, raw: Buffer.from('b'), none: null } as never })
    assert.deepEqual(metadata.headers, { 'x-death': JSON.stringify(death), 'x-delivery-count': '3', raw: '"b"', none: 'null' })
  })

  test('the trace, the label and the time are taken over', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const { metadata, at } = read({ headers: { traceparent, 'X-Channel-ID': 'shop' }, timestamp: 1_700_000_000 })
    assert.deepEqual([metadata.traceparent, metadata.channel_id, at], [traceparent, 'shop', 1_700_000_000_000])
    assert.equal(read({ timestamp: 1_700_000_000_123 }).at, 1_700_000_000_123)
    assert.equal(read({ timestamp: -1 }).at, NOW)
  })

  test('what we sent ourselves is known, and what another gateway sent', () => {
    assert.equal(read({ headers: { 'x-openclaw-delivery': 'dlv-1', 'x-openclaw-origin': 'us' } }).author, 'self')
    assert.equal(read({ headers: { 'x-openclaw-delivery': 'dlv-1', 'x-openclaw-origin': 'them' } }).author, 'bot')
  })
})

describe('key and reply', () => {
  test('the key is the message id in the names of queue, user and application', () => {
    const { key, fingerprint } = read({ messageId: 'a:1', userId: 'ann', appId: 'shop' })
    assert.equal(key, 'tasks:ann:shop:a%3A1')
    assert.notEqual(fingerprint, null)
    assert.notEqual(read({ messageId: 'a:1', body: 'other' }).fingerprint, fingerprint)
    assert.equal(read({ body: '{"payload":"x","idempotency_key":"k"}', messageId: 'm' }).key, 'tasks:::k')
  })

  test('the address is what the message asks for, untouched', () => {
    assert.deepEqual(read({ replyTo: 'q', correlationId: 'c', messageId: 'm', expiration: '1500' }).reply, {
      chat: 'q',
      correlation: 'c',
      expiresAt: NOW + 1_500,
    })
    assert.deepEqual(read({ replyTo: 'q', messageId: 'm', expiration: 'soon' }).reply, { chat: 'q', correlation: 'm' })
  })
})

describe('the settings', () => {
  const refused = (given: JsonObject): boolean => {
    try {
      readSettings({ ...BASE, ...given })
      return false
    } catch (error) {
      return error instanceof ChannelFault && error.fault.is === 'config'
    }
  }
  test('a quorum queue is durable, and headers need their exchange', () => {
    assert.equal(refused({ durable: false, queue_type: 'quorum' }), true)
    assert.equal(refused({ headers: { a: 1 } }), true)
    assert.equal(refused({ headers: { a: 1 }, exchange: 'x', exchange_type: 'headers' }), false)
    assert.equal(refused({ durable: false }), false)
  })

  test('patterns of reply queues take `*` and nothing else as special', () => {
    const { mayReplyTo } = readSettings({ ...BASE, reply_allow: ['to.*', 'exactly'] })
    assert.deepEqual(['to.ann', 'toXann', 'exactly', 'exactly.not'].map(mayReplyTo), [true, false, true, false])
    const standard = readSettings(BASE).mayReplyTo
    assert.deepEqual(['amq.rabbitmq.reply-to.abc', 'amq.gen-abc', 'tasks', 'amq.rabbitmq.log'].map(standard), [true, true, false, false])
  })
})
