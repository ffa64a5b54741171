/**
 * Skills by bubblewrap, for Linux without a container engine: for each call a sandbox of its own, gone with the gateway. One is kept ready
 * for each kind that was used lately. What it does not hold off it says in its report.
 */
import { randomInt } from 'node:crypto'
import { describeError } from '#contract'
import type { Clock, Log, SandboxReport, SkillErrorCode, SkillLanguage, SkillOutcome, SkillTimes } from '#contract'
import type { Bundle } from '../../bundle/bundle.ts'
import { denialOf, judgeDenials, type Egress, type EgressDoor } from '../../egress/egress.ts'
import type { SkillsSettings } from '../../settings.ts'
import type { Ended, Job, Sandbox } from '../sandbox.ts'
import { advice, findHost, type Host, type Lack } from './host.ts'
import { DEPS_MOUNT, EGRESS_PATH, Jail } from './jail.ts'
import { Places } from './places.ts'

/** Where the packages of a skill lie that has a lock file. */
export interface Folders {
  /** Absolute path of a folder with them. @throws an error whose message says what could not be had */
  folder(bundle: Bundle): Promise<string>
}

export interface BubblewrapOptions {
  readonly settings: Pick<SkillsSettings, 'maxConcurrent' | 'maxQueued' | 'queueMs'>
  readonly log: Log
  readonly clock: Clock
  /** null: skills that declare hosts are refused. */
  readonly egress: Egress | null
  /** null: skills with a lock file are refused. */
  readonly folders: Folders | null
}

const READY_MS = 10_000
const STOP_LIMIT_MS = 5_000
/** A sandbox that nobody needed for so long goes. */
const PARKED_MS = 300_000
const MAX_PARKED = 3
const MAX_PLACES = 32
/** A parked one that runs keeps its place until it is gone. */
const SPARES = 8
/** Above those of people, below those of systemd; not those that containers have here. Two gateways most likely have different ones. */
const FIRST_UID = 58_400
const BLOCKS = 24
const BLOCK = MAX_PLACES + SPARES
const AGAIN_MS = 30_000

const ISOLATES = [
  'Each call runs in namespaces of its own (user, processes, network, mounts, names), as a user without rights, and cannot gain any.',
  'It has no network. Hosts that it declares are reached through a proxy of the gateway that lets nothing else pass.',
  'It sees /usr of this machine, read-only, and an empty /tmp of bounded size; neither the gateway’s files nor anybody’s home.',
  'System calls that programs do not need are refused, by the same list that containers get.',
  'Nothing is kept from one call to the next: no process, no file.',
]
const LEAVES = [
  'Memory and processes are bounded for each process and user by rlimits, not for the sandbox as a whole: many processes can use many times the memory of one. Processor time is not shared out. Docker bounds both.',
  'Skills share the kernel of this machine: a fault in the kernel is a way out.',
  'Programs below /usr can be read and run, whatever is installed there.',
  'Other users of this machine can use the way out of a skill while its call runs: they reach the hosts that it declares, in its name.',
  'A run does not outlive the gateway.',
]

interface Parked {
  readonly jail: Jail
  readonly place: number
  readonly disarm: () => void
}

export class BubblewrapSandbox implements Sandbox {
  readonly name = 'bubblewrap'
  readonly languages: readonly SkillLanguage[] = ['python', 'node', 'shell']
  readonly #options: BubblewrapOptions
  readonly #places: Places
  /** Beside those in use; their numbers come after those. */
  readonly #spare: number[] = Array.from({ length: SPARES }, (_, at) => MAX_PLACES + at)
  readonly #parked = new Map<string, Parked>()
  readonly #jails = new Set<Jail>()
  readonly #block: number = randomInt(BLOCKS)
  #host: Promise<Host | Lack> | null = null
  #lookedAt = 0
  #isStopping = false

  constructor(options: BubblewrapOptions) {
    const { maxConcurrent, maxQueued, queueMs } = options.settings
    this.#options = options
    this.#places = new Places({ clock: options.clock, places: Math.min(MAX_PLACES, maxConcurrent), maxQueued, queueMs })
  }

