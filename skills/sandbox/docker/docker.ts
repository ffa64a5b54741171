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
import type { SkillsSettings } from '../../settings.ts'
import type { CellEnded } from '../call.ts'
import type { Adopter, Ended, Job, Sandbox } from '../sandbox.ts'
import { makeBox, type Box } from './box.ts'
import { DockerodeEngine } from './dockerode-engine.ts'
import type { Engine } from './engine.ts'
import { makeInstance, readInstance } from './instance.ts'
import { Leases } from './lease.ts'
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
/** For whoever records outcomes. A gateway killed before that finds the outcome still held. */
const RECORDED_MS = 2_000
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
  /** Of each box whose outcome is held: ends the wait until it need not be any more. */
  readonly #acks = new Map<Box, () => void>()
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
    for (const endWait of this.#acks.values()) endWait()
    this.#acks.clear()
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
      lease: job.grade === 'fresh' ? null : this.#leases.of(job),
      group: `${job.tenant} ${bundle.descriptor.id}`,
      signal: job.signal,
    })
    if (claimed.is !== 'given') return refused(claimed.is, claimed.message, { queueMs: claimed.queueMs, startMs: 0, runMs: 0 })
    return this.#runIn(claimed, job, deps)
  }

  async adopt(key: string, adopter: Adopter): Promise<Ended | null> {
    const box = await (await this.#stock?.catch(() => null))?.claim(key)
    if (!box) return null
    try {
      const { skill, egress: allow, tell } = adopter
      box.door?.begin({ skill, key, allow, onDenied: (why) => tell(denialOf(why)) })
      const ended = await box.cell.adopt(adopter)
      if (ended === null) return null
      const times = { queueMs: 0, startMs: 0, runMs: ended.runMs }
      return { outcome: { ...(await this.#judge(box, ended)), times }, hasStarted: true }
    } finally {
      this.#pool.release(box, { isReusable: false })
      void box.destroy()
    }
  }

  async #runIn(
    { member: box, isBound, queueMs, startMs }: Claimed<Box> & { readonly is: 'given' },
    job: Job,
    deps: string | null,
  ): Promise<Ended> {
    const { clock } = this.#options
    const from = clock.now()
    const { descriptor } = job.bundle
    if (!isBound || box.cell.loaded !== job.bundle.digest) {
      const extras = { deps: deps === null ? null : DEPS_MOUNT, egress: box.door === null ? null : EGRESS_PATH, limits: null }
      // Its answer, and the call's, are told by `invoke`.
      void box.cell.load(job.bundle, extras)
    }
    box.door?.begin({ skill: descriptor.id, key: job.key, allow: job.egress, onDenied: (why) => job.tell(denialOf(why)) })
    const ended = await box.cell.invoke(job)
    const loadMs = Math.max(0, clock.now() - from - ended.runMs)
    const outcome = await this.#judge(box, ended)
    this.#giveBack(box, job, outcome)
    return { outcome: { ...outcome, times: { queueMs, startMs: startMs + loadMs, runMs: ended.runMs } }, hasStarted: ended.hasStarted }
  }

  #judge(box: Box, ended: CellEnded): Promise<SkillOutcome> {
    return judge(box, ended, { engine: this.#engine, isStopping: this.#isStopping })
  }

  /** Beside whatever is done with the outcome: cleaning up is not what a caller waits for. */
  #giveBack(box: Box, job: Job, outcome: SkillOutcome): void {
    const isAbnormal = outcome.status === 'error' && ABNORMAL.has(outcome.code)
    if (job.grade === 'fresh' || isAbnormal || !box.cell.isAlive) return this.#pool.release(box, { isReusable: false })
    void this.#giveBackClean(box, job)
  }

  async #giveBackClean(box: Box, { key }: Job): Promise<void> {
    const isReusable = await box.cell.idle()
    this.#pool.release(box, { isReusable })
    if (!isReusable || this.#isStopping) return
    this.#acks.get(box)?.()
    const endWait = this.#options.clock.after(RECORDED_MS, () => {
      this.#acks.delete(box)
      const { state } = box.cell
      if (state.is === 'held' && state.key === key) box.cell.ack()
    })
    this.#acks.set(box, endWait)
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
      this.#acks.get(box)?.()
      this.#acks.delete(box)
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

const refused = (code: SkillErrorCode, message: string, times?: SkillTimes): Ended => ({
  outcome: { status: 'error', code, message, ...(times === undefined ? {} : { times }) },
  hasStarted: false,
})
