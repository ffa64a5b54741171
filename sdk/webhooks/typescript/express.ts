/**
 * `verifyWebhook` as middleware of Express, after `express.raw({ type: '*\/*' })`: what is not from the gateway is answered 401, what came
 * before 409, and a mistake of the program goes to the error handler. Knows Express by its shape only, so any version will do.
 */
import { SignatureVerificationError, verifyWebhook } from './verify-webhook.ts'
import type { VerifyOptions, WebhookEvent } from './verify-webhook.ts'

interface Request {
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined }
  readonly body?: unknown
  webhook?: WebhookEvent
}
interface Response {
  status(code: number): { json(body: unknown): unknown }
}

/** The event is `request.webhook` for the handlers that follow. */
export function webhookReceiver(
  secret: string | readonly string[],
  options: VerifyOptions = {},
): (request: Request, response: Response, next: (error?: unknown) => void) => Promise<void> {
  return async (request, response, next) => {
    // Where there is no body, express.raw leaves nothing (5) or an empty object (4).
    const body = hasBody(request) ? (request.body as Uint8Array) : ''
    let fault: unknown
    try {
      request.webhook = await verifyWebhook(body, request.headers, secret, options)
    } catch (error) {
      fault = error
    }
    if (fault instanceof SignatureVerificationError && !PROGRAM.has(fault.reason)) {
      response.status(fault.reason === 'replayed' ? 409 : 401).json({ error: fault.reason })
    } else next(fault)
  }
}

const hasBody = ({ headers }: Request): boolean => headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
const PROGRAM: ReadonlySet<string> = new Set(['raw_body_needed', 'secret_missing'])