  /** Nothing is looked for before the first run. */
  start(): Promise<void> {
    return Promise.resolve()
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    for (const { disarm } of this.#parked.values()) disarm()
    this.#parked.clear()
    const { promise, resolve } = Promise.withResolvers<void>()
    const disarm = this.#options.clock.after(STOP_LIMIT_MS, resolve)
    await Promise.race([Promise.all([...this.#jails].map((jail) => jail.destroy())), promise])
    disarm()
  }

  /** A run dies with its gateway. */
  adopt(): Promise<null> {
    return Promise.resolve(null)
  }

  async report(): Promise<SandboxReport> {
    const host = await this.#findHost()
    const isRoot = process.getuid?.() === 0
    return {
      name: this.name,
      languages: this.languages,
      isAvailable: !('lacks' in host),
      reason: 'lacks' in host ? host.lacks : null,
      isolates: ISOLATES,
      leaves: [
        ...LEAVES,
        ...(this.#options.folders === null ? ['Skills with a lock file are refused; Docker and Podman run them.'] : []),
        ...(isRoot
          ? []
          : ['Outside, its processes are those of the gateway’s user. Started as root, the gateway gives each a user of its own.']),
      ],
      warnings: 'lacks' in host ? [] : warnings(host),
      facts: {
        ...('lacks' in host ? {} : { bubblewrap: host.version, python: host.python, node: host.node }),
        sandboxes: { busy: this.#jails.size - this.#parked.size, parked: this.#parked.size, waiting: this.#places.waiting },
      },
    }
  }

  async run(job: Job): Promise<Ended> {
    const { clock } = this.#options
    const { runtime, dependencies } = job.bundle.descriptor
    const { language } = runtime
    if (language !== 'python' && language !== 'node' && language !== 'shell')
      return refused('unavailable', `bubblewrap does not run ${language}.`)
    if (this.#isStopping) return refused('unavailable', 'the gateway is stopping')
    const host = await this.#findHost()
    if ('lacks' in host) return refused('unavailable', host.lacks)
    if (language === 'node' && host.node === null) return refused('unavailable', 'There is no Node here that a sandbox could be shown.')
    const { folders } = this.#options
    if (dependencies !== null && folders === null) {
      const what = 'What a lock file names can be had with Docker or Podman only, and this gateway runs skills by bubblewrap'
      return refused('unavailable', `${what}. Install one of them, or put the code into the bundle without ${dependencies}.`)
    }
    let deps: string | null
    try {
      deps = dependencies === null || folders === null ? null : await folders.folder(job.bundle)
    } catch (error) {
      return refused('deps_failed', describeError(error).message)
    }
    if (job.egress.length > 0 && this.#options.egress === null)
      return refused('unavailable', 'There is no way out for skills here, and this one declares hosts.')
    const from = clock.now()
    const place = await this.#places.take(job.signal)
    const queueMs = Math.max(0, clock.now() - from)
    if (place.is !== 'place') return refused(place.is, place.message, { queueMs, startMs: 0, runMs: 0 })
    try {
      return await this.#runAt(place.number, { host, language, deps, job, queueMs })
    } catch (error) {
      return refused('unavailable', `a sandbox could not be made: ${describeError(error).message}`)
    }
  }

  async #runAt(
    place: number,
    {
      host,
      language,
      deps,
      job,
      queueMs,
    }: { host: Host; language: 'python' | 'node' | 'shell'; deps: string | null; job: Job; queueMs: number },
  ): Promise<Ended> {
    const { clock, egress } = this.#options
    const { memoryMb, pids, tmpMb } = job.bundle.descriptor.resources
    const from = clock.now()
    const key = `${language} ${tmpMb}`
    const isPlain = job.egress.length === 0 && deps === null
    let door: EgressDoor | null = null
    let jail: Jail | null = null
    try {
      if (job.egress.length > 0 && egress !== null) door = await egress.open()
      jail = (isPlain ? this.#unpark(key) : null) ?? this.#make({ host, language, tmpMb, place, deps, door })
      const state = await jail.cell.ready(READY_MS)
      if (state.is === 'broken')
        return refused('unavailable', await this.#blame(jail, state.reason), { queueMs, startMs: clock.now() - from, runMs: 0 })
      // Its answer, and the call's, are told by `invoke`.
      void jail.cell.load(job.bundle, {
        deps: deps === null ? null : DEPS_MOUNT,
        egress: door === null ? null : EGRESS_PATH,
        limits: { memoryMb, pids, tmpMb },
      })
      const { id } = job.bundle.descriptor
      door?.begin({ skill: id, key: job.key, allow: job.egress, onDenied: (why) => job.tell(denialOf(why)) })
      const { outcome, hasStarted, runMs } = await jail.cell.invoke({ ...job, grade: 'fresh' })
      const times: SkillTimes = { queueMs, startMs: Math.max(0, clock.now() - from - runMs), runMs }
      const judged = door === null ? outcome : judgeDenials(outcome, door.end())
      return { outcome: { ...judged, times }, hasStarted }
    } finally {
      // Cleaning up is not what a caller waits for; its place is taken until all is gone.
      void this.#destroy(jail, door).finally(() => this.#places.give(place))
      if (isPlain) setImmediate(() => this.#park(key, { host, language, tmpMb }))
    }
  }

  #make(options: {
    host: Host
    language: 'python' | 'node' | 'shell'
    tmpMb: number
    place: number
    deps: string | null
    door: EgressDoor | null
  }): Jail {
    const uid = process.getuid?.() === 0 ? FIRST_UID + this.#block * BLOCK + options.place : null
    const jail = new Jail({ ...options, clock: this.#options.clock, door: options.door?.dir ?? null, uid })
    this.#jails.add(jail)
    void jail.ended.then(() => this.#jails.delete(jail))
    return jail
  }

  async #destroy(jail: Jail | null, door: EgressDoor | null): Promise<void> {
    try {
      await jail?.destroy()
      await door?.close()
    } catch (error) {
      this.#options.log.warn({ error: describeError(error).message }, 'sandbox left something behind')
    }
  }

  /** The next of this kind finds its sandbox started. */
  #park(key: string, { host, language, tmpMb }: { host: Host; language: 'python' | 'node' | 'shell'; tmpMb: number }): void {
    if (this.#isStopping || this.#parked.has(key)) return
    const [oldest] = this.#parked.keys()
    if (this.#parked.size >= MAX_PARKED && oldest !== undefined) void this.#unpark(oldest)?.destroy()
    const place = this.#spare.pop()
    if (place === undefined) return
    const jail = this.#make({ host, language, tmpMb, place, deps: null, door: null })
    const leave = (): void => {
      if (this.#parked.get(key)?.jail === jail) void this.#unpark(key)?.destroy()
    }
    this.#parked.set(key, { jail, place, disarm: this.#options.clock.after(PARKED_MS, leave) })
    void jail.ended.then(leave).finally(() => this.#spare.push(place))
  }

  #unpark(key: string): Jail | null {
    const parked = this.#parked.get(key)
    if (parked === undefined) return null
    this.#parked.delete(key)
    parked.disarm()
    return parked.jail
  }

  /** Looked for once; where something lacks, again after a while. */
  async #findHost(): Promise<Host | Lack> {
    const now = this.#options.clock.now()
    if (this.#host === null) {
      this.#lookedAt = now
      this.#host = this.#tryHost()
    }
    const host = await this.#host
    if ('lacks' in host && now - this.#lookedAt > AGAIN_MS) this.#host = null
    return host
  }

  async #tryHost(): Promise<Host | Lack> {
    const host = await findHost()
    if ('lacks' in host) return host
    try {
      const jail = this.#make({ host, language: 'shell', tmpMb: 1, place: 0, deps: null, door: null })
      const state = await jail.cell.ready(READY_MS)
      if (state.is === 'idle') {
        await jail.destroy()
        return host
      }
      const lacks = await this.#blame(jail, state.is === 'broken' ? state.reason : state.is)
      await jail.destroy()
      return { lacks: `${lacks} ${advice(lacks)}` }
    } catch (error) {
      return { lacks: `bubblewrap cannot be used here: ${describeError(error).message}` }
    }
  }

  async #blame(jail: Jail, reason: string): Promise<string> {
    await jail.destroy()
    this.#options.log.warn({ reason, said: jail.complaint }, 'sandbox could not be made')
    return `bubblewrap could not make a sandbox (${reason}): ${jail.complaint === '' ? 'it says nothing' : jail.complaint}.`
  }
}

function warnings({ can }: Host): readonly string[] {
  return [
    ...(can.disableUserns ? [] : ['This bubblewrap is older than 0.8: skills can make user namespaces of their own.']),
    ...(can.size ? [] : ['This bubblewrap is older than 0.7: /tmp of a skill has no bound but half of the memory.']),
  ]
}

const refused = (code: SkillErrorCode, message: string, times?: SkillTimes): Ended => {
  const outcome: SkillOutcome = { status: 'error', code, message, ...(times === undefined ? {} : { times }) }
  return { outcome, hasStarted: false }
}
