/**
 * A real Mosquitto for tests and benches: own port on 127.0.0.1, own folder, stopped by pid. It can be killed and brought back on
 * the same port with the same sessions. Knows nothing of the gateway.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { endProcess } from './child.ts'
import { temporaryFolder, type Scope } from './gateway-process.ts'
import { facilities } from './machine.ts'

const START_LIMIT_MS = 10_000
const STOP_LIMIT_MS = 5_000
const MAX_OUTPUT_CHARS = 100_000

/** null: this machine has none. */
export const mosquittoPath = (): string | null => facilities(process.env).find(({ name }) => name === 'Mosquitto')?.path ?? null

export class Mosquitto {
  readonly port: number
  readonly dir: string
  readonly #program: string
  #process: ChildProcess | null = null
  #output = ''

  private constructor(program: string, port: number, dir: string) {
    this.#program = program
    this.port = port
    this.dir = dir
  }

  /** `password`: only `tester` with it is let in; none: anybody. */
  static async start(scope: Scope, options: { readonly password?: string } = {}): Promise<Mosquitto> {
    const program = mosquittoPath()
    if (program === null) throw new Error('Mosquitto is not on this machine; set MOSQUITTO_PATH.')
    const sweeps: (() => Promise<void>)[] = []
    const dir = temporaryFolder({ after: (run) => void sweeps.push(run) })
    const mosquitto = new Mosquitto(program, await freePort(), dir)
    const { password } = options
    if (password !== undefined) execFileSync('mosquitto_passwd', ['-b', '-c', join(dir, 'passwords'), 'tester', password])
    writeFileSync(join(dir, 'mosquitto.conf'), configuration({ port: mosquitto.port, dir, isGuarded: password !== undefined }))
    scope.after(async () => {
      await mosquitto.kill9()
      for (const sweep of sweeps) await sweep()
    })
    await mosquitto.up()
    return mosquitto
  }

  url(port: number = this.port): string {
    return `mqtt://127.0.0.1:${port}`
  }

  output(): string {
    return this.#output
  }

  /** Brings it back with the sessions that it had written. */
  async up(): Promise<void> {
    const child = spawn(this.#program, ['-c', join(this.dir, 'mosquitto.conf'), '-v'], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    const killWithUs = (): void => void child.kill('SIGKILL')
    process.once('exit', killWithUs)
    child.once('exit', () => process.removeListener('exit', killWithUs))
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const bound = setTimeout(() => reject(new Error(`Mosquitto did not come up; it said:\n${this.#output}`)), START_LIMIT_MS)
    const hear = (chunk: Buffer): void => {
      const text = chunk.toString()
      this.#output = (this.#output + text).slice(-MAX_OUTPUT_CHARS)
      if (/mosquitto version \S+ running/.test(text)) resolve()
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.once('error', reject)
    child.once('close', () => reject(new Error(`Mosquitto ended; it said:\n${this.#output}`)))
    await promise.finally(() => clearTimeout(bound))
  }

  /** As a loss of power is; what it had not written yet is gone. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** In good order: all sessions are written. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child !== null) await endProcess(child, signal, STOP_LIMIT_MS)
  }
}

function configuration({ port, dir, isGuarded }: { readonly port: number; readonly dir: string; readonly isGuarded: boolean }): string {
  return [
    `listener ${port} 127.0.0.1`,
    isGuarded ? `allow_anonymous false\npassword_file ${join(dir, 'passwords')}` : 'allow_anonymous true',
    'persistence true',
    `persistence_location ${dir}/`,
    // Written at every change, so that a kill loses nothing that it acknowledged.
    'autosave_interval 1',
    'autosave_on_changes true',
    'max_queued_messages 0',
    'max_inflight_messages 100',
    'set_tcp_nodelay true',
    // Run as root it would become another user, who cannot write here.
    'user root',
    '',
  ].join('\n')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
