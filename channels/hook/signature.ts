/**
 * Whether a request is from somebody who has a secret of the hook. In this order: is it signed in the scheme's shape, is it of now, does the
 * HMAC over the very bytes fit. Only after that is anything of it read or noted, so that nobody can use up an id that is not theirs.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { DeniedError } from '#contract'
import type { Claim, Scheme, Signed } from './scheme.ts'
import type { Settings } from './settings.ts'

/** Either way: clocks differ, and a request may have waited. */
const TOLERANCE_S = 300

/** @throws DeniedError */
export function prove(request: Signed, { scheme, keys }: Pick<Settings, 'scheme' | 'keys'>, now: number): Claim {
  const claim = claimed(request, scheme, now)
  if (!keys.some((key) => fits(claim, key)))
    throw denied('The signature does not fit. Is the secret that of this hook, and the body as it was signed?')
  return claim
}

/** What can be said without the body: a form and a time that will not do with any. @throws DeniedError */
export function screen(headers: Signed['headers'], { scheme }: Pick<Settings, 'scheme'>, now: number): void {
  if (scheme.needsBody?.(headers) !== true) claimed({ headers, raw: NOTHING }, scheme, now)
}

const NOTHING = new Uint8Array()

function claimed(request: Signed, scheme: Scheme, now: number): Claim {
  const claim = scheme.read(request)
  if (claim === null) throw denied('The request is not signed, or not in the scheme of this hook.')
  if (claim.at !== null && Math.abs(Math.floor(now / 1_000) - claim.at) > TOLERANCE_S)
    throw denied(`The request was signed more than ${TOLERANCE_S} seconds before or after now, by our clock.`)
  return claim
}

function fits({ message, signatures }: Claim, key: Uint8Array): boolean {
  const hmac = createHmac('sha256', key)
  for (const part of message) hmac.update(part)
  const expected = hmac.digest()
  // The shapes have seen to it that all are of one length.
  return signatures.some((given) => timingSafeEqual(given, expected))
}

const denied = (message: string): DeniedError => new DeniedError(message, { code: 'SIGNATURE_INVALID', reason: 'forbidden' })
