/**
 * A real Kafka broker for tests and benches: one node that is its own controller (KRaft), on free ports of 127.0.0.1, in a folder of its
 * own, stopped by pid. It can be killed and brought back on the same ports with the same data. One of its addresses leads through a
 * TCP proxy and asks for a password. Knows nothing of the gateway.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import kafkajs from 'kafkajs'
import { endProcess } from './child.ts'
import { temporaryFolder, type Scope } from './gateway-process.ts'
import { kafkaJars } from './kafka-jars.ts'
import { facilities } from './machine.ts'
import { TcpProxy } from './tcp-proxy.ts'

const START_LIMIT_MS = 60_000
const STOP_LIMIT_MS = 15_000
const MAX_OUTPUT_CHARS = 100_000
/** Little memory, and up in two seconds. */
const JVM = ['-Xms64m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn']
/** Any 16 bytes as base64url. */
const CLUSTER = 'b3BlbmNsYXctdGVzdC1rYQ'

/** null: this machine has no Java, or neither the jars nor Maven. */
export const javaPath = (): string | null => facilities(process.env).find(({ name }) => name === 'Kafka')?.path ?? null

interface Ports {
  readonly plain: number
  readonly proxied: number
  readonly controller: number
}

export class Kafka {
  /** Between `proxied` and the broker. */
  readonly proxy: TcpProxy
  readonly user: string = 'tester'
  readonly password: string = 'let-me-in'
  readonly #java: string
  readonly #jars: string
  readonly #properties: string
  readonly #ports: Ports
  #node: ChildProcess | null = null
  #output = ''

  private constructor(o: { java: string; jars: string; properties: string; ports: Ports; proxy: TcpProxy }) {
    this.#java = o.java
    this.#jars = o.jars
    this.#properties = o.properties
    this.#ports = o.ports
    this.proxy = o.proxy
  }

  /** Up and ready; it goes with its scope. Takes about four seconds. */
  static async start(scope: Scope): Promise<Kafka> {
    const java = javaPath()
    if (java === null) throw new Error('There is no Kafka broker on this machine; set KAFKA_JAVA, and have the jars or Maven.')
    const jars = await kafkaJars(process.env)
    // The folder has to go after the process, so the same hook sweeps it.
    const sweeps: (() => Promise<void>)[] = []
    const dir = temporaryFolder({ after: (run) => void sweeps.push(run) })
    const [plain = 0, proxied = 0, controller = 0] = await freePorts(3)
    const ports = { plain, proxied, controller }
    const proxy = await TcpProxy.open({ after: (run) => void sweeps.unshift(run) }, proxied)
    const kafka = new Kafka({ java, jars, properties: join(dir, 'server.properties'), ports, proxy })
    scope.after(async () => {
      await kafka.kill9()
      for (const sweep of sweeps) await sweep()
    })
    writeFileSync(kafka.#properties, properties(kafka, dir))
    await promisify(execFile)(java, kafka.#program('kafka.tools.StorageTool', 'format', '-t', CLUSTER, '-c', kafka.#properties), {
      timeout: START_LIMIT_MS,
    })
    await kafka.up()
    return kafka
  }

  get ports(): Ports {
    return this.#ports
  }
  /** Straight to the broker. */
  get address(): string {
    return `127.0.0.1:${this.#ports.plain}`
  }
  /** Through the proxy, which is also what the broker tells clients there about itself. Asks for `user` and `password` (SASL PLAIN). */
  get proxied(): string {
    return `127.0.0.1:${this.proxy.port}`
  }
  output(): string {
    return this.#output
  }

  /** Brings it back with the data that it had, if it is down. */
  async up(): Promise<void> {
    if (this.#node !== null) return
    this.#output = ''
    const node = spawn(this.#java, this.#program('kafka.Kafka', this.#properties), { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#node = node
    const killWithUs = (): void => void node.kill('SIGKILL')
    process.once('exit', killWithUs)
    node.once('exit', () => process.removeListener('exit', killWithUs))
    const hear = (chunk: Buffer): void => void (this.#output = (this.#output + chunk.toString()).slice(-MAX_OUTPUT_CHARS))
    node.stdout.on('data', hear)
    node.stderr.on('data', hear)
    const ended = once(node, 'close').then((): never => {
      throw new Error(`Kafka ended before it was ready; it said:\n${this.#output}`)
    })
    await Promise.race([ready(this.address, () => this.#output), ended])
    ended.catch(() => {})
  }

  /** As a loss of power is; `up` brings it back. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** In good order: it hands over, and closes its files. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  #program(main: string, ...args: readonly string[]): string[] {
    return [...JVM, '-cp', join(this.#jars, '*'), main, ...args]
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const node = this.#node
    this.#node = null
    if (node !== null) await endProcess(node, signal, STOP_LIMIT_MS)
  }
}

function properties({ ports, proxy, user, password }: Kafka, dir: string): string {
  const at = (name: string, port: number): string => `${name}://127.0.0.1:${port}`
  const lines = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${ports.controller}`,
    listeners: [at('PLAIN', ports.plain), at('PROXIED', ports.proxied), at('CONTROLLER', ports.controller)].join(),
    'advertised.listeners': [at('PLAIN', ports.plain), at('PROXIED', proxy.port)].join(),
    'listener.security.protocol.map': 'PLAIN:PLAINTEXT,PROXIED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAIN',
    'controller.listener.names': 'CONTROLLER',
    'listener.name.proxied.sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.proxied.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_${user}="${password}";`,
    'log.dirs': join(dir, 'data'),
    'num.partitions': '1',
    'offsets.topic.num.partitions': '1',
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // After a kill the node waits until its own former self is taken for dead.
    'broker.heartbeat.interval.ms': '500',
    'broker.session.timeout.ms': '2000',
  }
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

/** Listening is not enough: the broker has to be let in by its own controller. */
async function ready(address: string, output: () => string): Promise<void> {
  const { Kafka: Client, logLevel } = kafkajs
  const deadline = Date.now() + START_LIMIT_MS
  for (;;) {
    const client = new Client({ clientId: 'ready', brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 0 } })
    const admin = client.admin()
    try {
      await admin.connect()
      const { brokers } = await admin.describeCluster()
      if (brokers.length === 1) return
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`Kafka did not come up; it said:\n${output()}`, { cause: error })
    } finally {
      await admin.disconnect()
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
