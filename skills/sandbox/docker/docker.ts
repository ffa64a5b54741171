/**
 * Skills in containers, one for each that must be kept apart. Takes a job through its sandbox: a container from the pool, the code and the
 * call into it, its outcome out of it. The pool says who gets which; `profile.ts` what holds them in; `verdict.ts` what one that ended on
 * the way died of; `stock.ts` what becomes of those that outlived a gateway.
 */
import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { UnavailableError, describeError } from '#contract'
import type { Clock, Log, Metrics, SandboxReport, SkillErrorCode, SkillLanguage, SkillOutcome, SkillTimes } from '#contract'
import type { Bundle } from '../../bundle/bundle.ts'
import { denialOf, type Egress } from '../../egress/egress.ts'
import type { Grade, SkillsSettings } from '../../settings.ts'
import type { CellEnded } from '../call.ts'
import type { Adoption, Ended, Job, Sandbox } from '../sandbox.ts'
import { makeBox, type Box } from './box.ts'
import { DockerodeEngine } from './dockerode-engine.ts'
import type { Engine } from './engine.ts'
import { makeInstance, readInstance } from './instance.ts'
import { Leases } from './lease.ts'
import { maxCallsOf } from './parking.ts'
import { Pool, type Census, type Claimed } from './pool.ts'
import { DEPS_MOUNT, EGRESS_PATH, profileOf, type Profile } from './profile.ts'
import { report } from './report.ts'
import { engineSocket } from './socket.ts'
import { Stock } from './stock.ts'
import { termsOf, type Terms } from './terms.ts'
import { judge } from './verdict.ts'
import { within } from './within.ts'

/** Where the packages of a skill lie that has a lock file. */
export interface Volumes {
  /** A volume with them. @throws an error whose message says what could not be had */
  volume(bundle: Bundle): Promise<string>
}

export interface DockerOptions {
  readonly settings: Pick<SkillsSettings, 'docker' | 'maxQueued' | 'queueMs'>
  /** The folder `.openclaw` of the gateway. */
  readonly dir: string
  readonly env: { readonly [name: string]: string | undefined }
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
  /** null: skills that declare hosts are refused. */
  readonly egress: Egress | null
  /** null: skills with a lock file are refused. */
  readonly volumes: Volumes | null
  /** How long a run that outlived a gateway is kept for whoever asks for it; default 3000. */
  readonly adoptWithinMs?: number
}

const STOP_LIMIT_MS = 5_000
/**
 * How long an outcome is kept for the next life when nobody says that it is on record: turns do not, for they record it a commit after
 * they have it. Under a lease the next call replaces it sooner: waiting for the record would cost every call more than the rare crash in
 * between, after which the run is made again or called unknown, by its effect.
 */
const RECORDED_MS = 10_000
/** The same of a run that was adopted: its container is of no other use, and nothing idle is to be left five seconds after a start. */
const ADOPTED_MS = 2_000
/** After these a container may be of no more use, whatever its supervisor says. */
const ABNORMAL: ReadonlySet<SkillErrorCode> = new Set(['timeout', 'oom', 'pids_exhausted', 'output_limit', 'protocol', 'unavailable'])

export class DockerSandbox implements Sandbox {
  readonly name = 'docker'
  readonly languages: readonly SkillLanguage[] = ['python', 'node', 'shell']
  readonly #options: DockerOptions
  readonly #engine: Engine
  readonly #pool: Pool<Box>
  readonly #epoch: string = randomUUID()
  readonly #leases = new Leases()
  readonly #boxes = new Map<string, Box>()
  /** Of each box that keeps an outcome: what lets it go. */
  readonly #kept = new Map<Box, Kept>()
  readonly #removals = new Set<Promise<void>>()
  #instance: Promise<string> | null = null
  #stock: Promise<Stock> | null = null
  #terms: Promise<Terms> | null = null
  #isStopping = false

