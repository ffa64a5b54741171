/**
 * Requests that leave HTTP (WebSocket). Checked as all others: host, origin (a browser opens sockets across origins and sends cookies along,
 * so the origin must be ours), who it is, whether they may. Then the socket is the channel's.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { DeniedError, NotFoundError, may } from '#contract'
import type { Principal, UpgradeRoute } from '#contract'
import { endSocket } from './answer.ts'
import { checkPermission, mountedAs } from './app.ts'
import type { Credentials, Proven } from './credentials.ts'
import { requestIdOf } from './exchange.ts'
import type { Guard } from './guard.ts'
import { networkOf } from './client-address.ts'
import type { ClientAddresses } from './client-address.ts'
import type { Limits } from './limits.ts'
import type { Meter } from './meter.ts'
import { problemOf } from './problem.ts'

/** How browsers, which cannot set headers here, hand over a token (the scheme is Kubernetes'). */
const TOKEN_PROTOCOL = 'base64url.bearer.authorization.openclaw.'

export interface UpgradeOptions {
  readonly routes: readonly UpgradeRoute[]
  readonly guard: Guard
  readonly credentials: Credentials
  readonly meter: Meter
  readonly limits: Limits
  readonly addresses: ClientAddresses
  /** Who the connection's own certificate proves. */
  readonly certified: (request: IncomingMessage) => Proven | null
}

export class Upgrades {
  readonly #routes: ReadonlyMap<string, UpgradeRoute>
  readonly #guard: Guard
  readonly #credentials: Credentials
  readonly #meter: Meter
  readonly #limits: Limits
  readonly #addresses: ClientAddresses
  readonly #certified: UpgradeOptions['certified']
  /** Every socket that left HTTP and is still open. */
  readonly #sockets = new Set<Duplex>()

  constructor(options: UpgradeOptions) {
    for (const route of options.routes) checkPermission(route, [])
    this.#routes = new Map(options.routes.flatMap((route) => mountedAs(route.path).map((path) => [path, route])))
    this.#guard = options.guard
    this.#credentials = options.credentials
    this.#meter = options.meter
    this.#limits = options.limits
    this.#addresses = options.addresses
    this.#certified = options.certified
  }

  async handle(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const startedAt = performance.now()
    const onError = (): void => {
      socket.destroy()
    }
    socket.on('error', onError)
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    const route = this.#routes.get(path)
    const ip = this.#addresses.of(request)
    const id = requestIdOf(request.headers)
    let status = 101
    let error: unknown
    let principal: Principal | null = null
    try {
      this.#guard.checkHost(request)
      this.#guard.checkOrigin(request.headers)
      principal = await this.#prove(request, ip)
      if (principal === null) this.#limits.stranger(ip)
      else this.#limits.known(this.#credentials.countedAs(principal))
      if (request.method !== 'GET' || route === undefined)
        throw new NotFoundError('There is no socket at this path.', { code: 'NOT_FOUND' })
      if (principal !== null && !may(principal, route.permission)) {
        this.#meter.authFailures.inc(['scope'])
        throw new DeniedError(`This needs the scope ${route.permission}.`, { code: 'INSUFFICIENT_SCOPE', reason: 'forbidden' })
      }
      if (socket.destroyed) return
      socket.off('error', onError)
      route.handle(request, socket, head, {
        principal,
        ip: networkOf(ip),
        authenticate: (token) => this.#authenticate(token, request, ip),
        waitOf: (who) => this.#limits.waitOf(this.#credentials.countedAs(who)),
        onRevoked: (who, gone) => this.#credentials.onEnd(who, gone),
      })
    } catch (thrown) {
      error = thrown
      const problem = problemOf(thrown, id)
      status = problem.status
      endSocket(socket, { ...problem, headers: { ...problem.headers, 'x-request-id': id } })
    }
    this.#meter.record({
      id,
      method: 'GET',
      route: route?.path ?? 'none',
      status,
      startedAt,
      principal,
      traceparent: undefined,
      error,
    })
  }

  /** For the end of all: the channels have closed theirs by now, or never will. */
  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #proven(request: IncomingMessage, by: string | null): Proven | null | Promise<Proven | null> {
    return by === null ? this.#certified(request) : this.#credentials.prove(request.headers)
  }

  async #authenticate(token: string, { headers }: IncomingMessage, ip: string): Promise<Principal | null> {
    this.#limits.checkLock(ip, 'bearer', headers)
    const principal = await this.#credentials.authenticate(token)
    if (principal === null) this.#limits.failed(ip, 'bearer')
    return principal
  }

  /** A token that was given must hold. A cookie that does not is nobody: the page may yet say who it is. */
  async #prove(request: IncomingMessage, ip: string): Promise<Principal | null> {
    const { headers } = request
    const by = this.#credentials.classOf(headers)
    if (by !== null) this.#limits.checkLock(ip, by, headers)
    const token = headers.authorization === undefined ? tokenOf(headers['sec-websocket-protocol']) : null
    const principal = token === null ? ((await this.#proven(request, by))?.principal ?? null) : await this.#authenticate(token, request, ip)
    if (principal === null && token === null && by !== null) this.#limits.failed(ip, by)
    if (principal === null && (token !== null || headers.authorization !== undefined)) {
      throw new DeniedError('The credential is not valid (any more).', { code: 'CREDENTIAL_INVALID', reason: 'unauthenticated' })
    }
    return principal
  }
}

function tokenOf(protocols: string | undefined): string | null {
  const offered = protocols?.split(/, */).find((protocol) => protocol.startsWith(TOKEN_PROTOCOL))
  return offered === undefined ? null : Buffer.from(offered.slice(TOKEN_PROTOCOL.length), 'base64url').toString()
}
