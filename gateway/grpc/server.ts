/**
 * gRPC ingress: listens, and hands calls to the rows of the route table. Loaded only where it is configured. Who may do what, what is
 * kept and what goes wrong is decided where HTTP decides it (`gateway/http/`).
 */
import type { Server, ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js'
import type { HealthImplementation } from 'grpc-health-check'
import { ConflictError, NotFoundError, describeError } from '#contract'
import type { Clock, DialogueRoute, HttpRequest, Lifecycle, Log, Metrics } from '#contract'
import type { Calls } from '../http/calls.ts'
import { bracketed, checkBinding } from '../http/guard.ts'
import { chat } from './chat.ts'
import type { ChatStream } from './chat.ts'
import { SERVICE, loadDefinition, messageOf } from './definition.ts'
import type { Read } from './definition.ts'
import { addressOf, headersOf } from './metadata.ts'
import { methods, objectOf } from './method.ts'
import type { Method } from './method.ts'
import { Outlet } from './outlet.ts'
import { statusOf } from './status.ts'
import type { Wire } from './status.ts'
import { Subscription, drained, ended } from './subscription.ts'

export interface GrpcServerOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Beyond loopback without TLS: somebody said yes. */
  readonly insecure: boolean
  readonly maxMessageBytes: number
  readonly calls: Calls
  /** The conversation that a channel lends; null: there is no Chat. */
  readonly dialogue: DialogueRoute | null
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  /** How long `stop` waits for answers that are being made. */
  readonly stopMs?: number
}

interface Running {
  readonly server: Server
  readonly health: HealthImplementation
  readonly port: number
}

/** Of one connection. */
const MAX_STREAMS = 100
/** A whole message of the store may be an answer. */
const MAX_ANSWER_BYTES = 16_777_216
const KEEP_ALIVE_MS = 30_000
const KEEP_ALIVE_TIMEOUT_MS = 10_000
const IDLE_MS = 300_000
const STOP_MS = 5_000

export class GrpcServer implements Lifecycle {
  readonly #options: GrpcServerOptions
  /** Chats, to be ended by `stop`; subscriptions are among the HTTP server's streams. Bounded by what the channel takes. */
  readonly #chats = new Set<Outlet>()
  #running: Running | null = null
  #stopped: Promise<void> = Promise.resolve()
  #isStopping = false

