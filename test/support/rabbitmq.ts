/**
 * A real RabbitMQ node for tests and benches: own ports, own epmd, own folder, on 127.0.0.1 only, stopped by pid. It can be killed and
 * brought back on the same port with the same data. No service of the machine is touched. Knows nothing of the gateway.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { endProcess } from './child.ts'
import { temporaryFolder, type Scope } from './gateway-process.ts'
import { facilities } from './machine.ts'

const START_LIMIT_MS = 60_000
const CTL_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 15_000
const MAX_OUTPUT_CHARS = 100_000
const USER = 'tester'

/** null: this machine has none. */
export const rabbitmqPath = (): string | null => facilities(process.env).find(({ name }) => name === 'RabbitMQ')?.path ?? null

export class Rabbitmq {
  readonly port: number
  readonly user: string = USER
  readonly password: string = randomBytes(8).toString('hex')
  readonly #program: string
  readonly #env: NodeJS.ProcessEnv
  readonly #epmd: ChildProcess
  #node: ChildProcess | null = null
  #output = ''

  private constructor({ program, env, port, epmd }: { program: string; env: NodeJS.ProcessEnv; port: number; epmd: ChildProcess }) {
    this.#program = program
    this.#env = env
    this.#epmd = epmd
    this.port = port
  }

  /** Up and ready; it goes with its scope. Takes some seconds. */
  static async start(scope: Scope): Promise<Rabbitmq> {
    const program = rabbitmqPath()
    if (program === null) throw new Error('RabbitMQ is not on this machine; set RABBITMQ_SERVER_PATH.')
    // The folder has to go after the processes, so the same hook sweeps it.
    const sweeps: (() => Promise<void>)[] = []
    const dir = temporaryFolder({ after: (run) => void sweeps.push(run) })
    const [port, distribution, epmdPort] = await freePorts(3)
    const env = environment({ dir, port, distribution, epmdPort })
    const epmd = spawn('epmd', ['-port', String(epmdPort), '-address', '127.0.0.1'], { env, stdio: 'ignore' })
    epmd.on('error', () => {})
    const rabbitmq = new Rabbitmq({ program, env, port, epmd })
    writeFileSync(join(dir, 'rabbitmq.conf'), configuration(USER, rabbitmq.password))
    scope.after(async () => {
      await rabbitmq.kill9()
      rabbitmq.#epmd.kill('SIGKILL')
      for (const sweep of sweeps) await sweep()
    })
    await rabbitmq.up()
    return rabbitmq
  }

  /** Of the node itself, or of a proxy before it. */
  url(port: number = this.port): string {
    return `amqp://${this.user}:${this.password}@127.0.0.1:${port}`
  }

  output(): string {
    return this.#output
  }

  /** Brings it back with the data that it had. */
  async up(): Promise<void> {
    this.#output = ''
    const node = spawn(this.#program, [], { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#node = node
    const killWithUs = (): void => void node.kill('SIGKILL')
    process.once('exit', killWithUs)
    node.once('exit', () => process.removeListener('exit', killWithUs))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const bound = setTimeout(() => reject(new Error(`RabbitMQ did not come up; it said:\n${this.#output}`)), START_LIMIT_MS)
    const hear = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-MAX_OUTPUT_CHARS)
      if (this.#output.includes('Server startup complete')) resolve()
    }
    node.stdout.on('data', hear)
    node.stderr.on('data', hear)
    node.once('error', reject)
    node.once('close', () => reject(new Error(`RabbitMQ ended; it said:\n${this.#output}`)))
    await promise.finally(() => clearTimeout(bound))
  }

  /** As a loss of power is; `up` brings it back. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** In good order: connections are told CONNECTION_FORCED. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** `rabbitmqctl` on this node; takes a second or two. */
  async ctl(...args: readonly string[]): Promise<string> {
    const program = join(dirname(this.#program), 'rabbitmqctl')
    const { stdout } = await promisify(execFile)(program, ['-q', ...args], { env: this.#env, timeout: CTL_LIMIT_MS })
    return stdout
  }

  /** Rows of `rabbitmqctl list_…`, by the names of their columns. */
  async list(what: 'queues' | 'consumers' | 'connections' | 'channels', ...columns: readonly string[]): Promise<readonly Row[]> {
    return JSON.parse(await this.ctl('--formatter', 'json', `list_${what}`, ...columns)) as readonly Row[]
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const node = this.#node
    this.#node = null
    if (node !== null) await endProcess(node, signal, STOP_LIMIT_MS)
  }
}

interface Row {
  readonly [column: string]: string | number | boolean | object
}

/** Nothing of the machine's own configuration, and no other way in than loopback. */
function environment(o: { dir: string; port: number; distribution: number; epmdPort: number }): NodeJS.ProcessEnv {
  const home = join(o.dir, 'home')
  mkdirSync(home, { recursive: true })
  writeFileSync(join(o.dir, 'enabled_plugins'), '[].\n')
  return {
    PATH: `${process.env['PATH'] ?? ''}:/usr/bin:/bin`,
    LANG: 'C.UTF-8',
    // Where Erlang keeps the cookie by which the node and rabbitmqctl know each other.
    HOME: home,
    ERL_EPMD_PORT: String(o.epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `openclaw-${o.port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(o.port),
    RABBITMQ_DIST_PORT: String(o.distribution),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(o.dir, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(o.dir, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(o.dir, 'data'),
    RABBITMQ_LOG_BASE: o.dir,
    RABBITMQ_LOGS: '-',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    // The script then becomes the node instead of watching over it, so that its pid is the node's.
    RUNNING_UNDER_SYSTEMD: 'true',
  }
}

const configuration = (user: string, password: string): string =>
  [
    `default_user = ${user}`,
    `default_pass = ${password}`,
    'default_permissions.configure = .*',
    'default_permissions.read = .*',
    'default_permissions.write = .*',
    'loopback_users = none',
    // A disk that is full elsewhere is not what is tested.
    'disk_free_limit.absolute = 1MB',
    '',
  ].join('\n')

async function freePorts(count: 3): Promise<readonly [number, number, number]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const [a = 0, b = 0, c = 0] = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return [a, b, c]
}
