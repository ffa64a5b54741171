/** What records become: messages of a conversation with an identity, or a reason why not. No broker is needed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Inbound } from '#contract'
import { Cursor } from '../../../channels/kafka/cursor.ts'
import { groupRecords } from '../../../channels/kafka/group.ts'
import { readRecord } from '../../../channels/kafka/record.ts'
import type { KafkaRecord } from '../../../channels/kafka/seam.ts'
import { readSettings } from '../../../channels/kafka/settings.ts'

interface Given {
  readonly key?: string | Buffer | null
  readonly value?: string | Buffer | null
  readonly offset?: string
  readonly timestamp?: number
  readonly headers?: { readonly [name: string]: string }
}

const record = ({ key = 'ann', value = 'hello', offset = '7', timestamp = 1_000, headers = {} }: Given): KafkaRecord => ({
  topic: 'orders.new',
  partition: 2,
  offset,
  timestamp,
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
  headers: Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]),
})

const settings = readSettings('shop', { brokers: ['a:1'], topic: 'orders.new', reply_topic: 'out', reply_allow: ['answers.*'] })
const options = { account: 'shop', replyTopic: settings.replyTopic, mayReplyTo: settings.mayReplyTo }
const read = (given: Given): Inbound => {
  const reading = readRecord(record(given), options)
  assert.ok('message' in reading, JSON.stringify(reading))
  return reading.message
}
const unfit = (given: Given): string => {
  const reading = readRecord(record(given), options)
  assert.ok('unfit' in reading)
  return reading.unfit.code
}

describe('a record', () => {
  test('of text is text, in the conversation of its key', () => {
    const { payload, lane, sender, at, metadata, reply, author } = read({ headers: { 'X-Shop': 'Bern' } })
    assert.deepEqual(
      { payload, lane, sender, at, author },
      { payload: { text: 'hello' }, lane: 'ann', sender: 'ann', at: 1_000, author: 'person' },
    )
    assert.deepEqual(
      [metadata.topic, metadata['partition'], metadata['offset'], metadata.headers?.['x-shop']],
      ['orders.new', 2, '7', 'Bern'],
    )
    assert.deepEqual(reply, { chat: 'out' })
  })

  test('in one of our forms is read as that, any other JSON is json, and bytes are bytes', () => {
    const body = { payload: 'two please', metadata: { user_id: 'bob' }, idempotency_key: 'k1' }
    const publish = read({ value: JSON.stringify(body), key: null })
    assert.deepEqual([publish.payload, publish.lane, publish.key], [{ text: 'two please' }, 'bob', 'id::k1'])
    assert.deepEqual(read({ value: '{"schema":{},"payload":{"id":1}}' }).payload, { json: { schema: {}, payload: { id: 1 } } })
    assert.deepEqual(read({ value: '[1,2]' }).payload, { json: [1, 2] })
    assert.deepEqual(read({ value: '42' }).payload, { text: '42' })
    assert.deepEqual(read({ value: '{not json' }).payload, { text: '{not json' })
    assert.deepEqual(read({ value: Buffer.from([0xff, 0xfe]) }).payload, { binary: '//4=', media_type: 'application/octet-stream' })
    assert.deepEqual(read({ value: '{}', headers: { 'content-type': 'image/png' } }).payload, { binary: 'e30=', media_type: 'image/png' })
    assert.deepEqual(read({ value: '{"a":1}', headers: { 'content-type': 'text/plain' } }).payload, { text: '{"a":1}' })
  })

  test('without a key belongs to its partition, and with one that is no name to its digest', () => {
    assert.equal(read({ key: null }).lane, 'orders.new-2')
    assert.equal(read({ key: '' }).lane, 'orders.new-2')
    assert.match(read({ key: Buffer.from([0xff]) }).lane, /^sha256:[0-9a-f]{64}$/)
    assert.match(read({ key: 'x'.repeat(201) }).lane, /^sha256:/)
    assert.match(read({ key: 'a\nb' }).lane, /^sha256:/)
  })

  test('is known by its place and time, or by the id that its producer gave it within its key', () => {
    assert.equal(read({}).key, 'at:orders.new-2-7-1000')
    assert.equal(read({}).fingerprint, null)
    const [one, again, other] = [{}, { offset: '8' }, { offset: '8', value: 'bye' }].map((more) => read({ ...more, headers: { id: 'i1' } }))
    assert.equal(one?.key, 'id:ann:i1')
    assert.deepEqual([again?.key, again?.fingerprint], [one?.key, one?.fingerprint])
    assert.notEqual(other?.fingerprint, one?.fingerprint)
    assert.notEqual(read({ key: 'bob', headers: { id: 'i1' } }).key, one?.key)
  })

  test('may ask for its answer only where that is allowed', () => {
    const headers = (topic: string): Given => ({ headers: { 'reply-topic': topic, 'correlation-id': 'c 1' } })
    assert.deepEqual(read(headers('answers.bern')).reply, { chat: 'answers.bern', correlation: 'c 1' })
    for (const refused of ['answers', 'payments', 'xanswers.a', 'answersXa', 'answers.a\n'])
      assert.equal(read(headers(refused)).reply.chat, 'out')
  })

  test('that a gateway wrote is our own', () => {
    assert.equal(read({ headers: { 'openclaw-delivery': 'dlv-1' } }).author, 'self')
  })

  test('without a value, too large, or not the JSON that it says it is, is not fit for a message', () => {
    assert.equal(unfit({ value: null }), 'MESSAGE_EMPTY')
    assert.equal(unfit({ value: '' }), 'MESSAGE_EMPTY')
    assert.equal(unfit({ value: 'x'.repeat(1024 * 1024 + 1) }), 'MESSAGE_TOO_LARGE')
    assert.equal(unfit({ value: '{', headers: { 'content-type': 'application/json' } }), 'MESSAGE_UNREADABLE')
    assert.equal(unfit({ value: `${'['.repeat(40)}${']'.repeat(40)}` }), 'MESSAGE_UNREADABLE')
    assert.equal(unfit({ value: '{"__proto__":{"a":1}}' }), 'MESSAGE_UNREADABLE')
  })

  test('keeps headers that are text, and no credentials', () => {
    const { metadata } = read({
      headers: { Authorization: 'Bearer x', 'x-auth-token': 'y', __proto__: 'z', long: 'l'.repeat(5_000), fine: 'f' },
    })
    assert.deepEqual({ ...metadata.headers }, { fine: 'f' })
  })
})

describe('records in groups', () => {
  const reads = (given: readonly Given[]): ReturnType<typeof groupRecords> =>
    given.map((one) => ({ record: record(one), message: read(one) }))
  const saying = (groups: ReturnType<typeof groupRecords>): unknown => groups.map(({ message: { payload } }) => payload)

  test('of one key become arrays of at most so many, and keep the order of each key', () => {
    const groups = groupRecords(
      reads(['a', 'b', 'a', 'a', 'b'].map((key, at) => ({ key, value: key === 'b' ? `{"n":${at}}` : `${key}${at}`, offset: String(at) }))),
      2,
    )
    assert.deepEqual(saying(groups), [{ json: ['a0', 'a2'] }, { json: [{ n: 1 }, { n: 4 }] }, { json: ['a3'] }])
    assert.deepEqual(
      groups.map(({ record: { offset }, message: { key, metadata } }) => [offset, key, metadata['records']]),
      [
        ['2', 'at:orders.new-2-0-1000', 2],
        ['4', 'at:orders.new-2-1-1000', 2],
        ['3', 'at:orders.new-2-3-1000', 1],
      ],
    )
  })

  test('do not mix answers to different topics, nor our own words with those of others', () => {
    const groups = groupRecords(
      reads([{}, { headers: { 'reply-topic': 'answers.x' } }, { headers: { 'reply-topic': 'answers.x', 'openclaw-delivery': 'd' } }]),
      10,
    )
    assert.equal(groups.length, 3)
  })
})

describe('the cursor', () => {
  const values = new Map<string, Uint8Array>()
  const cursor = new Cursor({ readState: (key) => Promise.resolve(values.get(key) ?? null) })
  const records = (from: number, to: number, at: number): readonly KafkaRecord[] =>
    Array.from({ length: to - from }, (_, i) => record({ offset: String(from + i), timestamp: at }))
  const take = async (given: readonly KafkaRecord[]): Promise<readonly string[]> => {
    const { unseen, state } = await cursor.sift(given)
    for (const [key, value] of Object.entries(state)) if (value !== null) values.set(key, value)
    return unseen.map(({ offset }) => offset)
  }

  test('passes over what was taken in, however it is cut, and knows a topic that was made anew', async () => {
    assert.deepEqual(await take(records(9, 12, 1_000)), ['9', '10', '11'])
    assert.deepEqual(await take(records(9, 14, 1_000)), ['12', '13'])
    assert.deepEqual(await take(records(9, 14, 900)), [])
    assert.deepEqual(await take(records(0, 2, 2_000)), ['0', '1'])
  })
})

describe('settings', () => {
  test('that read nothing, or what they put aside, are refused', () => {
    assert.throws(() => readSettings('shop', { brokers: ['a:1'] }), /has nothing to read/)
    assert.throws(
      () => readSettings('shop', { brokers: ['a:1'], topic: 'a', dead_letter_topic: 'a' }),
      (error: Error & { fault?: { is: string } }) =>
        error.fault?.is === 'config' && error.message.includes('channels.shop.dead_letter_topic'),
    )
  })

  test('have defaults from the name', () => {
    assert.equal(settings.group, 'openclaw-shop')
    assert.equal(settings.deadLetterTopic('orders.new'), 'orders.new.dlt')
  })
})