  constructor(options: GrpcServerOptions) {
    this.#options = options
    options.metrics
      .gauge({ name: 'openclaw_grpc_chats_active', help: 'Open conversations over gRPC.' })
      .collect((set) => set(this.#chats.size))
  }

  /** `host:port`; valid after `start`. */
  get address(): string {
    if (this.#running === null) throw new ConflictError('The gRPC server is not started.', { code: 'NOT_STARTED' })
    return `${bracketed(this.#options.host)}:${this.#running.port}`
  }

  async start(): Promise<void> {
    if (this.#running !== null) return
    const { host, port, insecure, maxMessageBytes } = this.#options
    checkBinding(host, insecure, 'grpc.host')
    const [grpc, definition, { ReflectionService }, { HealthImplementation, protoPath }, { load }] = await Promise.all([
      import('@grpc/grpc-js'),
      loadDefinition(),
      import('@grpc/reflection'),
      import('grpc-health-check'),
      import('@grpc/proto-loader'),
    ])
    const server = new grpc.Server({
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': MAX_ANSWER_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS,
      'grpc.keepalive_time_ms': KEEP_ALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEP_ALIVE_TIMEOUT_MS,
      // Not without channelz: then the library (1.14) does not know its connections, and cannot cut them at the end.
      'grpc.max_connection_idle_ms': IDLE_MS,
    })
    server.addService(definition.service, this.#handlers(grpc))
    const health = new HealthImplementation({ '': 'SERVING', [SERVICE]: 'SERVING' })
    health.addToServer(server)
    new ReflectionService({ ...definition.package, ...(await load(protoPath)) }).addToServer(server)
    // The one place where TLS will come in.
    const bound = await bind(server, `${bracketed(host)}:${port}`, grpc.ServerCredentials.createInsecure())
    this.#running = { server, health, port: bound }
    this.#isStopping = false
  }

  stop(): Promise<void> {
    const running = this.#running
    if (running !== null) {
      this.#running = null
      this.#stopped = this.#close(running)
    }
    return this.#stopped
  }

  async #close({ server, health }: Running): Promise<void> {
    this.#isStopping = true
    for (const service of ['', SERVICE]) health.setStatus(service, 'NOT_SERVING')
    for (const each of this.#chats) each.fail(drained())
    const closed = Promise.withResolvers<void>()
    server.tryShutdown(() => closed.resolve())
    const cancel = this.#options.clock.after(this.#options.stopMs ?? STOP_MS, () => {
      server.forceShutdown()
      closed.resolve()
    })
    await closed.promise
    cancel()
  }

  #handlers(wire: Wire): Parameters<Server['addService']>[1] {
    const unary = Object.entries(methods).map(([name, method]) => [
      name,
      (call: ServerUnaryCall<Read, object>, answer: sendUnaryData<object>) => void this.#answer(wire, method, call, answer),
    ])
    return {
      ...Object.fromEntries(unary),
      Subscribe: (stream: ServerWritableStream<Read, object>) => void this.#subscribe(wire, stream),
      Chat: (stream: ChatStream) => void this.#chat(wire, stream),
    }
  }

  async #answer(wire: Wire, method: Method, call: ServerUnaryCall<Read, object>, answer: sendUnaryData<object>): Promise<void> {
    const gone = new AbortController()
    // Also at the deadline: the library cancels then.
    call.on('cancelled', () => gone.abort(new Error('The client went away.')))
    try {
      this.#checkOpen()
      const { key, ...asked } = method.ask(messageOf(call.request))
      const headers = headersOf(call.metadata, key)
      const { reply } = await this.#options.calls.call({
        row: method.row,
        headers,
        ...asked,
        ip: addressOf(call.getPeer()),
        signal: gone.signal,
      })
      if (!('body' in reply) || reply.status >= 400) throw new Error(`${method.row} answered in a form that gRPC has none for.`)
      const metadata = new wire.Metadata()
      for (const name of ['idempotency-replayed'] as const) {
        const value = reply.headers?.[name]
        if (value !== undefined) metadata.set(name, value)
      }
      answer(null, method.reply(objectOf(reply.body)), metadata)
    } catch (error) {
      answer(statusOf(wire, this.#options.calls.problem(error)))
    }
  }

  async #subscribe(wire: Wire, stream: ServerWritableStream<Read, object>): Promise<void> {
    const { calls } = this.#options
    const outlet = new Outlet(stream, wire, (error) => calls.problem(error))
    try {
      this.#checkOpen()
      const message = messageOf(stream.request)
      const headers: HttpRequest['headers'] = {
        ...headersOf(stream.metadata),
        ...(message['_after'] !== undefined && { 'last-event-id': String(message['after']) }),
      }
      const answered = await calls.call({ row: 'GET /v1/events/stream', headers, ip: addressOf(stream.getPeer()), signal: outlet.signal })
      if (!outlet.isOpen) return
      const told = answered.stream(new Subscription(outlet, () => this.#isStopping))
      // From now on nothing is missed, and the client can see that.
      stream.sendMetadata(new wire.Metadata())
      await told
    } catch (error) {
      outlet.fail(error)
    }
  }

  async #chat(wire: Wire, stream: ChatStream): Promise<void> {
    const { calls, dialogue: route } = this.#options
    const outlet = new Outlet(stream, wire, (error) => calls.problem(error))
    try {
      this.#checkOpen()
      if (route === null) throw new NotFoundError('No channel here holds conversations.', { code: 'NOT_FOUND' })
      const principal = await calls.admit({ headers: headersOf(stream.metadata), ip: addressOf(stream.getPeer()) }, route.permission)
      if (!outlet.isOpen) return
      chat(stream, outlet, { route, principal, waitOf: () => calls.waitOf(principal) })
      const forget = calls.onEnd(principal, () => outlet.fail(ended()))
      this.#chats.add(outlet)
      outlet.signal.addEventListener(
        'abort',
        () => {
          forget()
          this.#chats.delete(outlet)
        },
        { once: true },
      )
    } catch (error) {
      outlet.fail(error)
    }
  }

  #checkOpen(): void {
    if (this.#isStopping) throw drained()
  }
}

function bind(server: Server, address: string, credentials: Parameters<Server['bindAsync']>[1]): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port)
      else {
        reject(
          new ConflictError(
            `Cannot listen for gRPC on ${address}: ${describeError(error).message}. Set \`grpc.port\` to another (0: any free one).`,
            {
              code: 'LISTEN_FAILED',
              cause: error,
            },
          ),
        )
      }
    })
  })
}
