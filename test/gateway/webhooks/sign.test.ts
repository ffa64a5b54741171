import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { asEventId } from '#contract'
import { SecretBox } from '../../../gateway/webhooks/secret-box.ts'
import { newKeyPair, newSecret } from '../../../gateway/webhooks/secret.ts'
import { ownSignature, signedRequest, standardSignature } from '../../../gateway/webhooks/sign.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

test('the public vector of Standard Webhooks comes out', () => {
  const signature = standardSignature(SECRET, {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestamp: '1614265330',
    body: '{"test": 2432232314}',
  })
  assert.equal(signature, 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

test('our own vector comes out, in both signatures', () => {
  const timestamp = '1700000000'
  const nonce = '00112233445566778899aabbccddeeff'
  const body = `{"id":"evt_01J","type":"message.processed","timestamp":1700000000,"nonce":"${nonce}","data":{"message_id":"msg-456"}}`
  assert.equal(ownSignature(SECRET, { body, timestamp, nonce }), 'addf6e4894da15f4a2526edab60268d0656402e76a14cd33e078dac54b9c6e53')
  assert.equal(standardSignature(SECRET, { id: 'evt_01J', timestamp, body }), 'v1,4dyt+i9DiChXltQ+HAuITRmJ9vyK3C2oJ2zMpDrB74g=')
})

test('a secret without the prefix is its own key', () => {
  // The vector that GitHub publishes, which signs the body alone.
  const signature = ownSignature("It's a Secret to Everybody", { body: 'Hello, World!', timestamp: '', nonce: '' })
  assert.equal(signature, '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17')
  const bare = { id: 'a', timestamp: '1', body: 'b' }
  assert.equal(standardSignature('plain', bare), standardSignature(`whsec_${Buffer.from('plain').toString('base64')}`, bare))
})

const attempt = {
  event: { id: asEventId('evt_1'), type: 'message.processed', createdAt: Date.UTC(2026, 10, 20, 12), data: { text: 'grüße 🙂' } },
  number: 3,
  at: Date.now(),
  nonce: 'ab'.repeat(16),
  userAgent: 'OpenClaw-Webhooks/1',
}

test('what is sent holds id, type, both times, nonce and attempt, and the headers say the same', () => {
  const { headers, body } = signedRequest({ ...attempt, at: 1_793_000_000_999, secrets: [SECRET] })
  assert.deepEqual(JSON.parse(body), {
    id: 'evt_1',
    type: 'message.processed',
    created_at: '2026-11-20T12:00:00.000Z',
    timestamp: 1_793_000_000,
    nonce: attempt.nonce,
    attempt: 3,
    data: { text: 'grüße 🙂' },
  })
  assert.deepEqual(
    { ...headers, 'x-openclaw-signature': '', 'webhook-signature': '' },
    {
      'content-type': 'application/json',
      'user-agent': 'OpenClaw-Webhooks/1',
      'x-openclaw-event': 'message.processed',
      'x-openclaw-attempt': '3',
      'x-openclaw-timestamp': '1793000000',
      'x-openclaw-nonce': attempt.nonce,
      'x-openclaw-signature': '',
      'webhook-id': 'evt_1',
      'webhook-timestamp': '1793000000',
      'webhook-signature': '',
    },
  )
})

test('of several secrets each signs, the newest first, and the library of Standard Webhooks takes either', () => {
  const [fresh, old] = [newSecret(), newSecret()]
  const { headers, body } = signedRequest({ ...attempt, secrets: [fresh, old] })
  assert.match(headers['x-openclaw-signature'] ?? '', /^[0-9a-f]{64},[0-9a-f]{64}$/)
  for (const secret of [fresh, old]) assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body))
  assert.throws(() => new Webhook(newSecret()).verify(body, headers))
  assert.throws(() => new Webhook(fresh).verify(body.replace('evt_1', 'evt_2'), headers))
  const [first] = (headers['x-openclaw-signature'] ?? '').split(',')
  assert.equal(first, ownSignature(fresh, { body, timestamp: headers['webhook-timestamp'] ?? '', nonce: attempt.nonce }))
})

test('with a key pair each delivery has its signature last, and the library of Standard Webhooks passes it over', () => {
  const [secret, pairs] = [newSecret(), [newKeyPair(), newKeyPair()]]
  const { headers, body } = signedRequest({ ...attempt, secrets: [secret], privateKeys: pairs.map(({ privateKey }) => privateKey) })
  assert.match(headers['webhook-signature'] ?? '', /^v1,[^ ]{44} v1a,[^ ]{88} v1a,[^ ]{88}$/)
  assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body))
  assert.match(headers['x-openclaw-signature'] ?? '', /^[0-9a-f]{64}$/)
})

test('a sealed secret opens for its own webhook with the same key, and not otherwise', () => {
  const secret = newSecret()
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/)
  const box = new SecretBox(createSecretKey(Buffer.alloc(32, 1)))
  const sealed = box.seal(secret, 'whk-1')
  assert.ok(!Buffer.from(sealed, 'base64').includes(secret))
  assert.notEqual(sealed, box.seal(secret, 'whk-1'))
  assert.equal(box.open(sealed, 'whk-1'), secret)
  assert.equal(box.open(sealed, 'whk-2'), null)
  assert.equal(new SecretBox(createSecretKey(Buffer.alloc(32, 2))).open(sealed, 'whk-1'), null)
  const bytes = Buffer.from(sealed, 'base64')
  bytes[20] = (bytes[20] ?? 0) ^ 1
  assert.equal(box.open(bytes.toString('base64'), 'whk-1'), null)
  for (const nothing of ['', 'x', '%%%']) assert.equal(box.open(nothing, 'whk-1'), null)
})
