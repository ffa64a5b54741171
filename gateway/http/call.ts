/** A request that did not come over HTTP, as a route sees it: what was asked of which row, and by whom once that is known. */
import type { Socket } from 'node:net'
import type { HttpRequest, JsonValue, Principal } from '#contract'
import { newRequestId } from './exchange.ts'

/** Who stands before another door, and nothing of what they want. */
export interface Caller {
  /** As HTTP has them: lower-case names. */
  readonly headers: HttpRequest['headers']
  /** What it came by: says from where, and who it is if it proved that. */
  readonly socket: Socket
  /** What proxies wrote into `X-Forwarded-For`; believed of trusted ones. */
  readonly forwardedFor: string | undefined
}

/** What they want of a row. */
export interface Asked {
  /** Beside those that they came with. */
  readonly headers?: HttpRequest['headers']
  readonly params?: HttpRequest['params']
  readonly query?: { readonly [name: string]: string }
  readonly body?: JsonValue
}

export class Call implements HttpRequest {
  readonly id: string = newRequestId()
  readonly startedAt: number = performance.now()
  /** As the metrics name it: the only other way in there is. */
  readonly method: string = 'GRPC'
  readonly raw: Uint8Array = NO_BYTES
  readonly ip: string
  readonly signal: AbortSignal
  readonly caller: Caller
  /** What was given, before it is checked. */
  asked: URLSearchParams = new URLSearchParams()
  given: JsonValue | undefined = undefined
  headers: HttpRequest['headers']
  params: HttpRequest['params'] = {}
  query: HttpRequest['query'] = {}
  body: JsonValue | undefined = undefined
  principal: Principal | null = null

  constructor(caller: Caller, { ip, signal }: { readonly ip: string; readonly signal: AbortSignal }) {
    this.caller = caller
    this.headers = caller.headers
    this.ip = ip
    this.signal = signal
  }

  ask({ headers = {}, params = {}, query, body }: Asked): void {
    this.headers = { ...this.caller.headers, ...headers }
    this.params = params
    this.asked = new URLSearchParams(query)
    this.given = body
  }
}

const NO_BYTES = new Uint8Array(0)
