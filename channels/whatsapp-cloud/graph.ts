/**
 * Calls to the Graph API: one request each, and what its answers mean for the outbox. Error codes are those of Meta's
 * "Cloud API error codes" page. Which call to make is `whatsapp-cloud.ts`.
 */
import { ChannelFault, isJsonObject } from '#contract'
import type { JsonObject, SendFault } from '#contract'

export interface GraphOptions {
  /** With the version: `https://graph.facebook.com/v25.0`. */
  readonly root: string
  readonly accessToken: string
  readonly channel: string
}

const AUTH: ReadonlySet<number> = new Set([0, 3, 10, 190])
const TRANSIENT: ReadonlySet<number> = new Set([1, 2, 131_000, 131_016, 131_057, 133_004])
const ACCOUNT_RATE: ReadonlySet<number> = new Set([4, 80_007, 130_429, 131_048])
/** Too many messages to the same person: one in six seconds. */
const PAIR_RATE = 131_056
const WINDOW_OVER = 131_047
const PAIR_WAIT_MS = 6_000
const ACCOUNT_WAIT_MS = 10_000

export class Graph {
  readonly #options: GraphOptions

  constructor(options: GraphOptions) {
    this.#options = options
  }

  /** @throws ChannelFault */
  async call(method: 'GET' | 'POST', path: string, body: JsonObject | null, signal: AbortSignal): Promise<JsonObject> {
    const { root, accessToken, channel } = this.#options
    let response: Response
    let text: string
    try {
      response = await fetch(`${root}/${path}`, {
        method,
        signal,
        headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
        ...(body === null ? {} : { body: JSON.stringify(body) }),
      })
      text = await response.text()
    } catch (error) {
      throw new ChannelFault(`The Cloud API did not answer for channel "${channel}". It will be tried again.`, {
        code: 'WHATSAPP_CLOUD_UNREACHABLE',
        fault: { is: 'transient', maybeSent: !isBeforeSending(error) },
        cause: error,
      })
    }
    const answer = parse(text)
    if (response.ok && answer !== null) return answer
    throw faultOf(channel, response, answer)
  }
}

/** By the table of codes. */
function faultOfCode(code: number): SendFault {
  if (AUTH.has(code) || (code >= 200 && code < 300)) return { is: 'auth' }
  if (TRANSIENT.has(code)) return { is: 'transient', maybeSent: false }
  if (ACCOUNT_RATE.has(code)) return { is: 'rate', afterMs: ACCOUNT_WAIT_MS, scope: 'account' }
  if (code === PAIR_RATE) return { is: 'rate', afterMs: PAIR_WAIT_MS, scope: 'chat' }
  return code === WINDOW_OVER ? { is: 'window' } : { is: 'permanent' }
}

function faultOf(channel: string, response: Response, answer: JsonObject | null): ChannelFault {
  const error = isJsonObject(answer?.['error']) ? answer['error'] : null
  const code = typeof error?.['code'] === 'number' ? error['code'] : null
  // Without an error of the API's own it was a proxy that answered, and what lies behind it may have sent.
  if (code === null) {
    const fault: SendFault = response.status >= 500 ? { is: 'transient', maybeSent: true } : { is: 'permanent' }
    return new ChannelFault(`The Cloud API answered ${response.status} for channel "${channel}".`, { code: 'WHATSAPP_CLOUD_FAILED', fault })
  }
  const fault = withWait(faultOfCode(code), response)
  return new ChannelFault(`The Cloud API refused a call for channel "${channel}" (${code}). ${ADVICE[fault.is] ?? ''}`.trim(), {
    code: fault.is === 'auth' ? 'WHATSAPP_CLOUD_AUTH' : fault.is === 'window' ? 'WHATSAPP_CLOUD_WINDOW' : 'WHATSAPP_CLOUD_REFUSED',
    fault,
  })
}

const ADVICE: { readonly [fault in SendFault['is']]?: string } = {
  auth: 'Check `access_token` and `phone_number_id`.',
  window: 'The person wrote more than 24 hours ago: send a template.',
}

function withWait(fault: SendFault, response: Response): SendFault {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return fault.is === 'rate' && seconds > 0 ? { ...fault, afterMs: seconds * 1_000 } : fault
}

function parse(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

const BEFORE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** There was no connection, so nothing can have been sent. */
function isBeforeSending(error: unknown): boolean {
  const cause: unknown = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' && BEFORE.has(cause.code)
}
