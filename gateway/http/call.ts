/** A request that did not come over HTTP, as a route sees it: what was asked of which row, and by whom once that is known. */
import type { HttpRequest, JsonValue, Principal } from '#contract'
import { newRequestId } from './exchange.ts'

export interface Asked {
  /** Of the row: `POST /v1/messages`. */
  readonly row: string
  /** As HTTP has them: lower-case names. */
  readonly headers: HttpRequest['headers']
  readonly params?: HttpRequest['params']
  readonly query?: { readonly [name: string]: string }
  readonly body?: JsonValue
  /** Where it came from. */
  readonly ip: string
  readonly signal: AbortSignal
}

export class Call implements HttpRequest {
  readonly id: string = newRequestId()
  readonly startedAt: number = performance.now()
  /** As the metrics name it: the only other way in there is. */
  readonly method: string = 'GRPC'
  readonly headers: HttpRequest['headers']
  readonly params: HttpRequest['params']
  readonly raw: Uint8Array = NO_BYTES
  readonly ip: string
  readonly signal: AbortSignal
  /** What was given, before it is checked. */
  readonly asked: URLSearchParams
  readonly given: JsonValue | undefined
  query: HttpRequest['query'] = {}
  body: JsonValue | undefined = undefined
  principal: Principal | null = null

  constructor({ headers, params, query, body, ip, signal }: Asked) {
    this.headers = headers
    this.params = params ?? {}
    this.asked = new URLSearchParams(query)
    this.given = body
    this.ip = ip
    this.signal = signal
  }
}

const NO_BYTES = new Uint8Array(0)
