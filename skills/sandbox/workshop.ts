/**
 * Makes the sandboxes, with what they share: the way out, and packages. Nothing of it is loaded before it is needed. Which one a skill runs in is
 * for the runner to say.
 */
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock, Log, Metrics } from '#contract'
import type { Packages } from '../dependencies/packages.ts'
import type { Gate } from '../egress/gate.ts'
import type { EgressProxy } from '../egress/proxy.ts'
import type { SkillsSettings } from '../settings.ts'
import { GatewaySandbox } from './gateway/gateway.ts'
import type { Sandbox } from './sandbox.ts'

export interface WorkshopOptions {
  readonly settings: SkillsSettings
  /** The folder `.openclaw` of the gateway. */
  readonly dir: string
  readonly env: { readonly [name: string]: string | undefined }
  readonly isPublicAddress: (address: string) => boolean
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

export class Workshop {
  readonly make: { readonly [name in Sandbox['name']]: () => Promise<Sandbox> }
  readonly #options: WorkshopOptions
  #gate: Promise<Gate> | null = null
  #egress: Promise<EgressProxy> | null = null
  #packages: Promise<{ readonly packages: Packages; readonly stop: () => void }> | null = null

  constructor(options: WorkshopOptions) {
    this.#options = options
    this.make = {
      docker: () => this.#docker(),
      bubblewrap: () => this.#bubblewrap(),
      quickjs: () => this.#quickJs(),
      gateway: async () => new GatewaySandbox(options),
    }
  }

  /** After the sandboxes have stopped. */
  async stop(): Promise<void> {
    const packages = await this.#packages?.catch(() => null)
    await packages?.packages.stop()
    packages?.stop()
    const egress = await this.#egress?.catch(() => null)
    await egress?.stop()
  }

  async #docker(): Promise<Sandbox> {
    const { DockerSandbox } = await import('./docker/docker.ts')
    const volumes = { volume: async (bundle: Parameters<Packages['volume']>[0]) => (await this.#havePackages()).packages.volume(bundle) }
    return new DockerSandbox({ ...this.#options, egress: await this.#haveEgress(), volumes })
  }

  async #bubblewrap(): Promise<Sandbox> {
    const { BubblewrapSandbox } = await import('./bubblewrap/bubblewrap.ts')
    return new BubblewrapSandbox({ ...this.#options, egress: await this.#haveEgress(), folders: null })
  }

  async #quickJs(): Promise<Sandbox> {
    const [{ QuickJsSandbox }, { egressFetch }, gate] = await Promise.all([
      import('./quickjs/quickjs.ts'),
      import('../egress/fetch.ts'),
      this.#haveGate(),
    ])
    const { settings, clock, log, metrics } = this.#options
    const { maxQueued, queueMs } = settings
    return new QuickJsSandbox({ clock, log, fetch: egressFetch({ gate, log, metrics }), limits: { maxQueued, queueMs } })
  }

  #haveGate(): Promise<Gate> {
    const { isPublicAddress, settings } = this.#options
    this.#gate ??= import('../egress/gate.ts').then(({ Gate }) => new Gate({ isPublicAddress, privateHosts: settings.privateHosts }))
    return this.#gate
  }

  /** null: sockets cannot be made here, which the log says; skills that declare hosts are refused. */
  async #haveEgress(): Promise<EgressProxy | null> {
    this.#egress ??= this.#openEgress()
    try {
      return await this.#egress
    } catch (error) {
      this.#options.log.warn({ error: error instanceof Error ? error.message : String(error) }, 'Skills in sandboxes have no way out.')
      return null
    }
  }

  async #openEgress(): Promise<EgressProxy> {
    const [{ EgressProxy }, gate] = await Promise.all([import('../egress/proxy.ts'), this.#haveGate()])
    const { dir, log, metrics } = this.#options
    // Its own for each gateway, the same in each of its lives, and short.
    const name = createHash('sha256').update(dir).digest('hex').slice(0, 12)
    const proxy = new EgressProxy({ root: join(tmpdir(), `openclaw-${name}`), gate, log, metrics })
    await proxy.start()
    return proxy
  }

  #havePackages(): Promise<{ readonly packages: Packages; readonly stop: () => void }> {
    this.#packages ??= this.#openPackages()
    return this.#packages
  }

  async #openPackages(): Promise<{ readonly packages: Packages; readonly stop: () => void }> {
    const [{ Packages }, { DockerodeEngine }, { engineSocket }, { termsOf }, { makeInstance }] = await Promise.all([
      import('../dependencies/packages.ts'),
      import('./docker/dockerode-engine.ts'),
      import('./docker/socket.ts'),
      import('./docker/terms.ts'),
      import('./docker/instance.ts'),
    ])
    const { settings, dir, env, clock, log } = this.#options
    const { socket, image, runtime } = settings.docker
    const { wheelhouse, npmCache } = settings.dependencies
    const engine = new DockerodeEngine({ socket: engineSocket(socket, env), clock })
    const packages = new Packages({
      engine,
      image,
      runtime,
      instance: () => makeInstance(dir),
      terms: () => termsOf(engine),
      dir,
      shelf: { wheelhouse: wheelhouse ?? join(dir, 'wheelhouse'), npmCache: npmCache ?? join(dir, 'npm-cache') },
      clock,
      log,
    })
    return { packages, stop: () => engine.stop() }
  }
}