  constructor(options: DockerOptions) {
    const { settings, env, clock, metrics } = options
    this.#options = options
    this.#engine = new DockerodeEngine({ socket: engineSocket(settings.docker.socket, env), clock })
    const started = metrics.histogram({
      name: 'openclaw_sandbox_start_seconds',
      help: 'From asking the engine for a container until its supervisor is ready.',
      buckets: [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2],
    })
    this.#pool = new Pool<Box>({
      make: async (profile, slot, signal) => {
        const from = clock.now()
        const box = await this.#make(profile, slot, signal)
        started.observe((clock.now() - from) / 1_000)
        return box
      },
      clock,
      max: settings.docker.maxContainers,
      starters: Math.max(2, availableParallelism()),
      parked: settings.docker.parked,
      maxQueued: settings.maxQueued,
      queueMs: settings.queueMs,
    })
    metrics
      .gauge({ name: 'openclaw_sandbox_containers', help: 'Containers of skills, by what they do.', labels: ['state'] })
      .collect((set) => {
        const { starting, parked, leased, busy, ending } = this.#pool.census()
        for (const [state, count] of Object.entries({ starting, parked, leased, busy, ending })) set(count, [state])
      })
  }

  /** Returns at once: what former lives left is looked for beside the gateway's own start. */
  async start(): Promise<void> {
    if ((await readInstance(this.#options.dir)) !== null) void this.#takeStock()
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    for (const { letGo } of this.#kept.values()) letGo()
    const stock = this.#stock
    const gone = Promise.all([this.#pool.stop(), stock?.then((taken) => taken.stop()).catch(() => {})])
    await within(
      gone.then(() => Promise.all(this.#removals)),
      STOP_LIMIT_MS,
      this.#options.clock,
    )
    this.#engine.stop()
  }

  report(): Promise<SandboxReport> {
    return report({ engine: this.#engine, settings: this.#options.settings.docker, languages: this.languages, census: this.#pool.census() })
  }

  /** Its containers, by what they do. */
  census(): Census {
    return this.#pool.census()
  }

  async run(job: Job): Promise<Ended> {
    const { bundle } = job
    let deps: string | null
    try {
      deps = await this.#deps(bundle)
    } catch (error) {
      return refused(error instanceof UnavailableError ? 'unavailable' : 'deps_failed', describeError(error).message)
    }
    const profile = profileOf(bundle.descriptor, { deps, hasEgress: job.egress.length > 0 })
    if (profile === null) return refused('unavailable', `Docker sandboxes do not run ${bundle.descriptor.runtime.language}.`)
    // First who is still there: their slots, and so their users, are taken.
    try {
      await (await this.#takeStock()).take()
    } catch (error) {
      return refused('unavailable', `The folder ${this.#options.dir} cannot be used: ${describeError(error).message}`)
    }
    const claimed = await this.#pool.claim({
      profile,
      // That of a fresh one is nobody else's: it is never used again, and yet may be kept as long as there is room.
      lease: job.grade === 'fresh' ? randomUUID() : this.#leases.of(job),
      maxCalls: maxCallsOf(job.grade, profile),
      group: `${job.tenant} ${bundle.descriptor.id}`,
      signal: job.signal,
    })
    if (claimed.is !== 'given') return refused(claimed.is, claimed.message, { queueMs: claimed.queueMs, startMs: 0, runMs: 0 })
    return this.#runIn(claimed, job, deps)
  }

  async adopt(key: string, adoption: Adoption): Promise<Ended | null> {
    const box = await (await this.#stock?.catch(() => null))?.claim(key)
    if (!box) return null
    const { skill, egress: allow, tell } = adoption
    box.door?.begin({ skill, key, allow, onDenied: (why) => tell(denialOf(why)) })
    const ended = await box.cell.adopt(adoption)
    // Not before it is on record: this life may be killed too.
    const acknowledge = this.#keep(
      box,
      () => {
        this.#pool.release(box, { isReusable: false })
        const removal = box.destroy().finally(() => this.#removals.delete(removal))
        this.#removals.add(removal)
      },
      ADOPTED_MS,
    )
    if (ended === null) return null
    const times = { queueMs: 0, startMs: 0, runMs: ended.runMs }
    return { outcome: { ...(await this.#judge(box, ended)), times }, hasStarted: true, acknowledge }
  }

  async #runIn(
    { member: box, isBound, queueMs, startMs }: Claimed<Box> & { readonly is: 'given' },
    job: Job,
    deps: string | null,
  ): Promise<Ended> {
    const { clock } = this.#options
    const from = clock.now()
    this.#replace(box)
    const { descriptor } = job.bundle
    if (!isBound || box.cell.loaded !== job.bundle.digest) {
      const extras = {
        deps: deps === null ? null : DEPS_MOUNT,
        egress: box.door === null ? null : { path: EGRESS_PATH, token: box.door.token },
        limits: null,
      }
      // Its answer, and the call's, are told by `invoke`.
      void box.cell.load(job.bundle, extras)
    }
    box.door?.begin({ skill: descriptor.id, key: job.key, allow: job.egress, onDenied: (why) => job.tell(denialOf(why)) })
    const ended = await box.cell.invoke(job)
    const loadMs = Math.max(0, clock.now() - from - ended.runMs)
    const outcome = await this.#judge(box, ended)
    const acknowledge = this.#giveBack(box, { grade: job.grade, call: ended.call, outcome })
    const times = { queueMs, startMs: startMs + loadMs, runMs: ended.runMs }
    return { outcome: { ...outcome, times }, hasStarted: ended.hasStarted, ...(acknowledge !== null && { acknowledge }) }
  }

  #judge(box: Box, ended: CellEnded): Promise<SkillOutcome> {
    return judge(box, ended, { engine: this.#engine, isStopping: this.#isStopping })
  }

  /** Beside whatever is done with the outcome: cleaning up is not what a caller waits for. What it gives lets the outcome go. */
  #giveBack(
    box: Box,
    { grade, call, outcome }: { readonly grade: Grade; readonly call: number; readonly outcome: SkillOutcome },
  ): (() => void) | null {
    const isAbnormal = outcome.status === 'error' && ABNORMAL.has(outcome.code)
    if (isAbnormal || !box.cell.isAlive) {
      this.#pool.release(box, { isReusable: false })
      return null
    }
    if (grade === 'fresh') {
      this.#pool.release(box, { isReusable: true })
      return this.#keep(box, () => this.#pool.retire(box))
    }
    void box.cell.idle().then((isReusable) => this.#pool.release(box, { isReusable }))
    return this.#keep(box, () => void box.cell.ack(call))
  }

  #keep(box: Box, end: () => void, ms: number = RECORDED_MS): () => void {
    const letGo = (): void => {
      if (this.#kept.get(box)?.letGo !== letGo) return
      this.#replace(box)
      end()
    }
    this.#kept.set(box, { letGo, disarm: this.#options.clock.after(ms, letGo) })
    if (this.#isStopping) letGo()
    return letGo
  }

  /** Nothing is kept in it any more. */
  #replace(box: Box): void {
    this.#kept.get(box)?.disarm()
    this.#kept.delete(box)
  }

  async #deps(bundle: Bundle): Promise<string | null> {
    if (bundle.descriptor.dependencies === null) return null
    if (this.#options.volumes === null) throw new Error('There is nothing here that builds what its lock file names.')
    return this.#options.volumes.volume(bundle)
  }

  async #make(profile: Profile, slot: number, signal: AbortSignal): Promise<Box> {
    const { settings, clock, egress } = this.#options
    const instance = await this.#id()
    const { image, runtime } = settings.docker
    const onLeft = (removal: Promise<void>): void => {
      const left = removal.finally(() => this.#removals.delete(left))
      this.#removals.add(left)
    }
    const parts = {
      engine: this.#engine,
      clock,
      egress,
      image,
      runtime,
      instance,
      epoch: this.#epoch,
      terms: () => this.#engineTerms(),
      onLeft,
    }
    const box = await makeBox(profile, slot, parts, signal)
    this.#know(box)
    return box
  }

  #know(box: Box): void {
    this.#boxes.set(box.id, box)
    void box.broken.then(() => {
      this.#replace(box)
      return this.#boxes.delete(box.id)
    })
  }

  #takeStock(): Promise<Stock> {
    this.#stock ??= this.#id().then((instance) => {
      const { clock, log, egress, adoptWithinMs = 3_000 } = this.#options
      const stock = new Stock({
        engine: this.#engine,
        clock,
        log,
        egress,
        adoptWithinMs,
        instance,
        epoch: this.#epoch,
        isKnown: (id) => this.#boxes.has(id),
        onFound: (box, slot, profile) => {
          this.#know(box)
          if (this.#pool.occupy(slot, box, profile)) void box.broken.then(() => this.#pool.release(box, { isReusable: false }))
        },
      })
      void stock.take()
      return stock
    })
    return this.#stock
  }

  #id(): Promise<string> {
    this.#instance ??= makeInstance(this.#options.dir)
    return this.#instance
  }

  /** Asked for once; what could not be had is asked for again. */
  #engineTerms(): Promise<Terms> {
    const terms = (this.#terms ??= termsOf(this.#engine))
    terms.catch(() => (this.#terms = null))
    return terms
  }
}

interface Kept {
  readonly letGo: () => void
  readonly disarm: () => void
}

const refused = (code: SkillErrorCode, message: string, times?: SkillTimes): Ended => ({
  outcome: { status: 'error', code, message, ...(times === undefined ? {} : { times }) },
  hasStarted: false,
})
