/**
 * A gateway for the chat page to talk to: serves `console/` under the page's policy, and speaks the HTTP API and the
 * WebSocket protocol as far as the page uses them. Nothing happens in it by itself: a test says when a message runs, streams, is
 * answered, fails, and when the connection is cut. Knows nothing of the real gateway's code.
 */
import { EventEmitter, once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname } from 'node:path'
import { WebSocketServer, type WebSocket } from 'ws'

export interface FakeReply {
  readonly seq: number
  readonly text: string
  readonly index: number
  readonly of: number
}

export interface FakeChannel {
  readonly name: string
  readonly kind: string
  state: string
  reason: string | null
  paused: boolean
  readonly canLink: boolean
  readonly access: { readonly access: string; readonly group_access: string } | null
  pairings: { readonly code: string; readonly sender: string; readonly aliases: readonly string[] }[]
}

export interface FakeMessage {
  readonly id: string
  readonly clientId: string
  readonly conversation: string
  readonly text: string
  status: string
  reason: { readonly code: string; readonly message: string } | null
  dueAt: string | null
  deadLetter: string | null
  readonly acceptedAt: string
  readonly replies: FakeReply[]
}

const CONSOLE = new URL('../../console/', import.meta.url)
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
const KINDS: { readonly [extension: string]: string } = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}
const PRINCIPAL = 'admin'
const COOKIE = 'oc=signed-in'

export class FakeGateway {
  readonly code: string = 'one-time-code'
  readonly key: string = 'oc_the_admin_key'
  /** Every frame that came in, as it came. */
  readonly frames: { readonly type: string; readonly [member: string]: unknown }[] = []
  /** How many WebSockets there have been. */
  connections = 0
  /** What was asked for over HTTP: `GET /v1/whoami`. */
  readonly requests: string[] = []
  /** While true, messages come in and nothing is accepted or acknowledged. */
  holdAcks = false
  /** While true, messages are accepted and their acknowledgements wait for `sendAcks`. */
  delayAcks = false
  /** While true, nobody gets a WebSocket. */
  refuseSockets = false
  /** What whoever is signed in may do. */
  scopes: readonly string[] = ['*']
  /** How many documents a page of messages holds at most. */
  pageLimit = 100
  /** Answers the next message frame with this error instead of accepting it. */
  refuseNext: { readonly code: string; readonly detail: string; readonly retryable: boolean; readonly retry_after_ms?: number } | null =
    null
  readonly channels: FakeChannel[] = []
  /** Why the next change of a channel is refused. */
  refuseChange: string | null = null
  /** Streams on which a channel is being linked, newest last, with what was asked for. */
  readonly linkings: { readonly body: unknown; readonly response: ServerResponse }[] = []
  readonly #delayedAcks: (() => void)[] = []
  #codeUsed = false
  #signedIn = true
  #seq = 0
  readonly #messages: FakeMessage[] = []
  readonly #events = new EventEmitter()
  readonly #subscribed = new Map<WebSocket, Set<string>>()
  readonly #sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'openclaw.v1' })
  readonly #server: Server = createServer((request, response) => void this.#answer(request, response))

  get url(): string {
    const { port } = this.#server.address() as AddressInfo
    return `http://127.0.0.1:${port}`
  }

  get link(): string {
    return `${this.url}/#code=${this.code}`
  }

  get messages(): readonly FakeMessage[] {
    return this.#messages
  }

