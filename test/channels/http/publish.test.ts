/** The reading of request forms: what each becomes, and that everything else is refused with all its faults. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { InvalidError, canonicalJson, fingerprint, parsePublish, publishSchema } from '#contract'
import type { JsonValue } from '#contract'

const faultsOf = (body: JsonValue | undefined): { [pointer: string]: string } => {
  try {
    parsePublish(body)
  } catch (error) {
    assert.ok(error instanceof InvalidError)
    assert.equal(error.code, 'SCHEMA_VIOLATION')
    return Object.fromEntries(error.faults.map(({ pointer, detail }) => [pointer, detail]))
  }
  return {}
}
const nested = (depth: number): JsonValue => JSON.parse('{"a":'.repeat(depth) + '1' + '}'.repeat(depth)) as JsonValue

const FORMS: readonly JsonValue[] = [
  { channel_id: 'whatsapp', payload: 'Hello agent', metadata: { user_id: '123', session_id: 'abc' } },
  { topic: 'events', payload: { data: 'hello' }, idempotency_key: 'unique-123' },
  { channel: 'chat', content: 'test' },
]

void test('reads the gateway form', () => {
  assert.deepEqual(parsePublish(FORMS[0]), {
    payload: { text: 'Hello agent' },
    metadata: { channel_id: 'whatsapp', user_id: '123', session_id: 'abc' },
    sender: null,
    at: null,
    key: null,
  })
})

void test('reads the publish form', () => {
  const { payload, metadata, key } = parsePublish(FORMS[1])
  assert.deepEqual({ payload, metadata, key }, { payload: { json: { data: 'hello' } }, metadata: { topic: 'events' }, key: 'unique-123' })
})

void test('reads the aliases channel and content', () => {
  const { payload, metadata } = parsePublish(FORMS[2])
  assert.deepEqual({ payload, metadata }, { payload: { text: 'test' }, metadata: { channel_id: 'chat' } })
})

void test('reads a whole envelope, whose id is its key', () => {
  const envelope = {
    version: 1,
    id: 'msg-123',
    channel: 'http',
    sender_id: 'user123',
    timestamp: 1_699_123_456_000,
    payload: { json: { deep: [1, 2] } },
    metadata: { channel_id: 'whatsapp', headers: { From: 'user123' } },
    session: 'agent-1',
  }
  assert.deepEqual(parsePublish(envelope), {
    payload: { json: { deep: [1, 2] } },
    metadata: { channel_id: 'whatsapp', headers: { from: 'user123' }, session_id: 'agent-1' },
    sender: 'user123',
    at: 1_699_123_456_000,
    key: 'msg-123',
  })
})

void test('brings every payload into canonical form, and leaves a canonical one as it is', () => {
  const cases: readonly (readonly [JsonValue, JsonValue])[] = [
    ['hi', { text: 'hi' }],
    [{ text: 'hi' }, { text: 'hi' }],
    [{ text: 'hi', lang: 'en' }, { json: { text: 'hi', lang: 'en' } }],
    [{ text: 5 }, { json: { text: 5 } }],
    [[1, 'a'], { json: [1, 'a'] }],
    [{}, { json: {} }],
    [{ json: null }, { json: null }],
    [
      { binary: 'aGk=', media_type: 'text/plain; charset=utf-8' },
      { binary: 'aGk=', media_type: 'text/plain; charset=utf-8' },
    ],
    [{ binary: 'aGk=' }, { json: { binary: 'aGk=' } }],
  ]
  for (const [given, canonical] of cases) {
    const { payload } = parsePublish({ payload: given })
    assert.deepEqual(payload, canonical)
    assert.deepEqual(parsePublish({ payload }).payload, canonical)
  }
})

void test('keeps text exactly: NUL, right-to-left marks, emoji, lone surrogates', () => {
  for (const text of ['a\u0000b', '\u202Eabc', '👩‍👩‍👧 \u{1F9D1}', '\ud83d', 'x\udc00y', '﷽', '\r\n\t']) {
    assert.deepEqual(parsePublish({ payload: text, metadata: { free: text } }), {
      payload: { text },
      metadata: { free: text },
      sender: null,
      at: null,
      key: null,
    })
  }
})

void test('refuses unknown members by pointer, and says which was meant', () => {
  assert.deepEqual(faultsOf({ payload: 'x', chanel_id: 'a', 'a/b~': 1 }), {
    '#/chanel_id': '"chanel_id" is not known here. Did you mean "channel_id"?',
    '#/a~1b~0': '"a/b~" is not known here.',
  })
})

void test('refuses what is no message at all', () => {
  for (const body of [undefined, null, 5, 'text', []]) assert.deepEqual(Object.keys(faultsOf(body)), ['#'])
  for (const payload of [null, 5, true]) assert.deepEqual(Object.keys(faultsOf({ payload })), ['#/payload'])
  assert.deepEqual(Object.keys(faultsOf({})), ['#/payload'])
  assert.deepEqual(Object.keys(faultsOf({ payload: '' })), ['#/payload'])
  assert.deepEqual(Object.keys(faultsOf({ content: { text: '' } })), ['#/content/text'])
})

void test('reports all faults together', () => {
  const faults = faultsOf({
    payload: { binary: '?', media_type: 'nothing' },
    content: 'twice',
    channel: 'a',
    channel_id: 'b',
    topic: 5,
    sender_id: '',
    agent_id: 'a\u0007b',
    idempotency_key: '\ud800',
    timestamp: 1.5,
    version: 2,
    metadata: { user_id: 5, session_id: 'x'.repeat(256), traceparent: 'no', headers: { a: 1 } },
  })
  assert.deepEqual(Object.keys(faults).sort(), [
    '#/agent_id',
    '#/channel',
    '#/content',
    '#/idempotency_key',
    '#/metadata/headers/a',
    '#/metadata/session_id',
    '#/metadata/traceparent',
    '#/metadata/user_id',
    '#/payload/binary',
    '#/payload/media_type',
    '#/sender_id',
    '#/timestamp',
    '#/topic',
    '#/version',
  ])
})

void test('takes null for a member that is not said', () => {
  const said = parsePublish({ payload: 'x', metadata: null, idempotency_key: null, session: null, topic: null, timestamp: null })
  assert.deepEqual(said, { payload: { text: 'x' }, metadata: {}, sender: null, at: null, key: null })
})

void test('refuses values that are too deep, too many, too large, or poisonous', () => {
  assert.deepEqual(faultsOf({ payload: nested(31) }), {})
  assert.match(Object.keys(faultsOf({ payload: nested(32) }))[0] ?? '', /^#\/payload(?:\/a){31}$/)
  assert.match(Object.keys(faultsOf({ payload: nested(5_000) }))[0] ?? '', /^#\/payload(?:\/a){31}$/)
  assert.deepEqual(Object.keys(faultsOf({ payload: JSON.parse('{"a":[{"__proto__":{}}]}') as JsonValue })), ['#/payload/a/0/__proto__'])
  assert.deepEqual(Object.keys(faultsOf({ payload: 'x', metadata: { constructor: 1 } })), ['#/metadata/constructor'])
  assert.deepEqual(Object.keys(faultsOf({ payload: JSON.parse('[1e999]') as JsonValue })), ['#/payload/0'])
  const many = Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`m${index}`, 0]))
  assert.deepEqual(Object.keys(faultsOf({ payload: 'x', metadata: many })), ['#/metadata'])
})

void test('describes in its schema what it reads', () => {
  const matches = new Ajv2020({ strict: false }).compile(publishSchema)
  for (const form of FORMS) assert.ok(matches(form), JSON.stringify(form))
  assert.ok(!matches({ payload: 'x', unknown: 1 }))
  assert.ok(!matches({ topic: 'events' }))
})

void test('tells by the fingerprint whether the same was said, whatever its form', () => {
  const one = parsePublish({ channel: 'a', content: { b: 1, a: [2, { d: '\ud800', c: null }] }, idempotency_key: 'k1' })
  const same = parsePublish({ metadata: { channel_id: 'a' }, payload: { a: [2, { c: null, d: '\ud800' }], b: 1 }, idempotency_key: 'k2' })
  const other = parsePublish({ channel: 'a', content: { b: 1, a: [2, { d: '\ud801', c: null }] } })
  assert.match(fingerprint(one), /^[0-9a-f]{64}$/)
  assert.equal(fingerprint(one), fingerprint(same))
  assert.notEqual(fingerprint(one), fingerprint(other))
  assert.equal(canonicalJson({ b: undefined, a: -0, '\u20ac': '€', 'a\n': [null] }), '{"a":0,"a\\n":[null],"€":"€"}')
})
