import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keptHeaders, keptResponse } from '../../../gateway/webhooks/kept-attempt.ts'
import { newKeyPair, newSecret } from '../../../gateway/webhooks/secret.ts'
import { signedRequest } from '../../../gateway/webhooks/sign.ts'
import { asEventId } from '#contract'

const [secret, old] = [newSecret(), newSecret()]
const { headers } = signedRequest({
  event: { id: asEventId('evt_1'), type: 'message.processed', createdAt: 0, data: {} },
  number: 1,
  at: 1_800_000_000_000,
  nonce: 'ab'.repeat(16),
  secrets: [secret, old],
  privateKeys: [newKeyPair().privateKey],
  userAgent: 'OpenClaw-Webhooks/1',
})
const sent = { headers, secrets: [secret, old] }
const kept = (text: string, isCut = false): string | null => keptResponse({ body: Buffer.from(text), isCut }, sent)

test('of signatures the beginning is kept, of all else everything', () => {
  const { 'x-openclaw-signature': own = '', 'webhook-signature': standard = '', ...rest } = keptHeaders(headers)
  assert.match(own, /^[0-9a-f]{8}…,[0-9a-f]{8}…$/)
  assert.match(standard, /^v1,.{8}… v1,.{8}… v1a,.{8}…$/)
  assert.ok(headers['x-openclaw-signature']?.startsWith(own.slice(0, 8)))
  for (const [name, value] of Object.entries(rest)) assert.equal(value, headers[name])
})

test('an answer that shows what it was sent, or the secret itself, keeps neither', () => {
  const shown = Buffer.from(secret).toString('base64')
  const text = kept(`${JSON.stringify(headers)} ${secret} key=${old.slice(6)} ${encodeURIComponent(old)} ${shown}`) ?? ''
  for (const each of [secret, old, secret.slice(6), old.slice(6), shown.slice(0, -3)]) assert.ok(!text.includes(each), each)
  for (const name of ['x-openclaw-signature', 'webhook-signature'])
    for (const signature of headers[name]?.split(/[ ,]/).filter((one) => one.length > 8) ?? []) assert.ok(!text.includes(signature))
  assert.match(text, /evt_1/)
})

test('what was cut off in the middle of a secret shows no part of it', () => {
  const start = secret.slice(0, 30)
  assert.equal(kept(`so it is ${start}`, true), 'so it is ***')
  assert.equal(kept(`so it is ${start}`), `so it is ${start}`)
  assert.equal(kept('so it is', true), 'so it is')
})

test('other answers are kept as they came', () => {
  for (const text of ['ok', '<script>alert(1)</script>', '\u0000\u001b[2Jgrüße']) assert.equal(kept(text), text)
  assert.equal(kept(''), null)
})
