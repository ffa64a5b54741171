/**
 * gRPC ingress: listens, and hands calls to the rows of the route table. Loaded only where it is configured. Who may do what, what is
 * kept and what goes wrong is decided where HTTP decides it (`gateway/http/`).
 */
import type { Socket } from 'node:net'
import type { Server, ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js'
import type { HealthImplementation } from 'grpc-health-check'
import { ConflictError, NotFoundError } from '#contract'
import type { Clock, DialogueRoute, Lifecycle, Log, Metrics, TlsSettings } from '#contract'
import type { Calls, Entered } from '../http/calls.ts'
import { bracketed, checkBinding } from '../http/guard.ts'
import { TlsFiles } from '../http/tls.ts'
import { chat } from './chat.ts'
import type { ChatStream } from './chat.ts'
import { SERVICE, loadDefinition, messageOf } from './definition.ts'
import type { Read } from './definition.ts'
import { doors } from './door.ts'
import { Entries } from './entry.ts'
import type { Entry } from './entry.ts'
import { GrpcListener } from './listener.ts'
import { keyHeader } from './metadata.ts'
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
  /** As HTTP has it; null: in the clear. */
  readonly tls: TlsSettings | null
  readonly maxMessageBytes: number
  readonly maxConnections: number
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
  readonly listener: GrpcListener
  readonly keys: TlsFiles | null
  readonly port: number
}

/** Of one connection. */
const MAX_STREAMS = 100
/** Beyond that a connection begins no more calls until what it was answered is read. */
const MAX_SESSION_MEGABYTES = 64
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
    const { host, port, insecure, tls, maxMessageBytes, maxConnections, calls, clock, log } = this.#options
    checkBinding(host, insecure || tls !== null, 'grpc.host')
    const keys = tls === null ? null : new TlsFiles({ settings: tls, clock, log: log.child({ listener: 'grpc' }) })
    const secured = (await keys?.read()) ?? null
    const [grpc, definition, { ReflectionService }, { HealthImplementation, protoPath }, { load }] = await Promise.all([
      import('@grpc/grpc-js'),
      loadDefinition(),
      import('@grpc/reflection'),
      import('grpc-health-check'),
      import('@grpc/proto-loader'),
    ])
    const entries = new Entries({ calls, doors: doors(this.#options.dialogue), clock, connectionOf: (ends) => listener.connectionOf(ends) })
    const server = new grpc.Server({
      interceptors: [entries.interceptor(grpc)],
      'grpc-node.max_session_memory': MAX_SESSION_MEGABYTES,
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': MAX_ANSWER_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS,
      'grpc.keepalive_time_ms': KEEP_ALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEP_ALIVE_TIMEOUT_MS,
      // Not without channelz: then the library (1.14) does not know its connections, and cannot cut them at the end.
      'grpc.max_connection_idle_ms': IDLE_MS,
    })
    server.addService(definition.service, this.#handlers(grpc, entries))
    const health = new HealthImplementation({ '': 'SERVING', [SERVICE]: 'SERVING' })
    health.addToServer(server)
    new ReflectionService({ ...definition.package, ...(await load(protoPath)) }).addToServer(server)
    // To the library every connection is a plain one: TLS was spoken before.
    const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure())
    const onConnection = (socket: Socket): void => injector.injectConnection(socket)
    const listener = new GrpcListener({ host, port, tls: secured, maxConnections, onConnection })
    const bound = await listener.listen()
    keys?.watch((context) => listener.replace(context))
    this.#running = { server, health, listener, keys, port: bound }
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

  async #close({ server, health, listener, keys }: Running): Promise<void> {
    this.#isStopping = true
    keys?.stop()
    for (const service of ['', SERVICE]) health.setStatus(service, 'NOT_SERVING')
    for (const each of this.#chats) each.fail(drained())
    const closed = Promise.withResolvers<void>()
    listener.close()
    server.tryShutdown(() => closed.resolve())
    const cancel = this.#options.clock.after(this.#options.stopMs ?? STOP_MS, () => {
      server.forceShutdown()
      listener.destroyAll()
      closed.resolve()
    })
    await closed.promise
    cancel()
  }

  #handlers(wire: Wire, entries: Entries): Parameters<Server['addService']>[1] {
    const unary = Object.entries(methods).map(([name, method]) => [
      name,
      (call: ServerUnaryCall<Read, object>, answer: sendUnaryData<object>) =>
        void this.#answer({ wire, method, entry: entries.of(call.metadata) }, call, answer),
    ])
    return {
      ...Object.fromEntries(unary),
      Subscribe: (stream: ServerWritableStream<Read, object>) => void this.#subscribe(wire, entries.of(stream.metadata), stream),
      Chat: (stream: ChatStream) => this.#chat(wire, entries.of(stream.metadata), stream),
    }
  }

  async #answer({ wire, method, entry }: Asking, call: ServerUnaryCall<Read, object>, answer: sendUnaryData<object>): Promise<void> {
    try {
      this.#checkOpen()
      const { key, ...asked } = method.ask(messageOf(call.request))
      const { reply } = await enteredBy(entry).call({ headers: keyHeader(call.metadata, key), ...asked })
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

  async #subscribe(wire: Wire, entry: Entry, stream: ServerWritableStream<Read, object>): Promise<void> {
    const outlet = this.#outlet(wire, entry, stream)
    try {
      this.#checkOpen()
      const { after, _after: isGiven } = messageOf(stream.request)
      const answered = await enteredBy(entry).call(isGiven === undefined ? {} : { headers: { 'last-event-id': String(after) } })
      if (!outlet.isOpen) return
      const told = answered.stream(new Subscription(outlet, () => this.#isStopping))
      // From now on nothing is missed, and the client can see that.
      stream.sendMetadata(new wire.Metadata())
      await told
    } catch (error) {
      outlet.fail(error)
    }
  }

  #chat(wire: Wire, entry: Entry, stream: ChatStream): void {
    const { calls, dialogue: route } = this.#options
    const outlet = this.#outlet(wire, entry, stream)
    try {
      this.#checkOpen()
      const { principal } = entry
      if (route === null || principal === null) throw new NotFoundError('No channel here holds conversations.', { code: 'NOT_FOUND' })
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

  #outlet(wire: Wire, { socket }: Entry, stream: ConstructorParameters<typeof Outlet>[0]): Outlet {
    const { calls, clock } = this.#options
    return new Outlet(stream, { wire, problem: (error) => calls.problem(error), clock, cut: () => socket.destroy() })
  }

  #checkOpen(): void {
    if (this.#isStopping) throw drained()
  }
}

interface Asking {
  readonly wire: Wire
  readonly method: Method
  readonly entry: Entry
}

function enteredBy({ entered }: Entry): Entered {
  if (entered === null) throw new Error('This method is no row of the table.')
  return entered
}
