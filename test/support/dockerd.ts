/**
 * A container engine of our own for tests and benches: own folder, own socket, own namespaces of network and mounts (an engine without
 * a bridge deletes that of its neighbour), stopped by pid. It can be killed, held still and brought back with the same containers. Needs root.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { endProcess } from './child.ts'
import { eventually } from './eventually.ts'
import { temporaryFolder, type Scope } from './gateway-process.ts'

const START_LIMIT_MS = 30_000
const STOP_LIMIT_MS = 20_000
const MAX_OUTPUT_CHARS = 50_000

export class Dockerd {
  readonly socket: string
  readonly #program: string
  readonly #dir: string
  readonly #hasBridge: boolean
  #process: ChildProcess | null = null
  #output = ''

  private constructor(program: string, { dir, hasBridge }: { readonly dir: string; readonly hasBridge: boolean }) {
    this.#program = program
    this.#dir = dir
    this.#hasBridge = hasBridge
    this.socket = join(dir, 'docker.sock')
  }

  /** Up and answering; it and all that it ran go with its scope. `hasBridge`: with the network that containers get unasked. */
  static async start(scope: Scope, program: string, { hasBridge = false }: { readonly hasBridge?: boolean } = {}): Promise<Dockerd> {
    const sweeps: (() => Promise<void>)[] = []
    const dockerd = new Dockerd(program, { dir: temporaryFolder({ after: (run) => void sweeps.push(run) }), hasBridge })
    scope.after(async () => {
      // One that was killed has to come back to clear away its containers.
      if (dockerd.#process === null) await dockerd.up().catch(() => {})
      dockerd.signal('SIGCONT')
      await dockerd.stop()
      for (const sweep of sweeps) await sweep()
    })
    await dockerd.up()
    return dockerd
  }

  output(): string {
    return this.#output
  }

  async up(): Promise<void> {
    const [data, run] = [join(this.#dir, 'data'), join(this.#dir, 'run')]
    const args = [
      ...(this.#hasBridge ? [] : ['--bridge=none']),
      '--iptables=false',
      '--ip-forward=false',
      '--ip-masq=false',
      '--log-level=warn',
    ]
    const places = [`--data-root=${data}`, `--exec-root=${run}`, `--pidfile=${join(this.#dir, 'pid')}`, `--host=unix://${this.socket}`]
    // No shell and no wrapper stays between: `unshare` becomes the engine.
    const child = spawn('unshare', ['--net', '--mount', '--', this.#program, ...args, ...places], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    const hear = (chunk: Buffer): void => void (this.#output = (this.#output + chunk.toString()).slice(-MAX_OUTPUT_CHARS))
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.on('error', (error) => hear(Buffer.from(error.message)))
    const killWithUs = (): void => void child.kill('SIGTERM')
    process.once('exit', killWithUs)
    child.once('close', () => process.removeListener('exit', killWithUs))
    const isUp = async (): Promise<boolean> => {
      if (child.exitCode !== null) throw new Error(`dockerd did not come up; it said:\n${this.#output}`)
      return this.#answers()
    }
    await eventually(isUp, () => `dockerd (it said:\n${this.#output})`, START_LIMIT_MS)
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name)
  }

  /** As a crash is: its containers may go on alone. */
  async kill9(): Promise<void> {
    await this.#end('SIGKILL')
    // It leaves its containerd behind; the next one must not take that for its own while it ends.
    const file = join(this.#dir, 'run', 'containerd', 'containerd.pid')
    const containerd = Number(readFileSync(file, 'utf8'))
    process.kill(containerd, 'SIGKILL')
    await eventually(() => !isRunning(containerd), 'the end of containerd', STOP_LIMIT_MS)
    rmSync(file)
  }

  /** In good order: its containers are ended. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child !== null) await endProcess(child, signal, STOP_LIMIT_MS)
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const asked = request({ socketPath: this.socket, path: '/_ping', timeout: 1_000 }, (answer) => {
        answer.resume()
        resolve(answer.statusCode === 200)
      })
      asked.on('timeout', () => asked.destroy())
      asked.on('error', () => resolve(false))
      asked.end()
    })
  }
}

/** One that ended and that nobody has asked about yet does not run. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
