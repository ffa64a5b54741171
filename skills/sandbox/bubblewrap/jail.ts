/**
 * One sandbox by bubblewrap: namespaces of its own, an empty file system but for what is shown read-only, no rights, a filter of system
 * calls, and in it a supervisor as process 1. Used for one call and destroyed. Who gets it, and what runs in it, is for others.
 */
import { spawn } from 'node:child_process'
import { closeSync, constants, lstatSync, openSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { Clock } from '#contract'
import { EGRESS_MOUNT, EGRESS_SOCKET } from '../../egress/egress.ts'
import { Cell } from '../cell.ts'
import type { Host } from './host.ts'

export interface JailOptions {
  readonly host: Host
  readonly clock: Clock
  readonly language: 'python' | 'node' | 'shell'
  readonly tmpMb: number
  /** Folder of the door that leads out; null: no way out. */
  readonly door: string | null
  /** Folder of what the lock file names; null: none. */
  readonly deps: string | null
  /** Whom it runs as, when the gateway is root; null: as the gateway's user. */
  readonly uid: number | null
}

export const DEPS_MOUNT = '/deps'
export const EGRESS_PATH: string = `${EGRESS_MOUNT}/${EGRESS_SOCKET}`
const INSIDE = '/opt/openclaw'
const NODE = '/opt/node/bin/node'
const SUPERVISOR = join(import.meta.dirname, '../supervisor')
const MAX_COMPLAINT = 4_096
const SECCOMP_FD = 3
/** What programs look for in /etc. No accounts, no names of this machine, no keys. */
const ETC = ['ld.so.cache', 'alternatives', 'localtime', 'ssl/certs', 'ssl/openssl.cnf', 'ca-certificates', 'pki/tls/certs', 'pki/ca-trust']

export class Jail {
  readonly cell: Cell
  readonly #kill: () => void
  readonly #ended: Promise<void>
  #complaints = ''

  constructor(options: JailOptions) {
    const { host, clock, uid } = options
    const shown = new Shown(host.can.bindFd)
    try {
      const child = spawn(host.bwrap, bwrapArguments(options, shown), {
        stdio: ['pipe', 'pipe', 'pipe', 'pipe', ...shown.descriptors],
        // Process 1 keeps this where the skill could look for it, so it says nothing.
        env: { PATH: '/opt/node/bin:/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' },
        cwd: '/',
        // A session of its own: what interrupts the gateway at a terminal is not for skills.
        detached: true,
        ...(uid === null ? {} : { uid, gid: uid }),
      })
      const [stdin, stdout, stderr, filter] = child.stdio
      if (stdin === null || stdout === null || stderr === null || !isWritable(filter)) throw new Error('bwrap has no pipes')
      this.#kill = () => void child.kill('SIGKILL')
      this.#ended = new Promise((resolve) => {
        child.once('error', (error) => {
          this.#complaints ||= error.message
          resolve()
        })
        child.once('close', () => resolve())
      })
      filter.on('error', () => {}).end(host.seccomp)
      readEnd(stderr, (text) => (this.#complaints = (this.#complaints + text).slice(-MAX_COMPLAINT)))
      this.cell = new Cell({ stdin, stdout, ended: this.#ended, clock })
    } finally {
      shown.close()
    }
  }

  /** Resolves when its last process is gone. */
  get ended(): Promise<void> {
    return this.#ended
  }

  /** What bwrap or the supervisor said when something went wrong: the last line. */
  get complaint(): string {
    return this.#complaints.trim().split('\n').at(-1)?.slice(0, 300) ?? ''
  }

  /** Resolves when nothing of it is left. */
  async destroy(): Promise<void> {
    this.cell.close()
    this.#kill()
    await this.#ended
  }
}

/** Folders and programs that are shown inside. By descriptor where that can be: whom the sandbox runs as need not be able to get there. */
class Shown {
  readonly descriptors: number[] = []
  readonly #byDescriptor: boolean

  constructor(byDescriptor: boolean) {
    this.#byDescriptor = byDescriptor
  }

  readOnly(path: string, inside: string): readonly string[] {
    if (!this.#byDescriptor) return ['--ro-bind', path, inside]
    this.descriptors.push(openSync(path, constants.O_RDONLY))
    return ['--ro-bind-fd', String(SECCOMP_FD + this.descriptors.length), inside]
  }

  close(): void {
    for (const descriptor of this.descriptors) closeSync(descriptor)
  }
}

const words = (text: string): readonly string[] => text.trim().split(/\s+/)
const ALWAYS = words(`
  --uid 1000 --gid 1000 --hostname sandbox --cap-drop ALL
  --die-with-parent --new-session --as-pid-1
  --ro-bind /usr /usr --proc /proc --dev /dev --remount-ro /dev`)
/** What bwrap makes besides can be written too, until it is said otherwise. */
const LAST = words(`--tmpfs /tmp --remount-ro / --chdir /tmp --seccomp ${SECCOMP_FD} --`)

function bwrapArguments({ host, language, tmpMb, door, deps }: JailOptions, shown: Shown): readonly string[] {
  return [
    '--unshare-all',
    // Not tried: without it there would be none.
    '--unshare-user',
    ...(host.can.disableUserns ? ['--disable-userns'] : []),
    ...ALWAYS,
    ...rootLinks(),
    ...ETC.flatMap((name) => ['--ro-bind-try', `/etc/${name}`, `/etc/${name}`]),
    ...shown.readOnly(SUPERVISOR, INSIDE),
    ...(host.node === null ? [] : shown.readOnly(host.node, NODE)),
    ...(deps === null ? [] : shown.readOnly(deps, DEPS_MOUNT)),
    ...(door === null ? [] : shown.readOnly(door, EGRESS_MOUNT)),
    ...(host.can.size ? ['--size', String(tmpMb * 1_048_576)] : []),
    ...LAST,
    host.python,
    ...words(`-I -S -B ${INSIDE}/supervisor.py --owner --language ${language}`),
    ...(door === null ? [] : ['--egress', EGRESS_PATH]),
  ]
}

/** /bin and its like: links into /usr on most systems, folders on others. */
function rootLinks(): readonly string[] {
  return ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'].flatMap((name) => {
    const path = `/${name}`
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found === undefined) return []
    return found.isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path]
  })
}

const isWritable = (stream: Readable | Writable | null | undefined): stream is Writable =>
  stream !== null && stream !== undefined && 'end' in stream

function readEnd(stream: Readable, take: (text: string) => void): void {
  stream
    .setEncoding('utf8')
    .on('data', take)
    .on('error', () => {})
}
