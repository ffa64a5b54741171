/**
 * Requests to places that somebody outside names: webhooks, media, key sets. Addresses are checked when the connection is made, sizes and
 * times are bounded, redirects are never followed; what does that is `gateway/guarded/`. Whoever makes such a request is given this port.
 */

export interface OutboundRequest {
  /** Default: GET. */
  readonly method?: 'GET' | 'POST'
  /** http or https, absolute. */
  readonly url: string
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string | Uint8Array
  /** How much of the answer's body is read; the rest is never received. */
  readonly maxBytes: number
  /**
   * A body that is larger, late or broken off. fail: rejects. cut: what came of it is the answer, because the status has already said
   * what had to be known. Default: fail.
   */
  readonly overflow?: 'fail' | 'cut'
  /** Until there is a connection, names and TLS included. Default: 5 s. */
  readonly connectTimeoutMs?: number
  /** For all of it. Default: 30 s. */
  readonly timeoutMs?: number
  /** An origin that the operator configured: addresses of it are not checked. Never from outside. */
  readonly trusted?: string
  readonly signal: AbortSignal
}

export interface OutboundAnswer {
  /** Whatever it is: a redirect is an answer like any other. */
  readonly status: number
  /** By lower-case name; those that came more than once joined by a comma. */
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Uint8Array
  /** The body was longer than `body`. */
  readonly isCut: boolean
}

export interface Outbound {
  /**
   * Whether such an address may be named at all, without asking a name server. Names are resolved and judged at each request anew.
   * @throws InvalidError `URL_NOT_ALLOWED` with the reason
   */
  check(url: string): URL
  /** Rejects with `OutboundFault`. A connection that the other side closed while it was idle is made anew, once: what is sent may be sent twice. */
  send(request: OutboundRequest): Promise<OutboundAnswer>
}
