/** One request as a route sees it. What only few routes ask for (the abort signal) is made when it is asked for. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { HttpRequest, JsonValue, Principal } from '#contract'
import type { ClientAddresses } from './client-address.ts'
import type { QuotaFields } from './limits.ts'

const NO_PARAMS: HttpRequest['params'] = {}
const NO_QUERY: HttpRequest['query'] = {}
const NO_BYTES = new Uint8Array(0)
const NO_QUOTA: QuotaFields = []

/** Ids of requests that brought none: unique over restarts, and cheap. */
const boot = Date.now().toString(36)
let count = 0
export const newRequestId = (): string => `req-${boot}-${(++count).toString(36)}`

/** The client's own, so that its trace does not end with us, unless it would not fit in a log or a header. */
export function requestIdOf({ 'x-request-id': given }: IncomingHttpHeaders): string {
  return typeof given === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : newRequestId()
}

export class Exchange implements HttpRequest {
  readonly id: string
  readonly startedAt: number = performance.now()
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly params: HttpRequest['params']
  readonly headers: HttpRequest['headers']
  query: HttpRequest['query'] = NO_QUERY
  body: JsonValue | undefined = undefined
  raw: Uint8Array = NO_BYTES
  principal: Principal | null = null
  readonly #writtenBefore: number
  /** What is left to the caller, for the answer's header. */
  quota: QuotaFields = NO_QUOTA
  readonly #addresses: ClientAddresses
  #ip: string | null = null
  #abort: AbortController | null = null

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    params: { readonly [name: string]: string | readonly string[] } | null,
    addresses: ClientAddresses,
  ) {
    this.request = request
    this.response = response
    this.#writtenBefore = request.socket.bytesWritten
    this.#addresses = addresses
    this.id = requestIdOf(request.headers)
    this.headers = isPlain(request.headers) ? request.headers : plain(request.headers)
    this.params = params === null ? NO_PARAMS : plain(params)
  }

  /** Of the answer, its header included; a connection serves one request after another. */
  get bytesOut(): number {
    return this.request.socket.bytesWritten - this.#writtenBefore
  }

  get ip(): string {
    return (this.#ip ??= this.#addresses.of(this.request))
  }

  get method(): string | undefined {
    return this.request.method
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      const abort = (this.#abort = new AbortController())
      const { response } = this
      const onClose = (): void => {
        if (!response.writableFinished) abort.abort(new Error('The client went away.'))
      }
      if (response.closed) onClose()
      else response.once('close', onClose)
    }
    return this.#abort.signal
  }
}

/** Node keeps one name as a list, and requests have no business with it. */
const isPlain = (headers: IncomingHttpHeaders): headers is { [name: string]: string } => headers['set-cookie'] === undefined

function plain(headers: { readonly [name: string]: string | readonly string[] | undefined }): { readonly [name: string]: string } {
  const texts: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(headers)) if (typeof value === 'string') texts[name] = value
  return texts
}
