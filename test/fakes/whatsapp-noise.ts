/**
 * The server's side of WhatsApp's encrypted connection: Noise_XX_25519_AESGCM_SHA256 with the prologue `WA 06 03`, three-byte frame
 * lengths, and a certificate chain from a root of our own. Knows nothing of what is said inside.
 */
import { Curve, NOISE_MODE, NOISE_WA_HEADER, WA_CERT_DETAILS, aesDecryptGCM, aesEncryptGCM, hkdf, proto, sha256 } from 'baileys'
import type { KeyPair } from 'baileys'

/** What is wrong with the certificates that a server shows. */
export type Forgery = 'none' | 'zero signature' | 'foreign root' | 'another key'

interface Cipher {
  readonly key: Uint8Array
  count: number
}

const NOTHING = Buffer.alloc(0)
const YEAR_2100_S = 4_102_444_800

export class NoiseResponder {
  #hash: Buffer = Buffer.from(NOISE_MODE)
  #salt: Buffer = this.#hash
  #handshake: Cipher = { key: this.#hash, count: 0 }
  #transport: { readonly write: Cipher; readonly read: Cipher } | null = null
  #received: Buffer = NOTHING
  #isIntroduced = false

  constructor() {
    this.mix(Buffer.from(NOISE_WA_HEADER))
  }

  mix(data: Uint8Array): void {
    this.#hash = sha256(Buffer.concat([this.#hash, data]))
  }

  mixKey(secret: Uint8Array): void {
    const [salt, key] = this.#derive(secret)
    this.#salt = salt
    this.#handshake = { key, count: 0 }
  }

  encrypt(plain: Uint8Array): Buffer {
    if (this.#transport !== null) return aesEncryptGCM(plain, this.#transport.write.key, counter(this.#transport.write), NOTHING)
    const sealed = aesEncryptGCM(plain, this.#handshake.key, counter(this.#handshake), this.#hash)
    this.mix(sealed)
    return sealed
  }

  decrypt(sealed: Uint8Array): Buffer {
    if (this.#transport !== null) return aesDecryptGCM(sealed, this.#transport.read.key, counter(this.#transport.read), NOTHING)
    const plain = aesDecryptGCM(sealed, this.#handshake.key, counter(this.#handshake), this.#hash)
    this.mix(sealed)
    return plain
  }

  /** The handshake is over; what the client writes with is what we read with. */
  split(): void {
    const [client, server] = this.#derive(NOTHING)
    this.#transport = { write: { key: server, count: 0 }, read: { key: client, count: 0 } }
  }

  /** The whole frames among all that came. */
  frames(data: Uint8Array): readonly Buffer[] {
    this.#received = Buffer.concat([this.#received, data])
    if (!this.#isIntroduced) this.#introduce()
    const frames: Buffer[] = []
    while (this.#received.length >= 3) {
      const end = this.#received.readUIntBE(0, 3) + 3
      if (this.#received.length < end) break
      frames.push(this.#received.subarray(3, end))
      this.#received = this.#received.subarray(end)
    }
    return frames
  }

  frame(data: Uint8Array): Buffer {
    const length = Buffer.alloc(3)
    length.writeUIntBE(data.length, 0, 3)
    return Buffer.concat([length, data])
  }

  #introduce(): void {
    if (this.#received.subarray(0, 2).toString() === 'ED') {
      const length = this.#received.readUIntBE(4, 3)
      this.#received = this.#received.subarray(7 + length)
    }
    if (!this.#received.subarray(0, 4).equals(Buffer.from(NOISE_WA_HEADER)))
      throw new Error('the connection does not begin as WhatsApp does')
    this.#received = this.#received.subarray(4)
    this.#isIntroduced = true
  }

  #derive(secret: Uint8Array): readonly [Buffer, Buffer] {
    const bytes = Buffer.from(hkdf(Buffer.from(secret), 64, { salt: this.#salt, info: '' }))
    return [bytes.subarray(0, 32), bytes.subarray(32)]
  }
}

/** Signs what a client checks a server by. Whoever is to trust it is given `root.public`. */
export function certificateChain(root: KeyPair, serverKey: Uint8Array, forgery: Forgery): Uint8Array {
  const { Details } = proto.CertChain.NoiseCertificate
  const intermediate = Curve.generateKeyPair()
  const signer = forgery === 'foreign root' ? Curve.generateKeyPair() : root
  const certified = forgery === 'another key' ? Curve.generateKeyPair().public : serverKey
  const validity = { notBefore: 0, notAfter: YEAR_2100_S }
  const above = Details.encode({ serial: 1, issuerSerial: WA_CERT_DETAILS.SERIAL, key: intermediate.public, ...validity }).finish()
  const leaf = Details.encode({ serial: 2, issuerSerial: 1, key: certified, ...validity }).finish()
  const signed = (key: KeyPair, details: Uint8Array): Uint8Array =>
    forgery === 'zero signature' ? new Uint8Array(64) : Curve.sign(key.private, details)
  return proto.CertChain.encode({
    intermediate: { details: above, signature: signed(signer, above) },
    leaf: { details: leaf, signature: signed(intermediate, leaf) },
  }).finish()
}

function counter(cipher: Cipher): Buffer {
  const iv = Buffer.alloc(12)
  iv.writeUInt32BE(cipher.count++, 8)
  return iv
}
