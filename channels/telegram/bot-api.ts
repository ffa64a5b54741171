/**
 * grammY's client for single calls, over the fetch that Node brings: it tells whether a connection was made at all, which
 * decides whether a message may be sent again. No retries, no loop; what an error means is fault.ts.
 */
import { Api } from 'grammy'
import type { RawApi } from 'grammy'

export const PUBLIC_ROOT = 'https://api.telegram.org'

export interface Account {
  readonly token: string
  /** Without a slash at its end. */
  readonly root: string
}

/** The Bot API for calls that end, at the latest, after `timeoutMs` or with `signal`. */
export function botApi({ token, root }: Account, signal: AbortSignal, timeoutMs: number = CALL_TIMEOUT_MS): RawApi {
  const request = async (url: string, init: GrammyRequest): Promise<Response> => {
    // grammY's signals are of a class of their own, which Node's fetch refuses.
    const cut = new AbortController()
    init.signal.addEventListener('abort', () => cut.abort())
    const { method, headers, body } = init
    return readable(await fetch(url, { method, headers, body, signal: AbortSignal.any([signal, cut.signal]) }))
  }
  return new Api(token, { apiRoot: root, timeoutSeconds: timeoutMs / 1_000, fetch: request }).raw
}

export function fileUrl({ token, root }: Account, path: string): string {
  return `${root}/file/bot${token}/${path}`
}

interface GrammyRequest {
  readonly method: string
  readonly headers: { readonly [name: string]: string }
  readonly body: string
  readonly signal: { addEventListener(type: 'abort', listener: () => void): void }
}

const CALL_TIMEOUT_MS = 60_000

/** A gateway in between answers with a page of its own where the server fails; as the Bot API would say it. */
function readable(response: Response): Response {
  if (response.status < 500 || response.headers.get('content-type')?.includes('json') === true) return response
  void response.body?.cancel()
  return Response.json({ ok: false, error_code: response.status, description: response.statusText })
}
