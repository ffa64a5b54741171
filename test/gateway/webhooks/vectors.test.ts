/** The signer makes what the receivers' helpers are held against. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asymmetricSignature, ownSignature, standardSignature } from '../../../gateway/webhooks/sign.ts'
import { vectors } from '../../sdk/webhooks/vectors.ts'

for (const { name, secret, id, timestamp, nonce, body, standard, openclaw, private_key: privateKey, asymmetric } of vectors.signing) {
  test(`signs ${name}`, () => {
    assert.equal(standardSignature(secret, { id, timestamp, body }), standard)
    if (privateKey !== undefined) assert.equal(asymmetricSignature(privateKey, { id, timestamp, body }), asymmetric)
    if (nonce !== undefined) assert.equal(ownSignature(secret, { body, timestamp, nonce }), openclaw)
  })
}
