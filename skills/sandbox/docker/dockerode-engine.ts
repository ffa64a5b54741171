/**
 * A container engine over its socket, through dockerode, which is loaded with the first call. Every call has a limit, all go through
 * one breaker, and connections taken over from HTTP are watched from their first moment: an unheard 'error' would end the gateway.
 */
import { Agent } from 'node:http'
import { Duplex, finished } from 'node:stream'
import { inspect } from 'node:util'
import type Dockerode from 'dockerode'
import type { Clock, JsonObject } from '#contract'
import { Breaker } from './breaker.ts'
import { Demux } from './demux.ts'
import { readFacts } from './facts.ts'
import {
  EngineAway,
  EngineRefusal,
  type ContainerState,
  type Engine,
  type EngineFacts,
  type EngineImage,
  type EngineVolumes,
  type Line,
  type Listed,
} from './engine.ts'

const CALL_LIMIT_MS = 5_000
const START_LIMIT_MS = 10_000
const MAX_REASON_CHARS = 300

interface Waiting {
  readonly limitMs: number
  readonly what: string
}

export class DockerodeEngine implements Engine, EngineVolumes {
  readonly socket: string
  readonly #clock: Clock
  readonly #breaker: Breaker
  readonly #underWay = new Set<AbortController>()
  readonly #lines = new Set<Duplex>()
  /** A connection a call: one that was kept would break the first call after the engine was restarted. */
  readonly #agent = new QuietAgent({ keepAlive: false })
  #client: Promise<Dockerode> | null = null
  #isStopped = false

  constructor({ socket, clock }: { readonly socket: string; readonly clock: Clock }) {
    this.socket = socket
    this.#clock = clock
    this.#breaker = new Breaker(clock)
  }

  async facts(): Promise<EngineFacts> {
    const limits = { limitMs: CALL_LIMIT_MS, what: 'tell about itself' }
    const [info, version] = await this.#call(limits, (docker) => Promise.all([docker.info(), docker.version()]))
    return readFacts(info, version)
  }

  async name(): Promise<EngineFacts['name']> {
    const found = await this.#unlessGone(() => this.#call({ limitMs: CALL_LIMIT_MS, what: 'tell what it is' }, podmanPing))
    return found === null ? 'Docker' : 'Podman'
  }

  async image(tag: string): Promise<EngineImage | null> {
    const limits = { limitMs: CALL_LIMIT_MS, what: `find the image ${tag}` }
    const found = await this.#unlessGone(() => this.#call(limits, (docker) => docker.getImage(tag).inspect()))
    return found === null ? null : { id: found.Id, labels: found.Config.Labels ?? {} }
  }

