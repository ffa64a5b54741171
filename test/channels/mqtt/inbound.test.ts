/** What a PUBLISH becomes: payload, names, lane, key, address. Batches, settings, and what the broker's codes mean. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { IPublishPacket } from 'mqtt'
import type { ChannelFault, Inbound, JsonObject } from '#contract'
import { VersionRefused, connackFault, disconnectFault, publishFault } from '../../../channels/mqtt/broker-fault.ts'
import { batched, digestOf, inboundOf } from '../../../channels/mqtt/inbound.ts'
import { readSettings } from '../../../channels/mqtt/settings.ts'

const NOW = 1_800_000_000_000
const BASE = { url: 'mqtt://127.0.0.1', topic: 'in/#' }

type Properties = NonNullable<IPublishPacket['properties']>
interface Given extends Properties {
  readonly body?: string | Buffer
  readonly topic?: string
  readonly user?: { readonly [name: string]: string | string[] }
  readonly isRetained?: boolean
}

function packet({ body = 'hello', topic = 'in/a', user, isRetained = false, ...properties }: Given): IPublishPacket {
  const all = user === undefined ? properties : { ...properties, userProperties: user }
  return { cmd: 'publish', topic, payload: body, qos: 1, dup: false, retain: isRetained, messageId: 1, properties: all }
}

const read = (given: Given = {}, settings: JsonObject = {}): Inbound =>
  inboundOf(packet(given), { settings: readSettings({ ...BASE, ...settings }), origin: 'us', now: NOW })

/** As the parser makes it: a member of that name and no prototype. */
function poisoned(members: { readonly [name: string]: string }): { [name: string]: string } {
  const made = Object.create(null) as { [name: string]: string }
  for (const [name, value] of Object.entries(members)) made[name] = value
  made['__proto__'] = 'p'
  return made
}

describe('the body', () => {
  const cases: readonly (readonly [name: string, given: Given, payload: unknown])[] = [
    ['text', { body: 'hé' }, { text: 'hé' }],
    ['text that begins like JSON', { body: '{not json' }, { text: '{not json' }],
    ['JSON without a type', { body: ' {"a":1}' }, { json: { a: 1 } }],
    ['JSON that says it is text', { body: '{"a":1}', contentType: 'text/plain' }, { text: '{"a":1}' }],
    ['a publish form', { body: '{"channel_id":"shop","payload":"hi"}' }, { text: 'hi' }],
    ['bytes', { body: Buffer.from([0xff, 0xfe]) }, { binary: '//4=', media_type: 'application/octet-stream' }],
    ['an image', { body: 'x', contentType: 'image/png' }, { binary: 'eA==', media_type: 'image/png' }],
  ]
  for (const [name, given, payload] of cases)
    test(name, () => {
      const inbound = read(given)
      assert.deepEqual(inbound.payload, payload)
      assert.equal(inbound.dead, undefined)
    })

  const dead: readonly (readonly [name: string, given: Given, code: string])[] = [
    ['nothing', { body: '' }, 'MESSAGE_EMPTY'],
    ['more than is allowed', { body: 'x'.repeat(101) }, 'MESSAGE_TOO_LARGE'],
    ['what says it is JSON and is not', { body: '{"a":', contentType: 'application/json' }, 'MESSAGE_UNREADABLE'],
    ['what poisons', { body: '{"__proto__":{"a":1}}', contentType: 'application/json' }, 'MESSAGE_UNREADABLE'],
  ]
  for (const [name, given, code] of dead) test(`${name} is dead`, () => assert.equal(read(given, { max_bytes: 100 }).dead?.code, code))
})

