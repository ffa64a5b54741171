/**
 * Meta's side of the WhatsApp Cloud API over loopback: the Graph API's calls for one phone number, and the signed webhook that it
 * posts to until it is answered 2xx. Knows nothing of who uses it.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface CloudMessage {
  readonly id: string
  readonly to: string
  readonly body: { readonly [member: string]: unknown }
  readonly at: number
}

/** What the next call to send meets. */
export type CloudMishap =
  | { readonly kind: 'error'; readonly status: number; readonly code: number; readonly retryAfter?: number }
  /** Nothing. */
  | { readonly kind: 'none' }
  /** Sent, and the connection breaks before the answer. */
  | { readonly kind: 'lost' }

export const ACCESS_TOKEN = 'EAAG-test-token-of-a-system-user'
export const APP_SECRET = 'app-secret-0123456789abcdef'
export const PHONE_NUMBER_ID = '106540352242922'
const RETRY_MS = 200

export class WhatsAppCloudServer {
  readonly sent: CloudMessage[] = []
  readonly typing: string[] = []
  readonly files: Map<string, { readonly type: string; readonly bytes: Uint8Array }> = new Map()
  /** Posts that were not answered 2xx yet. */
  readonly waiting: Set<string> = new Set()
  readonly mishaps: CloudMishap[] = []
  /** Called at whatever happens. */
  onEvent: () => void = () => undefined
  refused = 0
  isTokenValid = true
  /** Numbers that every send fails to, for the moment. */
  readonly unreachable: Set<string> = new Set()
  failures = 0
  webhook: string | null = null
  /** Statuses of what was sent are posted. */
  tellsStatus = true
  readonly #server: Server
  readonly #stop = new AbortController()
  #queue: Promise<void> = Promise.resolve()
  #count = 0

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async open(): Promise<WhatsAppCloudServer> {
    const fake = new WhatsAppCloudServer()
    fake.#server.listen(0, '127.0.0.1')
    await once(fake.#server, 'listening')
    return fake
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  newId(): string {
    return `wamid.${randomBytes(12).toString('base64url')}${++this.#count}`
  }

  /** Queues a notification with these messages or statuses; it is posted until it is taken. Resolves at once. */
  notify(key: string, value: { readonly [member: string]: unknown }, numberId: string = PHONE_NUMBER_ID): void {
    const body = JSON.stringify({
      object: 'whatsapp_business_account',
      entry: [
        {
          id: '102290129340398',
          changes: [
            {
              field: 'messages',
              value: {
                messaging_product: 'whatsapp',
                metadata: { display_phone_number: '15550783881', phone_number_id: numberId },
                ...value,
              },
            },
          ],
        },
      ],
    })
    this.waiting.add(key)
    this.#queue = this.#queue.then(() => this.#post(key, body))
  }

  sign(body: string): string {
    return `sha256=${createHmac('sha256', APP_SECRET).update(body).digest('hex')}`
  }

  async #post(key: string, body: string): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        if (this.webhook === null) throw new Error('no webhook')
        const headers = { 'content-type': 'application/json', 'x-hub-signature-256': this.sign(body) }
        const response = await fetch(this.webhook, { method: 'POST', body, headers, signal: this.#stop.signal })
        await response.arrayBuffer()
        if (response.ok) {
          this.waiting.delete(key)
          this.onEvent()
          return
        }
      } catch {
        // Not there: again.
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Uint8Array[] = []
    for await (const chunk of request) chunks.push(chunk as Uint8Array)
    const path = new URL(request.url ?? '/', this.url).pathname
    const authorized = request.headers.authorization === `Bearer ${ACCESS_TOKEN}` && this.isTokenValid
    if (!authorized) {
      this.refused++
      this.onEvent()
      return fail(response, 401, 190, 'Error validating access token')
    }
    const [, , first = '', second] = path.split('/')
    const file = this.files.get(first)
    if (path.startsWith('/files/')) {
      const content = this.files.get(path.slice('/files/'.length))
      if (content === undefined) return void response.writeHead(404).end()
      return void response.writeHead(200, { 'content-type': content.type }).end(content.bytes)
    }
    if (request.method === 'GET' && first === PHONE_NUMBER_ID) return json(response, 200, { id: PHONE_NUMBER_ID })
    if (request.method === 'GET' && file !== undefined)
      return json(response, 200, { url: `${this.url}/files/${first}`, mime_type: file.type, id: first, messaging_product: 'whatsapp' })
    if (request.method === 'POST' && first === PHONE_NUMBER_ID && second === 'messages')
      return this.#send(JSON.parse(Buffer.concat(chunks).toString()) as { [member: string]: unknown }, response)
    fail(response, 400, 100, 'Unsupported request')
  }

  #send(body: { readonly [member: string]: unknown }, response: ServerResponse): void {
    if (body['messaging_product'] !== 'whatsapp') return fail(response, 400, 100, 'Invalid parameter')
    if (body['status'] === 'read') {
      this.typing.push(String(body['message_id']))
      this.onEvent()
      return json(response, 200, { success: true })
    }
    if (this.unreachable.has(String(body['to']))) {
      this.failures++
      this.onEvent()
      return fail(response, 500, 131_000, 'Something went wrong')
    }
    const mishap = this.mishaps.shift()
    if (mishap?.kind === 'error') return fail(response, mishap.status, mishap.code, 'as the test wants', mishap.retryAfter)
    const text = body['text'] as { readonly body?: string } | undefined
    if (body['type'] === 'text' && ((text?.body ?? '') === '' || (text?.body ?? '').length > 4_096))
      return fail(response, 400, 100, 'Invalid parameter')
    const id = this.newId()
    const to = String(body['to'])
    this.sent.push({ id, to, body, at: Date.now() })
    if (this.tellsStatus) {
      const status = {
        id,
        status: 'sent',
        timestamp: seconds(),
        recipient_id: to,
        biz_opaque_callback_data: body['biz_opaque_callback_data'],
      }
      this.notify(`status-${id}`, { statuses: [status] })
    }
    this.onEvent()
    if (mishap?.kind === 'lost') response.destroy()
    else json(response, 200, { messaging_product: 'whatsapp', contacts: [{ input: to, wa_id: to }], messages: [{ id }] })
  }
}

export const seconds = (): string => String(Math.floor(Date.now() / 1_000))

function json(response: ServerResponse, status: number, body: unknown, headers: { readonly [name: string]: string } = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

function fail(response: ServerResponse, status: number, code: number, message: string, retryAfter?: number): void {
  const error = { message, type: 'OAuthException', code, fbtrace_id: 'AbCdEf' }
  json(response, status, { error }, retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) })
}
