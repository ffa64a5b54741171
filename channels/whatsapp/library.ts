/**
 * Baileys, loaded when an account is configured, and made safe before it is used: what it lets through unchecked is checked, and what
 * libsignal prints to the console (sessions with their private keys) goes nowhere.
 */
import { createRequire } from 'node:module'
import type * as baileys from 'baileys'
import { ChannelFault } from '#contract'
import type { Log } from '#contract'

export type Baileys = typeof baileys

/**
 * @param load replaced by tests
 * @throws ChannelFault config where it is not installed, or cannot be made safe
 */
export async function loadBaileys(log: Log, load: () => Promise<Baileys> = () => import('baileys')): Promise<Baileys> {
  ownConsole(log)
  const baileys = await load().catch((cause: unknown) => {
    throw new ChannelFault(
      'The package of WhatsApp Web is not installed: it is optional, because a part of it is under the GPL. Run `npm install --include=optional`.',
      { code: 'WHATSAPP_PACKAGE_MISSING', fault: { is: 'config' }, cause },
    )
  })
  harden(baileys)
  return baileys
}

const hardened = new WeakSet<Baileys['Curve']>()

/**
 * Baileys 7.0.0-rc14 calls libsignal's check of a signature and passes over its answer, so that every signature is good; nor does it
 * compare the key that WhatsApp's certificate names with the key that the server proved to have. Both is mended on its own objects, and
 * tried: what cannot be mended is not used. Can go when a release of Baileys passes these same trials unmended.
 */
export function harden(baileys: Baileys): void {
  const { Curve } = baileys
  if (!hardened.has(Curve)) {
    const check = signatureCheck()
    const agree = Curve.sharedKey
    // The handshake runs without a pause: it agrees on a key with the server's static key, checks the leaf certificate with the key of the
    // intermediate one, then the intermediate one with the root's.
    let agreedWith: Uint8Array | null = null
    let leaf: Uint8Array | null = null
    Curve.sharedKey = (ours, theirs) => {
      agreedWith = theirs
      return agree(ours, theirs)
    }
    Curve.verify = (key, message, signature) => {
      const isGenuine = check(baileys.generateSignalPubKey(key), message, signature)
      if (!isSame(key, baileys.WA_CERT_DETAILS.PUBLIC_KEY)) {
        leaf = message
        return isGenuine
      }
      const certified = leaf === null ? null : baileys.proto.CertChain.NoiseCertificate.Details.decode(leaf).key
      leaf = null
      return isGenuine && isSame(certified, agreedWith)
    }
    hardened.add(Curve)
  }
  if (isTrustworthy(Curve)) return
  throw new ChannelFault('Signatures of WhatsApp cannot be checked with this version of baileys. Install the version in package.json.', {
    code: 'WHATSAPP_PACKAGE_UNSAFE',
    fault: { is: 'config' },
  })
}

function isTrustworthy(curve: Baileys['Curve']): boolean {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
  const [signer, stranger] = [curve.generateKeyPair(), curve.generateKeyPair()]
  const message = bytes('verify must refuse a zero signature')
  const signature = curve.sign(signer.private, message)
  return (
    curve.verify(signer.public, message, signature) &&
    !curve.verify(signer.public, message, new Uint8Array(64)) &&
    !curve.verify(signer.public, bytes('another message'), signature) &&
    !curve.verify(stranger.public, message, signature)
  )
}

type Check = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

/** The very function that Baileys calls, whose answer counts here; without it every signature is refused, and so is the start. */
function signatureCheck(): Check {
  const found: unknown = createRequire(import.meta.resolve('baileys'))('libsignal/src/curve.js')
  const verify = typeof found === 'object' && found !== null && 'verifySignature' in found ? found.verifySignature : null
  return (key, message, signature) => {
    try {
      return typeof verify === 'function' && verify(key, message, signature) === true
    } catch {
      return false
    }
  }
}

const isSame = (a: Uint8Array | null | undefined, b: Uint8Array | null): boolean =>
  a !== null && a !== undefined && b !== null && Buffer.from(a).equals(b)

/**
 * libsignal 6.0.0 prints whole sessions by console.info and warn in ordinary operation. `log` is left alone: neither package prints
 * secrets by it, and the gateway's greeting goes that way.
 */
function ownConsole(log: Log): void {
  const note = (method: string) => (): void => log.debug({ method }, 'A library wrote to the console; its words are not kept.')
  for (const method of ['info', 'warn', 'error', 'debug', 'trace', 'dir', 'table'] as const) console[method] = note(method)
}