describe('who and where', () => {
  test('with nothing said, all hangs on the topic', () => {
    const { key, fingerprint, lane, sender, author, reply, metadata, at } = read({ topic: 'in/a' })
    assert.deepEqual(
      { key, fingerprint, lane, sender, author, reply, at },
      { key: null, fingerprint: null, lane: 'topic:in/a', sender: 'topic:in/a', author: 'person', reply: { chat: '' }, at: NOW },
    )
    assert.deepEqual(metadata, { topic: 'in.a', mqtt_topic: 'in/a', headers: {} })
  })

  test('a session goes before a lane, that before a user, that before the topic', () => {
    const lanes = [
      { session_id: 's', lane: 'l', user_id: 'u' },
      { lane: 'l', user_id: 'u' },
      { user_id: 'u', sender: 'n' },
      { sender: 'n' },
    ]
    assert.deepEqual(
      lanes.map((user) => read({ user }).lane),
      ['s', 'l', 'u', 'n'],
    )
    assert.equal(read({ user: { lane: 'l' } }).sender, 'topic:in/a')
  })

  test('an id, else the correlation, with the topic is the key', () => {
    const correlationData = Buffer.from([0, 255])
    assert.equal(read({ user: { id: '7' }, correlationData }).key, 'in%2Fa:7')
    assert.equal(read({ correlationData }).key, 'in%2Fa:correlation:AP8=')
    // A topic with a colon and an id with one do not become each other.
    assert.notEqual(read({ topic: 'a:b', user: { id: 'c' } }).key, read({ topic: 'a', user: { id: 'b:c' } }).key)
    const [one, two] = [read({ user: { id: '7' }, body: 'x' }), read({ user: { id: '7' }, body: 'y' })]
    assert.notEqual(one.fingerprint, two.fingerprint)
  })

  test('an id that is too long or empty is none', () => {
    assert.equal(read({ user: { id: 'x'.repeat(5_000) } }).key, null)
    assert.equal(read({ user: { id: '' } }).key, null)
  })

  test('the address is the response topic, untouched, until the message expires', () => {
    const { reply } = read({ responseTopic: 'to/é', correlationData: Buffer.from([0, 255, 10]), messageExpiryInterval: 30 })
    assert.deepEqual(reply, { chat: 'to/é', correlation: 'AP8K', expiresAt: NOW + 30_000 })
  })

  test('our own, another gateway and a person are told apart', () => {
    const user = { 'openclaw-delivery': 'dlv_1' }
    assert.equal(read({ user: { ...user, 'openclaw-origin': 'us' } }).author, 'self')
    assert.equal(read({ user: { ...user, 'openclaw-origin': 'them' } }).author, 'bot')
    assert.equal(read({ user: { 'openclaw-origin': 'them' } }).author, 'person')
  })

  test('a retained message says so', () => {
    assert.equal(read({ isRetained: true }).metadata['retained'], true)
  })
})

describe('hostile words', () => {
  test('names that poison are no headers, in whatever case', () => {
    const user = poisoned({ __PROTO__: 'a', Constructor: 'b', constructor: 'c', PROTOTYPE: 'd', Fine: 'e' })
    const { headers } = read({ user }).metadata
    assert.deepEqual(Object.entries(headers ?? {}), [['fine', 'e']])
    assert.equal(Object.getPrototypeOf(headers), Object.prototype)
  })

  test('a name that comes several times is one list', () => {
    assert.deepEqual(read({ user: { Tag: ['a', 'b'] } }).metadata.headers, { tag: 'a, b' })
  })

  for (const topic of ['', '/', '//__proto__//', '__proto__', '$SYS/x', 'ünï/☃/💥', 'a b\tc', '\u{FFFD}', 'x/'.repeat(32_000)])
    test(`the topic ${JSON.stringify(topic.slice(0, 20))} is read`, () => {
      const { lane, metadata, key } = read({ topic, user: { id: '1' } })
      assert.equal(lane, `topic:${topic}`)
      assert.equal(metadata['mqtt_topic'], topic)
      assert.ok(key?.endsWith(':1'))
    })

  test('names that are no names are passed over', () => {
    const inbound = read({ user: { user_id: '', session_id: '\u0000', lane: 'x'.repeat(5_000), traceparent: 'no' } })
    assert.equal(inbound.lane, 'topic:in/a')
    assert.equal(inbound.metadata.traceparent, undefined)
  })

  test('topic and body do not run into each other in the digest', () => {
    assert.notEqual(digestOf(packet({ topic: 'a', body: 'b\nc' })), digestOf(packet({ topic: 'a\nb', body: 'c' })))
    assert.equal(digestOf(packet({ body: 'x' })), digestOf(packet({ body: Buffer.from('x') })))
  })
})

