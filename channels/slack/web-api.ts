/**
 * Calls of Slack's Web API by the official client, with nothing of its own policy: one call is one request, a rate limit is told and
 * not waited for, and a signal ends it. Faults come as fault.ts reads them.
 */
import { isJsonObject } from '#contract'
import type { JsonObject } from '#contract'
import { LogLevel, WebClient } from '@slack/web-api'
import type { Logger, WebClientOptions } from '@slack/web-api'
import { faultOf } from './fault.ts'

export const SLACK_API = 'https://slack.com/api/'

export interface ApiAccess {
  readonly url: string
  readonly token: string
  /** Where the token stands in the configuration. */
  readonly setting: string
}

export class SlackApi {
  readonly #access: ApiAccess

  constructor(access: ApiAccess) {
    this.#access = access
  }

  /** Rejects with `ChannelFault`. */
  async call(method: string, args: { readonly [name: string]: unknown }, signal: AbortSignal): Promise<JsonObject> {
    const { url, token, setting } = this.#access
    try {
      // A client for each call, because its calls take no signal; making one costs microseconds.
      const answer: unknown = await new WebClient(token, clientOptions(url, signal)).apiCall(method, { ...args })
      return isJsonObject(answer) ? answer : {}
    } catch (error) {
      throw faultOf(error, { method, setting })
    }
  }

  /** Whether this address is Slack's own, so that the token may be shown there: the API's origin, or https below its host. */
  owns(text: string): boolean {
    if (!URL.canParse(text)) return false
    const [url, api] = [new URL(text), new URL(this.#access.url)]
    return url.origin === api.origin || (url.protocol === 'https:' && url.hostname.endsWith(`.${api.hostname}`))
  }
}

export function clientOptions(url: string, signal: AbortSignal): WebClientOptions {
  return {
    slackApiUrl: url,
    // Retries and rate keeping are the hub's; the client's own would hold a lane for half an hour.
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    timeout: TIMEOUT_MS,
    logger: silent,
    fetch: async (input, init) => {
      const signals = init?.signal instanceof AbortSignal ? [init.signal, signal] : [signal]
      const response = await fetch(input, { ...init, signal: AbortSignal.any(signals) })
      return response.status === 429 ? withTime(response) : response
    },
  }
}

/** Everything it has to say comes as an error too, and its lines would bypass the gateway's log. */
export const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  setName: () => undefined,
  getLevel: () => LogLevel.ERROR,
}

/** Without a time the client takes a rate limit for an unknown error. */
function withTime(response: Response): Response {
  if (/^\d+$/.test(response.headers.get('retry-after') ?? '')) return response
  return new Response(null, { status: 429, headers: { 'retry-after': '10' } })
}

const TIMEOUT_MS = 30_000