  async create(body: JsonObject): Promise<string> {
    const limits = { limitMs: CALL_LIMIT_MS, what: 'create a container' }
    const { id } = await this.#call(limits, (docker, abortSignal) => {
      // With no `_query` dockerode would write the whole body into the address as well. Its types know neither.
      const options: Dockerode.ContainerCreateOptions & { _query: JsonObject; _body: JsonObject } = { _query: {}, _body: body, abortSignal }
      return docker.createContainer(options)
    })
    return id
  }

  async attach(id: string): Promise<Line> {
    const limits = { limitMs: CALL_LIMIT_MS, what: 'attach to a container' }
    const connection = await this.#call(limits, (docker, signal) => dial(docker, id, signal))
    this.#lines.add(connection)
    const demux = new Demux()
    // A connection that breaks ends the container's use, which `ended` tells; there is nothing else to do about it.
    connection.on('error', () => {})
    demux.on('error', () => connection.destroy())
    const ended = new Promise<void>((resolve) => {
      finished(connection, { writable: false }, () => {
        connection.destroy()
        this.#lines.delete(connection)
        demux.end()
        resolve()
      })
    })
    connection.pipe(demux)
    return { input: connection, output: demux, complaints: () => demux.complaints, ended, close: () => void connection.destroy() }
  }

  async start(id: string): Promise<void> {
    await this.#call({ limitMs: START_LIMIT_MS, what: 'start a container' }, (docker, abortSignal) =>
      docker.getContainer(id).start({ abortSignal }),
    )
  }

  async state(id: string): Promise<ContainerState | null> {
    const limits = { limitMs: CALL_LIMIT_MS, what: 'tell how a container is' }
    const found = await this.#unlessGone(() => this.#call(limits, (docker) => docker.getContainer(id).inspect()))
    return found === null ? null : { isRunning: found.State.Running, isOutOfMemory: found.State.OOMKilled, exitCode: found.State.ExitCode }
  }

  async remove(id: string): Promise<void> {
    const limits = { limitMs: START_LIMIT_MS, what: 'remove a container' }
    await this.#unlessGone(() =>
      this.#call(limits, (docker, abortSignal) => docker.getContainer(id).remove({ force: true, v: true, abortSignal })),
    )
  }

  async list(labels: { readonly [name: string]: string }): Promise<readonly Listed[]> {
    const label = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
    const found = await this.#call({ limitMs: CALL_LIMIT_MS, what: 'list its containers' }, (docker, abortSignal) =>
      docker.listContainers({ all: true, filters: { label }, abortSignal }),
    )
    return found.map(({ Id, Labels, State }) => ({ id: Id, labels: Labels, isRunning: State === 'running' }))
  }

  async createVolume(name: string, labels: { readonly [name: string]: string }): Promise<void> {
    const limits = { limitMs: CALL_LIMIT_MS, what: 'create a volume' }
    await this.#call(limits, (docker, abortSignal) => docker.createVolume({ Name: name, Labels: { ...labels }, abortSignal }))
  }

  async removeVolume(name: string): Promise<boolean> {
    const limits = { limitMs: START_LIMIT_MS, what: 'remove a volume' }
    try {
      await this.#call(limits, (docker, abortSignal) => docker.getVolume(name).remove({ abortSignal }))
    } catch (error) {
      if (!(error instanceof EngineRefusal) || error.status !== 404) throw error
    }
    return true
  }

  async volumes(labels: { readonly [name: string]: string }): Promise<readonly string[]> {
    const label = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
    const found = await this.#call({ limitMs: CALL_LIMIT_MS, what: 'list its volumes' }, (docker, abortSignal) =>
      docker.listVolumes({ filters: { label }, abortSignal }),
    )
    return (found.Volumes ?? []).map(({ Name }) => Name)
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  stop(): void {
    this.#isStopped = true
    for (const abort of this.#underWay) abort.abort()
    for (const line of this.#lines) line.destroy()
    this.#agent.destroy()
  }

  async #call<T>(waiting: Waiting, run: (docker: Dockerode, signal: AbortSignal) => Promise<T>): Promise<T> {
    const docker = await this.#connect()
    if (this.#isStopped) throw new EngineAway('The gateway is stopping.')
    return this.#breaker.run(() => this.#bounded(waiting, (signal) => run(docker, signal)))
  }

  async #bounded<T>({ limitMs, what }: Waiting, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const abort = new AbortController()
    const { promise: late, reject } = Promise.withResolvers<never>()
    this.#underWay.add(abort)
    abort.signal.addEventListener('abort', () => reject(new EngineAway(`The container engine at ${this.socket} did not ${what} in time.`)))
    const disarm = this.#clock.after(limitMs, () => abort.abort())
    try {
      return await Promise.race([run(abort.signal), late])
    } catch (error) {
      throw this.#faultOf(error, what)
    } finally {
      disarm()
      this.#underWay.delete(abort)
    }
  }

  /** null when the engine says that there is none such; a removal that is under way comes to the same. */
  async #unlessGone<T>(call: () => Promise<T>): Promise<T | null> {
    try {
      return await call()
    } catch (error) {
      if (error instanceof EngineRefusal && (error.status === 404 || error.status === 409)) return null
      throw error
    }
  }

  #connect(): Promise<Dockerode> {
    this.#client ??= import('dockerode').then(({ default: Docker }) => {
      // host: '' keeps it from reading the environment, which `socket.ts` has done. Its types do not know `agent`.
      const options: Dockerode.DockerOptions & { readonly agent: Agent } = { socketPath: this.socket, host: '', agent: this.#agent }
      return new Docker(options)
    })
    return this.#client
  }

  #faultOf(error: unknown, what: string): EngineAway | EngineRefusal {
    if (error instanceof EngineAway) return error
    const { statusCode, code, message } = error as { statusCode?: unknown; code?: unknown; message?: unknown }
    if (typeof statusCode === 'number') {
      const reason = String(message).slice(0, MAX_REASON_CHARS).trim()
      return new EngineRefusal(`The container engine would not ${what}: ${reason}`, statusCode, error)
    }
    const why =
      code === 'ENOENT' || code === 'ECONNREFUSED'
        ? `No container engine answers at ${this.socket}. Start Docker or Podman, or set \`skills.docker.socket\`.`
        : code === 'EACCES' || code === 'EPERM'
          ? `The gateway may not use the container engine at ${this.socket}. Put its user into the group that owns the socket.`
          : `The container engine at ${this.socket} broke off when it should ${what}.`
    return new EngineAway(why, error)
  }
}

/** docker-modem describes each request to a log that nobody reads, with every socket of its agent: milliseconds, were it not for this. */
class QuietAgent extends Agent {
  [inspect.custom](): string {
    return 'Agent'
  }
}

/** What only Podman answers. Its `/version` takes it most of a second. */
function podmanPing(docker: Dockerode, abortSignal: AbortSignal): Promise<true> {
  return new Promise((resolve, reject) => {
    const options = { path: '/libpod/_ping', method: 'GET', abortSignal, statusCodes: { 200: true, 404: 'not found' } }
    docker.modem.dial(options, (error: unknown) => (error instanceof Error ? reject(error) : resolve(true)))
  })
}

/**
 * dockerode's own `attach` sends its options as a body, and Podman hands that on to the container's standard input
 * (https://github.com/apocas/dockerode/issues/742); an empty
 * `file` and no options is a request without any. The last character of such a path is cut off by docker-modem.
 */
function dial(docker: Dockerode, id: string, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const path = `/containers/${id}/attach?stream=1&stdin=1&stdout=1&stderr=1&`
    const statusCodes = { 101: true, 200: true, 400: 'bad parameter', 404: 'no such container', 409: 'conflict', 500: 'server error' }
    const options = { path, method: 'POST', isStream: true, hijack: true, file: Buffer.alloc(0), abortSignal: signal, statusCodes }
    docker.modem.dial(options, (error: unknown, connection: unknown) => {
      if (error instanceof Error) reject(error)
      else if (!(connection instanceof Duplex)) reject(new Error('no connection'))
      else if (signal.aborted) connection.destroy()
      else resolve(connection)
    })
  })
}
