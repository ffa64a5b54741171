/**
 * What went wrong with a call to Slack, in the outbox's terms: by the class of the client's error, and where Slack answered, by
 * its error word (https://docs.slack.dev/reference/methods/chat.postMessage#errors).
 */
import { ChannelFault } from '#contract'
import type { SendFault } from '#contract'
import { WebAPIHTTPError, WebAPIPlatformError, WebAPIRateLimitedError, WebAPIRequestError } from '@slack/web-api'

/** What was called, for the message. */
export interface Called {
  readonly method: string
  /** Where the token stands in the configuration. */
  readonly setting: string
}

export function faultOf(error: unknown, { method, setting }: Called): ChannelFault {
  if (error instanceof ChannelFault) return error
  if (error instanceof WebAPIPlatformError) return refusal(error.data.error, { method, setting }, error)
  if (error instanceof WebAPIRateLimitedError) return rateLimit(method, error.retryAfter * 1_000, error)
  if (error instanceof WebAPIHTTPError)
    return unreachable(`Slack answered ${method} with ${error.statusCode}`, error.statusCode >= 500, error)
  const cause = error instanceof WebAPIRequestError ? error.original : error
  return unreachable(`Slack did not answer ${method}`, !neverLeft(cause), cause)
}

export function unreachable(what: string, maybeSent: boolean, cause?: unknown): ChannelFault {
  return new ChannelFault(`${what}.`, { code: 'SLACK_UNREACHABLE', fault: { is: 'transient', maybeSent }, cause })
}

export function rateLimit(what: string, afterMs: number, cause?: unknown): ChannelFault {
  // The limit that is met in practice is one message a second in one conversation; another chat finds out by itself.
  const fault: SendFault = { is: 'rate', afterMs: Math.max(afterMs, 1_000), scope: what === 'chat.postMessage' ? 'chat' : 'account' }
  return new ChannelFault(`Slack asks to wait before the next ${what}.`, { code: 'SLACK_RATE_LIMITED', fault, cause })
}

export const permanent = (message: string, cause?: unknown): ChannelFault =>
  new ChannelFault(message, { code: 'SLACK_REFUSED', fault: { is: 'permanent' }, cause })

/** The account is of no use until somebody acts. */
export const isFatal = ({ fault }: ChannelFault): boolean => fault.is === 'auth' || fault.is === 'config'

function refusal(word: string, { method, setting }: Called, cause: Error): ChannelFault {
  // Where the answer is not Slack's JSON, the client puts the whole of it here.
  if (!/^[a-z_]{1,64}$/.test(word)) return unreachable(`What came as the answer to ${method} is not Slack's`, true)
  if (AUTH.has(word)) {
    const message = `Slack refused ${method} (${word}). Check \`${setting}\`.`
    return new ChannelFault(message, { code: 'SLACK_AUTH', fault: { is: 'auth' }, cause })
  }
  if (word === 'missing_scope') {
    const message = `Slack refused ${method}: the app lacks a scope. Add those of the manifest in docs/channels/slack.md and install the app again.`
    return new ChannelFault(message, { code: 'SLACK_SCOPE', fault: { is: 'config' }, cause })
  }
  if (RATE.has(word)) return rateLimit(method, RATE_MS, cause)
  // "It's possible some aspect of the operation succeeded before the error was raised."
  if (TRANSIENT.has(word)) return unreachable(`Slack could not do ${method} (${word})`, true, cause)
  return permanent(`Slack refused ${method} (${word}).${ADVICE[word] ?? ''}`, cause)
}

const AUTH: ReadonlySet<string> = new Set(
  'invalid_auth not_authed account_inactive token_revoked token_expired not_allowed_token_type'.split(' '),
)
const RATE: ReadonlySet<string> = new Set(['ratelimited', 'rate_limited'])
const TRANSIENT: ReadonlySet<string> = new Set(
  'internal_error fatal_error service_unavailable request_timeout team_added_to_org'.split(' '),
)
/** Where Slack names no time. */
const RATE_MS = 10_000
const ADVICE: { readonly [word: string]: string | undefined } = {
  not_in_channel: ' Invite the app to the channel.',
  channel_not_found: ' The conversation is gone, or private and the app is not in it.',
  is_archived: ' The channel is archived.',
}

/** Failed before a byte of the request was written: no name, no route, no connection, no TLS. */
const NEVER_LEFT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|CERT_\w+|ERR_TLS_\w+|\w+_CERT\w*)$/

function neverLeft(error: unknown): boolean {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string' && NEVER_LEFT.test(at.code)) return true
  }
  return false
}
