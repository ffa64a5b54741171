/** A gRPC server over a hub of doubles, with a client before it. */
import type { TestContext } from 'node:test'
import type { ClientOptions } from '@grpc/grpc-js'
import type { Route } from '#contract'
import { GrpcServer } from '../../../gateway/grpc/server.ts'
import type { GrpcServerOptions } from '../../../gateway/grpc/server.ts'
import type { HttpServer, HttpServerOptions } from '../../../gateway/http/server.ts'
import { Hub, startServer } from '../http/double.ts'
import { clientOf } from './client.ts'
import type { Client, Credentials } from './client.ts'

export interface World {
  readonly hub: Hub
  readonly key: string
  readonly client: Client
  readonly grpc: GrpcServer
  readonly http: HttpServer
  readonly stopHttp: () => Promise<void>
  /** Another client, of its own connection. */
  readonly clientWith: (credentials?: Credentials, options?: ClientOptions) => Client
}

export interface Settings extends Partial<GrpcServerOptions> {
  readonly hub?: Hub
  readonly routes?: readonly Route[]
  readonly overHttp?: Partial<HttpServerOptions>
}

export async function start(t: TestContext, { hub = new Hub(), routes, overHttp = {}, ...change }: Settings = {}): Promise<World> {
  // Before the HTTP server, which looks for timers that are left.
  let stop = (): Promise<void> => Promise.resolve()
  t.after(() => stop())
  const { server, key } = await startServer(t, { hub, ...(routes !== undefined && { routes }), ...overHttp })
  const grpc = new GrpcServer({ ...optionsOf(hub, change), calls: server.calls })
  await grpc.start()
  const clients: Client[] = []
  const clientWith: World['clientWith'] = (credentials, options) => {
    const client = clientOf(grpc.address, key, credentials, options)
    clients.push(client)
    return client
  }
  stop = async () => {
    for (const { service } of clients) service.close()
    const stopped = grpc.stop()
    hub.clock.advance(60_000)
    await stopped
  }
  return { hub, key, client: clientWith(), clientWith, grpc, http: server, stopHttp: () => server.stop() }
}

/** Without `calls`: nothing is called before it listens. */
export const optionsOf = (hub: Hub, change: Partial<GrpcServerOptions> = {}): GrpcServerOptions => ({
  host: '127.0.0.1',
  port: 0,
  insecure: false,
  tls: null,
  maxMessageBytes: 1_048_576,
  maxConnections: 1_000,
  calls: null as never,
  dialogue: null,
  clock: hub.clock,
  log: hub.log,
  metrics: hub.metrics,
  ...change,
})
