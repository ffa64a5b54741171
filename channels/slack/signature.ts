/**
 * Proves that a request is Slack's: HMAC-SHA256 over version, timestamp and the raw body, no older than five minutes
 * (https://docs.slack.dev/authentication/verifying-requests-from-slack).
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { DeniedError } from '#contract'
import type { HttpRequest } from '#contract'

const MAX_AGE_S = 300

/** @throws DeniedError */
export function checkSignature({ headers, raw }: Pick<HttpRequest, 'headers' | 'raw'>, secret: string, now: number): void {
  const timestamp = headers['x-slack-request-timestamp'] ?? ''
  const given = Buffer.from(headers['x-slack-signature'] ?? '')
  const wanted = Buffer.from(`v0=${createHmac('sha256', secret).update(`v0:${timestamp}:`).update(raw).digest('hex')}`)
  const isSigned = given.length === wanted.length && timingSafeEqual(given, wanted)
  // The age last, so that only what Slack signed is told that it is old.
  const isFresh = /^\d{1,12}$/.test(timestamp) && Math.abs(now / 1_000 - Number(timestamp)) <= MAX_AGE_S
  if (isSigned && isFresh) return
  throw new DeniedError(isSigned ? 'The request is too old.' : 'The signature does not fit.', {
    code: 'SIGNATURE_INVALID',
    reason: 'forbidden',
  })
}