  async start(): Promise<void> {
    this.#server.on('upgrade', (request, socket, head) => {
      const isAllowed = !this.refuseSockets && this.#isSignedIn(request) && request.headers.origin === this.url
      if (isAllowed && this.scopes.includes('*')) this.#sockets.handleUpgrade(request, socket, head, (client) => this.#welcome(client))
      else socket.destroy()
    })
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  async stop(): Promise<void> {
    this.cut()
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  /** Breaks every WebSocket without a word. */
  cut(): void {
    for (const client of this.#subscribed.keys()) client.terminate()
    this.#subscribed.clear()
  }

  sendAcks(): void {
    for (const send of this.#delayedAcks.splice(0)) send()
  }

  /** The cookie is worth nothing from here on. */
  revoke(): void {
    this.#signedIn = false
    for (const client of this.#subscribed.keys()) client.close(4401)
  }

  /** Puts a finished exchange into the past. */
  seed(conversation: string, text: string, reply: string): FakeMessage {
    const message = this.#keep(`seed-${this.#messages.length}`, conversation, text)
    message.status = 'done'
    message.replies.push({ seq: ++this.#seq, text: reply, index: 0, of: 1 })
    return message
  }

  /** Somebody says something in a conversation without this page. */
  sayElsewhere(conversation: string, text: string): FakeMessage {
    return this.#keep(`elsewhere-${this.#messages.length}`, conversation, text)
  }

  /** The message with these words, as soon as it is accepted. */
  async accepted(text: string): Promise<FakeMessage> {
    for (;;) {
      const found = this.#messages.findLast((message) => message.text === text)
      if (found) return found
      await once(this.#events, 'accepted', { signal: AbortSignal.timeout(10_000) })
    }
  }

  /** Resolves when so many frames of a type have come in altogether. */
  async received(type: string, count: number): Promise<void> {
    while (this.frames.filter((frame) => frame.type === type).length < count) {
      await once(this.#events, 'frame', { signal: AbortSignal.timeout(10_000) })
    }
  }

  /** Resolves when something was asked for so many times. */
  async requested(request: string, count: number): Promise<void> {
    while (this.requests.filter((asked) => asked === request).length < count) {
      await once(this.#events, 'request', { signal: AbortSignal.timeout(10_000) })
    }
  }

  status(message: FakeMessage, status: string, reason: FakeMessage['reason'] = null): void {
    message.status = status
    message.reason = reason
    this.#tell(message.conversation, { type: 'status', message_id: message.id, status, reason: reason?.message ?? null })
  }

  delta(message: FakeMessage, text: string | null): void {
    this.#tell(message.conversation, { type: 'delta', message_id: message.id, text })
  }

  /** The durable reply, in as many parts as there are texts; the message is done with it. */
  reply(message: FakeMessage, ...texts: readonly string[]): void {
    for (const [index, text] of texts.entries()) {
      const reply = { seq: ++this.#seq, text, index, of: texts.length }
      message.replies.push(reply)
      this.#tell(message.conversation, { type: 'reply', message_id: message.id, ...reply })
    }
    this.status(message, 'done')
  }

  #keep(clientId: string, conversation: string, text: string): FakeMessage {
    const id = `msg-${String(this.#messages.length + 1).padStart(26, '0')}`
    const acceptedAt = new Date(Date.now() - 60_000 + this.#messages.length).toISOString()
    const message = {
      id,
      clientId,
      conversation,
      text,
      status: 'queued',
      reason: null,
      dueAt: null,
      deadLetter: null,
      acceptedAt,
      replies: [],
    }
    this.#messages.push(message)
    return message
  }

  #welcome(client: WebSocket): void {
    this.connections++
    this.#subscribed.set(client, new Set())
    client.on('message', (data) => this.#receive(client, JSON.parse((data as Buffer).toString())))
    client.on('close', () => this.#subscribed.delete(client))
    client.send(JSON.stringify({ type: 'ready', principal: PRINCIPAL, ping_ms: 30_000 }))
  }

  #receive(client: WebSocket, frame: { type: string; id: string; conversation: string; payload: string; since: number }): void {
    this.frames.push(frame)
    this.#events.emit('frame')
    if (frame.type === 'ping') return client.send(JSON.stringify({ type: 'pong' }))
    if (frame.type === 'subscribe') return this.#subscribe(client, frame.conversation, frame.since)
    if (this.refuseNext) {
      client.send(JSON.stringify({ type: 'error', id: frame.id, ...this.refuseNext }))
      this.refuseNext = null
      return
    }
    if (this.holdAcks) return
    const known = this.#messages.find((message) => message.clientId === frame.id)
    const message = known ?? this.#keep(frame.id, frame.conversation, frame.payload)
    this.#subscribed.get(client)?.add(frame.conversation)
    const ack = { type: 'ack', id: frame.id, message_id: message.id, conversation: frame.conversation, status: 'queued' }
    const send = (): void => client.send(JSON.stringify({ ...ack, duplicate: known !== undefined }))
    if (this.delayAcks) this.#delayedAcks.push(send)
    else send()
    this.#events.emit('accepted')
  }

  #subscribe(client: WebSocket, conversation: string, since: number): void {
    this.#subscribed.get(client)?.add(conversation)
    let last = 0
    for (const message of this.#messages.filter((message) => message.conversation === conversation)) {
      for (const reply of message.replies) {
        last = reply.seq
        if (reply.seq <= since) continue
        client.send(JSON.stringify({ type: 'reply', conversation, message_id: message.id, ...reply }))
      }
    }
    client.send(JSON.stringify({ type: 'subscribed', conversation, last_seq: last }))
  }

  #tell(conversation: string, frame: object): void {
    for (const [client, conversations] of this.#subscribed) {
      if (conversations.has(conversation)) client.send(JSON.stringify({ ...frame, conversation }))
    }
  }

  #isSignedIn(request: IncomingMessage): boolean {
    return this.#signedIn && (request.headers.cookie ?? '').includes(COOKIE)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url)
    this.requests.push(`${request.method} ${pathname}`)
    this.#events.emit('request')
    if (!pathname.startsWith('/v1/')) return this.#file(pathname === '/' ? 'index.html' : pathname.slice(1), response)
    if (pathname === '/v1/console/session') return this.#session(request, response)
    if (!this.#isSignedIn(request)) return problem(response, 401, 'Nobody is signed in.')
    const [, , collection = '', id = '', part] = pathname.split('/').map(decodeURIComponent)
    if (collection === 'whoami') return json(response, { principal: PRINCIPAL, scopes: this.scopes })
    if (collection === 'sessions' && part === 'messages') return json(response, { data: this.#memory(id), cursor: null })
    if (collection === 'sessions') return json(response, { data: this.#sessions(), cursor: null })
    if (collection === 'channels') return this.#channel(request, response, pathname.split('/').slice(3).map(decodeURIComponent))
    if (collection !== 'messages') return problem(response, 404, 'There is no such resource.')
    if (id === '') return json(response, this.#page(searchParams))
    const message = this.#messages.find((message) => message.id === id)
    return message ? json(response, documentOf(message)) : problem(response, 404, 'There is no such message.')
  }

  /** Resolves when somebody began linking for the `count`th time. */
  async linkingBegun(count: number): Promise<void> {
    while (this.linkings.length < count) await once(this.#events, 'request', { signal: AbortSignal.timeout(10_000) })
  }

  /** Tells everybody who is linking. */
  linkStep(event: string, data: object): void {
    for (const { response } of this.linkings.filter((each) => !each.response.destroyed))
      response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }

  async #channel(request: IncomingMessage, response: ServerResponse, [name, verb, code, what]: readonly string[]): Promise<void> {
    if (name === undefined) return json(response, { data: this.channels.map(channelDocument), cursor: null })
    const channel = this.channels.find((each) => each.name === name)
    if (channel === undefined) return problem(response, 404, 'There is no channel of this name.')
    if (request.method === 'GET') return json(response, { data: channel.pairings, cursor: null })
    if (request.headers['x-openclaw-csrf'] !== '1') return problem(response, 403, 'The header X-OpenClaw-CSRF is missing.')
    if (this.refuseChange !== null) return problem(response, 409, this.refuseChange)
    if (verb === 'link') {
      const body = JSON.parse(Buffer.concat(await request.toArray()).toString()) as unknown
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 3000\n\n:\n\n')
      this.linkings.push({ body, response })
      this.#events.emit('request')
      return
    }
    if (verb === 'pause' || verb === 'resume') channel.paused = verb === 'pause'
    else if (what === 'approve' || request.method === 'DELETE') channel.pairings = channel.pairings.filter((each) => each.code !== code)
    this.requests.push(`done ${verb ?? ''}`)
    this.#events.emit('request')
    json(response, channelDocument(channel))
  }

  async #file(name: string, response: ServerResponse): Promise<void> {
    const content = await readFile(new URL(name, CONSOLE)).catch(() => null)
    const type = KINDS[extname(name)]
    if (content === null || type === undefined) return problem(response, 404, 'There is no such file.')
    response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY, 'x-content-type-options': 'nosniff' }).end(content)
  }

  async #session(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    if (request.headers['x-openclaw-csrf'] !== '1') return problem(response, 403, 'The header X-OpenClaw-CSRF is missing.')
    if (request.method === 'DELETE') return void response.writeHead(204, { 'set-cookie': 'oc=; Max-Age=0; Path=/' }).end()
    const proof = JSON.parse(Buffer.concat(chunks).toString()) as { code?: string; key?: string }
    const isCode = proof.code === this.code && !this.#codeUsed
    if (isCode) this.#codeUsed = true
    if (!isCode && proof.key !== this.key) return problem(response, 401, 'This proves nothing.')
    this.#signedIn = true
    response.writeHead(204, { 'set-cookie': `${COOKIE}; HttpOnly; SameSite=Strict; Path=/` }).end()
  }

  #sessions(): readonly object[] {
    const mine = [...new Set(this.#messages.map(({ conversation }) => conversation))].map((conversation) => ({
      id: sessionOf(conversation),
      updated_at: this.#messages.findLast((message) => message.conversation === conversation)?.acceptedAt,
    }))
    const others = { id: 'agent:main:websocket:somebody-else:direct:c-theirs', updated_at: new Date().toISOString() }
    return [...mine, others, { ...others, id: 'agent:main:websocket:admin:group:c-group' }]
  }

  #memory(session: string): readonly object[] {
    const messages = this.#messages.filter(({ conversation }) => sessionOf(conversation) === session)
    return messages
      .flatMap(({ text, replies }) => [{ role: 'user', text }, ...replies.map((reply) => ({ role: 'assistant', text: reply.text }))])
      .toReversed()
  }

  #page(query: URLSearchParams): object {
    const all = this.#messages.filter(({ conversation }) => sessionOf(conversation) === query.get('session')).toReversed()
    const from = Number(query.get('cursor') ?? '0')
    const to = from + Math.min(Number(query.get('limit')), this.pageLimit)
    return { data: all.slice(from, to).map(documentOf), cursor: to < all.length ? String(to) : null }
  }
}

const sessionOf = (conversation: string): string => `agent:main:websocket:${PRINCIPAL}:direct:${encodeURIComponent(conversation)}`

const channelDocument = (channel: FakeChannel): object => ({
  ...channel,
  pairings: undefined,
  canLink: undefined,
  last_inbound_at: '2030-01-01T10:00:00.000Z',
  last_sent_at: null,
  capabilities: { link: channel.canLink },
  open_pairings: channel.pairings.length,
})

function documentOf(message: FakeMessage): object {
  return {
    message_id: message.id,
    status: message.status,
    channel: 'websocket',
    agent: 'main',
    session: sessionOf(message.conversation),
    reason: message.reason,
    due_at: message.dueAt,
    dead_letter_id: message.deadLetter,
    accepted_at: message.acceptedAt,
    payload: { text: message.text },
    replies: message.replies.map((reply) => ({ id: `dlv-${reply.seq}`, ...reply, status: 'sent' })),
    steps: [],
  }
}

function json(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function problem(response: ServerResponse, status: number, detail: string): void {
  const body = { type: 'about:blank', title: 'Refused', status, detail }
  response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(body))
}
