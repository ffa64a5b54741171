/**
 * The only way out of a sandbox: gives each one a unix socket of its own, behind which a proxy lets through what the skill declares.
 * Judging is the gate's, talking the door's; here is which doors there are, and where.
 */
import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidError, UnavailableError } from '#contract'
import type { Lifecycle, Log, Metrics } from '#contract'
import { Audit } from './audit.ts'
import { Door } from './door.ts'
import type { DoorLimits } from './door.ts'
import { EGRESS_SOCKET } from './egress.ts'
import type { Egress, EgressDoor } from './egress.ts'
import type { Gate } from './gate.ts'

export interface EgressProxyOptions {
  /**
   * Where the doors' directories are made; short, since the path of a socket has room for 107 bytes, and reachable for other users. Best one of the
   * instance's own in the system's temporary directory.
   */
  readonly root: string
  readonly gate: Gate
  readonly log: Log
  readonly metrics: Metrics
  readonly limits?: Partial<DoorLimits>
}

const LIMITS: DoorLimits = { connections: 64, bytes: 50 * 1_048_576, idleMs: 60_000, headerBytes: 16_384, headerMs: 10_000, openMs: 5_000 }
const MAX_PATH_BYTES = 107
const NAME_BYTES = 16
const NAME = /^[\da-f]{32}$/

export class EgressProxy implements Egress, Lifecycle {
  readonly #options: EgressProxyOptions
  readonly #audit: Audit
  readonly #doors = new Map<string, Door>()
  #state: 'new' | 'open' | 'stopped' = 'new'

  constructor(options: EgressProxyOptions) {
    this.#options = options
    this.#audit = new Audit(options)
  }

  /** @throws InvalidError (`EGRESS_ROOT`) when the directory cannot serve */
  async start(): Promise<void> {
    if (this.#state !== 'new') return
    const { root } = this.#options
    if (Buffer.byteLength(join(root, '0'.repeat(2 * NAME_BYTES), EGRESS_SOCKET)) > MAX_PATH_BYTES)
      throw unfit(root, 'its path is too long for a socket')
    await mkdir(root, { recursive: true, mode: 0o711 })
    const found = await lstat(root)
    // In a directory of others, somebody else could have been first.
    if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0)
      throw unfit(root, 'it belongs to somebody else, or others can write to it')
    await chmod(root, 0o711)
    this.#state = 'open'
  }

  async stop(): Promise<void> {
    this.#state = 'stopped'
    await Promise.all([...this.#doors.values()].map((door) => door.close()))
    // What a sandbox that lives on has mounted stays for the next life.
    await rmdir(this.#options.root).catch(() => {})
  }

  async open(known?: string): Promise<EgressDoor> {
    if (this.#state !== 'open') throw new UnavailableError('The way out of sandboxes is closed.', { code: 'EGRESS_UNREACHABLE' })
    const name = known ?? randomBytes(NAME_BYTES).toString('hex')
    if (!NAME.test(name) || this.#doors.has(name))
      throw new InvalidError('There is no such door, or it is open already.', { code: 'EGRESS_INVALID' })
    const { root, gate, limits } = this.#options
    const dir = join(root, name)
    const door = new Door({
      dir,
      gate,
      audit: this.#audit,
      limits: { ...LIMITS, ...limits },
      isAwaited: known !== undefined,
      onClose: () => this.#doors.delete(name),
    })
    this.#doors.set(name, door)
    try {
      await mkdir(dir, { recursive: true, mode: 0o711 })
      await chmod(dir, 0o711)
      await door.listen()
    } catch (cause) {
      await door.close()
      throw new UnavailableError(`No socket can be made in ${root}.`, { code: 'EGRESS_UNREACHABLE', cause })
    }
    return door
  }

  async sweep(keep: readonly string[]): Promise<void> {
    if (this.#state !== 'open') return
    const names = await readdir(this.#options.root)
    const left = names.filter((name) => NAME.test(name) && !keep.includes(name) && !this.#doors.has(name))
    await Promise.all(left.map((name) => rm(join(this.#options.root, name), { recursive: true, force: true })))
  }
}

const unfit = (root: string, why: string): InvalidError =>
  new InvalidError(`The directory ${root} cannot hold the sockets of sandboxes: ${why}.`, { code: 'EGRESS_ROOT' })
