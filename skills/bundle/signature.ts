/**
 * Who vouches for a bundle: a detached JWS (RFC 7515 appendix F, EdDSA) over its manifest, its key named by `kid` and known from the
 * settings. A key that is taken out of the settings is revoked. jose is loaded when somebody signs or checks.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { JsonObject } from '#contract'
import type { SkillsSettings } from '../settings.ts'
import type { Files } from './bundle.ts'
import { manifest } from './digest.ts'

export type Verdict =
  | { readonly is: 'good'; readonly kid: string }
  | { readonly is: 'unsigned' }
  /** `reason` goes on after "the signature". */
  | { readonly is: 'bad'; readonly reason: string }

const ALGORITHMS = ['EdDSA', 'Ed25519']
const MAX_LENGTH = 4_096

export interface Signed {
  readonly descriptor: JsonObject
  readonly files: Files
  readonly signature: string | null
}

export async function judge({ descriptor, files, signature }: Signed, keys: SkillsSettings['signatures']['keys']): Promise<Verdict> {
  if (signature === null) return { is: 'unsigned' }
  const [header = '', payload, mac = '', ...more] = signature.length > MAX_LENGTH ? [] : signature.split('.')
  if (payload !== '' || more.length > 0) return bad('is no detached JWS')
  const { compactVerify, decodeProtectedHeader, errors } = await import('jose')
  try {
    const { kid } = decodeProtectedHeader(`${header}..${mac}`)
    if (typeof kid !== 'string') return bad('names no key (`kid`)')
    const text = Object.hasOwn(keys, kid) ? keys[kid] : undefined
    if (text === undefined) return bad(`is by the key ${JSON.stringify(kid.slice(0, 64))}, which is not in \`skills.signatures.keys\``)
    const key = publicKey(text)
    if (key === null)
      return bad(`is by the key ${JSON.stringify(kid)}, whose entry in \`skills.signatures.keys\` is no Ed25519 key, PEM or JWK`)
    const told = Buffer.from(manifest(descriptor, files)).toString('base64url')
    await compactVerify(`${header}.${told}.${mac}`, key, { algorithms: ALGORITHMS })
    return { is: 'good', kid }
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return bad('is not over this descriptor and these files')
    if (error instanceof errors.JOSEError || error instanceof TypeError) return bad('is no detached JWS with EdDSA')
    throw error
  }
}

/** @param privateKey PEM (PKCS #8) of an Ed25519 key. @throws Error when it is none */
export async function sign(
  { descriptor, files }: Pick<Signed, 'descriptor' | 'files'>,
  { privateKey, kid }: { readonly privateKey: string; readonly kid: string },
): Promise<string> {
  const { CompactSign } = await import('jose')
  const key = createPrivateKey(privateKey)
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('The key is no Ed25519 key; make one with `openssl genpkey -algorithm ed25519`.')
  const whole = await new CompactSign(manifest(descriptor, files)).setProtectedHeader({ alg: 'EdDSA', kid }).sign(key)
  const [header, , mac] = whole.split('.')
  return `${header}..${mac}`
}

const bad = (reason: string): Verdict => ({ is: 'bad', reason })

function publicKey(text: string): KeyObject | null {
  try {
    const key = text.trimStart().startsWith('{') ? createPublicKey({ key: JSON.parse(text), format: 'jwk' }) : createPublicKey(text)
    return key.asymmetricKeyType === 'ed25519' ? key : null
  } catch {
    return null
  }
}
