/** Signatures over bundles. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { judge, sign } from '../../../skills/bundle/signature.ts'

const pair = (): { readonly secret: string; readonly pem: string; readonly jwk: string } => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    secret: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    jwk: JSON.stringify(publicKey.export({ format: 'jwk' })),
  }
}
const [ours, theirs] = [pair(), pair()]
const bundle = { descriptor: { id: 'x', version: '1.0.0' }, files: { 'a.py': new TextEncoder().encode('a') } }

describe('a signature', () => {
  test('over just these files, by a key of the settings, is good', async () => {
    const signature = await sign(bundle, { privateKey: ours.secret, kid: 'ops' })
    assert.match(signature, /^[\w-]+\.\.[\w-]+$/)
    for (const key of [ours.pem, ours.jwk])
      assert.deepEqual(await judge({ ...bundle, signature }, { ops: key }), { is: 'good', kid: 'ops' })
    assert.deepEqual(await judge({ ...bundle, signature: null }, { ops: ours.pem }), { is: 'unsigned' })
  })

  test('over other content is bad', async () => {
    const signature = await sign(bundle, { privateKey: ours.secret, kid: 'ops' })
    const others = [
      { ...bundle, files: { 'a.py': new TextEncoder().encode('b') } },
      { ...bundle, files: { ...bundle.files, 'b.py': new Uint8Array() } },
      { ...bundle, files: { 'b.py': bundle.files['a.py'] } },
      { ...bundle, descriptor: { id: 'x', version: '1.0.1' } },
    ]
    for (const other of others) assert.equal((await judge({ ...other, signature }, { ops: ours.pem })).is, 'bad')
  })

  test('by another key, or one that was taken out of the settings, is bad', async () => {
    const keys = { ops: ours.pem }
    const reason = async (signature: string, with_: { readonly [kid: string]: string } = keys): Promise<string> => {
      const verdict = await judge({ ...bundle, signature }, with_)
      return verdict.is === 'bad' ? verdict.reason : verdict.is
    }
    assert.match(await reason(await sign(bundle, { privateKey: theirs.secret, kid: 'ops' })), /not over/)
    assert.match(await reason(await sign(bundle, { privateKey: ours.secret, kid: 'gone' })), /"gone", which is not in/)
    assert.match(await reason(await sign(bundle, { privateKey: ours.secret, kid: 'constructor' })), /which is not in/)
    assert.match(await reason(await sign(bundle, { privateKey: ours.secret, kid: 'ops' }), { ops: 'nonsense' }), /no Ed25519 key/)
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' }).toString()
    assert.match(await reason(await sign(bundle, { privateKey: ours.secret, kid: 'ops' }), { ops: rsa }), /no Ed25519 key/)
  })

  test('of another form is bad, not an error', async () => {
    const good = await sign(bundle, { privateKey: ours.secret, kid: 'ops' })
    const [header = '', , mac = ''] = good.split('.')
    const none = Buffer.from('{"alg":"none","kid":"ops"}').toString('base64url')
    const hmac = Buffer.from('{"alg":"HS256","kid":"ops"}').toString('base64url')
    const critical = Buffer.from('{"alg":"EdDSA","kid":"ops","crit":["x"],"x":1}').toString('base64url')
    for (const signature of [
      '',
      '.',
      '..',
      'a.b.c',
      `${header}.eyJ9.${mac}`,
      `${none}..`,
      `${none}..${mac}`,
      `${hmac}..${mac}`,
      `${critical}..${mac}`,
      `${header}..`,
      `${header}..!!`,
      `x..${mac}`,
      `e30..${mac}`,
      `${good}.x`,
      'x'.repeat(10_000),
      '\ud800..x',
    ])
      assert.equal((await judge({ ...bundle, signature }, { ops: ours.pem })).is, 'bad', signature.slice(0, 80))
  })

  test('is not made with a key of another kind', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    await assert.rejects(sign(bundle, { privateKey: rsa, kid: 'x' }), /no Ed25519 key/)
  })

  test('is made with the keys of openssl', async (t) => {
    let secret: string
    try {
      secret = execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    } catch {
      return t.skip('there is no openssl here')
    }
    const pem = execFileSync('openssl', ['pkey', '-pubout'], { input: secret, encoding: 'utf8' })
    assert.equal((await judge({ ...bundle, signature: await sign(bundle, { privateKey: secret, kid: 'o' }) }, { o: pem })).is, 'good')
  })
})