describe('a batch', () => {
  test('of none is nothing, of one is that one', () => {
    const one = read()
    assert.equal(batched([]), undefined)
    assert.equal(batched([one]), one)
  })

  test('of several is a list, and the newest says where the reply goes', () => {
    const made = batched([
      read({ user: { id: '1' }, responseTopic: 'old' }),
      read({ body: '{"n":2}', topic: 'in/b', responseTopic: 'new' }),
    ])
    assert.deepEqual(made?.payload, {
      json: {
        messages: [
          { payload: { text: 'hello' }, topic: 'in/a', timestamp: NOW },
          { payload: { json: { n: 2 } }, topic: 'in/b', timestamp: NOW },
        ],
      },
    })
    assert.deepEqual([made?.reply.chat, made?.key, made?.fingerprint], ['new', null, null])
  })
})

describe('the settings', () => {
  test('defaults', () => {
    const { topics, qos, version, receiveMaximum, clientId, replyTopic, deadTopic, batch } = readSettings(BASE)
    assert.deepEqual(
      { topics, qos, version, receiveMaximum, clientId, replyTopic, deadTopic, batch },
      { topics: ['in/#'], qos: 1, version: 5, receiveMaximum: 500, clientId: null, replyTopic: null, deadTopic: null, batch: null },
    )
  })

  test('several topics, and a batch', () => {
    const { topics, batch } = readSettings({ ...BASE, topic: ['a', '$share/g/b/#'], batch: { size: 10 } })
    assert.deepEqual([topics, batch], [['a', '$share/g/b/#'], { size: 10, waitMs: 1_000 }])
  })

  test('replies go only where it is allowed, and a star is the only sign', () => {
    const { mayReplyTo } = readSettings({ ...BASE, reply_topic: 'answers', reply_allow: ['to/*', 'a.b'] })
    const topics = ['answers', 'to/x', 'to/x/y', 'a.b', 'to', 'xto/x', 'aXb', 'answers2', 'to/+', 'to/#', 'to/\0', '']
    assert.deepEqual(topics.filter(mayReplyTo), ['answers', 'to/x', 'to/x/y', 'a.b'])
    assert.equal(readSettings(BASE).mayReplyTo('anything'), false)
  })
})

describe('the codes of the broker', () => {
  const refused = (code: unknown): ChannelFault => connackFault(Object.assign(new Error('no'), { code }))

  test('on connecting', () => {
    for (const code of [1, 0x84]) assert.ok(refused(code) instanceof VersionRefused)
    for (const code of [4, 5, 0x86, 0x87, 0x8a, 0x8c]) assert.deepEqual([refused(code).code, refused(code).fault.is], ['MQTT_AUTH', 'auth'])
    for (const code of [2, 0x85]) assert.deepEqual([refused(code).code, refused(code).fault.is], ['MQTT_REFUSED', 'config'])
    for (const code of [3, 0x88, 0x97, 'ECONNREFUSED', undefined]) assert.equal(refused(code).fault.is, 'transient')
    assert.equal(connackFault(null).fault.is, 'transient')
  })

  test('on the end of a connection', () => {
    assert.deepEqual([disconnectFault(0x8e).code, disconnectFault(0x8e).fault.is], ['MQTT_TAKEN_OVER', 'config'])
    assert.equal(disconnectFault(0x87).fault.is, 'auth')
    for (const code of [0, 0x8b, 0x8d, 0x93]) assert.deepEqual(disconnectFault(code).fault, { is: 'transient', maybeSent: false })
  })

  test('on a reply', () => {
    for (const code of [0x87, 0x90, 0x95, 0x99]) assert.deepEqual(publishFault({ code }).fault, { is: 'permanent' })
    for (const code of [0x80, 0x97, 'EPIPE', null]) assert.deepEqual(publishFault({ code }).fault, { is: 'transient', maybeSent: true })
  })
})
