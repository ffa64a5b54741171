/**
 * The phone that a client is linked to, as far as linking goes: it scans a QR code or is told a pairing code, and signs the new device's
 * identity. What it answers is carried by the server.
 */
import { randomBytes } from 'node:crypto'
import {
  Curve,
  WA_ADV_ACCOUNT_SIG_PREFIX,
  aesDecryptCTR,
  aesDecryptGCM,
  aesEncryptCTR,
  derivePairingCodeKey,
  hkdf,
  hmacSign,
  proto,
} from 'baileys'
import type { BinaryNode, KeyPair } from 'baileys'
import { bytesOf, node } from './whatsapp-person.ts'

/** What the server tells the phone about a client that wants to be linked by a code. */
export interface CodeHello {
  readonly wrappedKey: Buffer
}

export class Phone {
  readonly #account: KeyPair = Curve.generateKeyPair()
  readonly #ephemeral: KeyPair = Curve.generateKeyPair()
  readonly #ref = Buffer.from(`code-${randomBytes(4).toString('hex')}`)
  #shared: Buffer | null = null

  /** Scans what the client shows. */
  scan(qr: string, forged = false): BinaryNode {
    const [, , identity = '', secret = ''] = (qr.split('#').at(-1) ?? '').split(',')
    return this.#signed(Buffer.from(identity, 'base64'), Buffer.from(secret, 'base64'), forged)
  }

  /** Somebody typed the code: the stanza that goes to the client. */
  async type(code: string, hello: CodeHello): Promise<BinaryNode> {
    const { wrappedKey } = hello
    const theirs = aesDecryptCTR(
      wrappedKey.subarray(48, 80),
      await derivePairingCodeKey(code, wrappedKey.subarray(0, 32)),
      wrappedKey.subarray(32, 48),
    )
    this.#shared = Curve.sharedKey(this.#ephemeral.private, theirs)
    const [salt, iv] = [randomBytes(32), randomBytes(16)]
    const ours = aesEncryptCTR(this.#ephemeral.public, await derivePairingCodeKey(code, salt), iv)
    return node('link_code_companion_reg', { stage: 'primary_hello' }, [
      node('link_code_pairing_ref', {}, this.#ref),
      node('primary_identity_pub', {}, Buffer.from(this.#account.public)),
      node('link_code_pairing_wrapped_primary_ephemeral_pub', {}, Buffer.concat([salt, iv, ours])),
    ])
  }

  /** The client proved that it knows the code: its device is signed. */
  finish(identity: Buffer, bundle: Buffer): BinaryNode {
    if (this.#shared === null) throw new Error('the phone knows of no code')
    const key = hkdf(this.#shared, 32, { salt: bundle.subarray(0, 32), info: 'link_code_pairing_key_bundle_encryption_key' })
    const opened = aesDecryptGCM(bundle.subarray(44), Buffer.from(key), bundle.subarray(32, 44), Buffer.alloc(0))
    if (!opened.subarray(0, 32).equals(identity)) throw new Error('the client bound another identity')
    const known = Buffer.concat([this.#shared, Curve.sharedKey(this.#account.private, identity), opened.subarray(64, 96)])
    return this.#signed(identity, Buffer.from(hkdf(known, 32, { info: 'adv_secret' })), false)
  }

  #signed(identity: Buffer, secret: Buffer, forged: boolean): BinaryNode {
    const device = proto.ADVDeviceIdentity.encode({ rawId: 1, timestamp: Math.floor(Date.now() / 1_000), keyIndex: 1 }).finish()
    const signed = Buffer.concat([WA_ADV_ACCOUNT_SIG_PREFIX, device, identity])
    const accountSignature = forged ? new Uint8Array(64) : Curve.sign(this.#account.private, signed)
    const details = proto.ADVSignedDeviceIdentity.encode({
      details: device,
      accountSignatureKey: this.#account.public,
      accountSignature,
    }).finish()
    return node('device-identity', {}, proto.ADVSignedDeviceIdentityHMAC.encode({ details, hmac: hmacSign(details, secret) }).finish())
  }
}

/** Reads what a client sends at the first stage of linking by code. */
export const codeHello = (reg: BinaryNode): CodeHello => ({
  wrappedKey: bytesOf(childOf(reg, 'link_code_pairing_wrapped_companion_ephemeral_pub')),
})

export function childOf(parent: BinaryNode | undefined, tag: string): BinaryNode | undefined {
  return Array.isArray(parent?.content) ? parent.content.find((child) => child.tag === tag) : undefined
}

export function childrenOf(parent: BinaryNode | undefined, tag?: string): readonly BinaryNode[] {
  if (!Array.isArray(parent?.content)) return []
  return tag === undefined ? parent.content : parent.content.filter((child) => child.tag === tag)
}
