import assert from 'node:assert/strict'
import { createPublicKey, randomBytes, verify } from 'node:crypto'
import { test } from 'node:test'
import { checkSecret, newKeyPair, newSecret } from '../../../gateway/webhooks/secret.ts'
import { asymmetricSignature } from '../../../gateway/webhooks/sign.ts'

const of = (bytes: number): string => `whsec_${randomBytes(bytes).toString('base64')}`

test('a secret of 24 to 64 bytes is one, as is one that was made here', () => {
  for (const secret of [of(24), of(25), of(32), of(63), of(64), newSecret(), 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw']) checkSecret(secret)
})

test('what is shorter, longer or written otherwise is none, and is not repeated', () => {
  const padded = of(31)
  const wrong = [
    '',
    'whsec_',
    of(23),
    of(65),
    randomBytes(32).toString('base64'),
    padded.replace(/=+$/, ''),
    `${padded}=`,
    `whsec_${'-_'.repeat(22)}`,
    `whsec_${'A'.repeat(42)}B=`,
    `WHSEC_${of(32).slice(6)}`,
    ` ${of(32)}`,
    `${of(32)}\n`,
    newKeyPair().privateKey,
    newKeyPair().publicKey,
    'x'.repeat(32),
  ]
  for (const secret of wrong) {
    assert.throws(
      () => checkSecret(secret),
      (error: Error & { code?: string }) =>
        error.code === 'WEBHOOK_SECRET_INVALID' && (secret.length < 8 || !JSON.stringify([error, error.message]).includes(secret)),
      secret,
    )
  }
})

test('a key pair is of 32 bytes each, and what one half signs the other verifies', () => {
  const { privateKey, publicKey } = newKeyPair()
  assert.match(privateKey, /^whsk_[A-Za-z0-9+/]{43}=$/)
  assert.match(publicKey, /^whpk_[A-Za-z0-9+/]{43}=$/)
  assert.notEqual(newKeyPair().publicKey, publicKey)
  const signature = asymmetricSignature(privateKey, { id: 'evt_1', timestamp: '1700000000', body: '{}' })
  assert.match(signature, /^v1a,[A-Za-z0-9+/]{86}==$/)
  const x = Buffer.from(publicKey.slice(5), 'base64').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  const verifies = (words: string): boolean => verify(null, Buffer.from(words), key, Buffer.from(signature.slice(4), 'base64'))
  assert.deepEqual([verifies('evt_1.1700000000.{}'), verifies('evt_1.1700000001.{}')], [true, false])
})

test('the first vector of RFC 8032 §7.1 names the same key', () => {
  // TEST 1, whose message is empty: another cannot be signed here, so the key alone is compared.
  const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex').toString('base64')
  const signature = asymmetricSignature(`whsk_${seed}`, { id: 'a', timestamp: '1', body: 'b' })
  const x = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  assert.equal(verify(null, Buffer.from('a.1.b'), key, Buffer.from(signature.slice(4), 'base64')), true)
})
