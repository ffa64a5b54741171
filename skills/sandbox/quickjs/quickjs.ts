/**
 * The sandbox for `javascript`: ECMAScript without Node, interpreted by QuickJS in WebAssembly, in a thread that can be ended. It comes
 * with `npm install` and needs nothing of the machine. Every call has an engine of its own; at grade fresh, so has its memory. Nothing is resident.
 */
import { availableParallelism } from 'node:os'
import type { Clock, JsonValue, Log, SandboxReport, SkillErrorCode, SkillLanguage, SkillOutcome, SkillTimes } from '#contract'
import { describeError } from '#contract'
import type { Bundle } from '../../bundle/bundle.ts'
import type { EgressFetch } from '../../egress/egress.ts'
import { judgeDenials } from '../../egress/egress.ts'
import type { Ended, Job, Sandbox } from '../sandbox.ts'
import { UnderWay } from '../under-way.ts'
import { isImportable } from './module.ts'
import { Outside } from './outside.ts'
import { parseJson } from './json.ts'
import { Pool } from './pool.ts'
import type { Lease } from './pool.ts'
import type { CallEnd, CallStart } from './wire.ts'

export interface QuickJsOptions {
  readonly clock: Clock
  readonly log: Log
  /** What `ctx.fetch` goes through; null: there is no way out. */
  readonly fetch: EgressFetch | null
  readonly limits?: Partial<QuickJsLimits>
}

export interface QuickJsLimits {
  /** Threads that compute at once. */
  readonly maxThreads: number
  readonly maxQueued: number
  readonly queueMs: number
  /** The most that a descriptor's `memory_mb` gets. */
  readonly maxMemoryMb: number
}

const LIMITS: QuickJsLimits = {
  maxThreads: Math.min(16, Math.max(2, availableParallelism())),
  maxQueued: 500,
  queueMs: 30_000,
  maxMemoryMb: 512,
}
/** A thread that met one of these is not used again, although the engine that met it is gone. */
const ABNORMAL: ReadonlySet<SkillErrorCode> = new Set(['timeout', 'cancelled', 'oom', 'output_limit'])

export class QuickJsSandbox implements Sandbox {
  readonly name = 'quickjs'
  readonly languages: readonly SkillLanguage[] = ['javascript']
  readonly #clock: Clock
  readonly #log: Log
  readonly #fetch: EgressFetch | null
  readonly #limits: QuickJsLimits
  readonly #pool: Pool
  readonly #stopping = new AbortController()
  readonly #running = new UnderWay<Ended>()
  readonly #texts = new WeakMap<Bundle, ReadonlyMap<string, string>>()

  constructor(options: QuickJsOptions) {
    this.#clock = options.clock
    this.#log = options.log
    this.#fetch = options.fetch
    this.#limits = { ...LIMITS, ...options.limits }
    this.#pool = new Pool({ clock: options.clock, ...this.#limits })
  }

  /** Threads are made when they are needed. */
  start(): Promise<void> {
    return Promise.resolve()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running.over()
    await this.#pool.stop()
  }

  report(): Promise<SandboxReport> {
    return Promise.resolve({
      name: this.name,
      languages: this.languages,
      isAvailable: true,
      reason: null,
      isolates: [
        'Code runs in an interpreter of its own (QuickJS in WebAssembly), new for every call: it has no files, no network, no processes, no environment and none of Node.',
        'Memory, stack, time and output are limited; a call that does not end is ended with its thread.',
        'Nothing of a call is left for the next one. Other tenants, skills and secrets never share its memory, and at grade fresh no other call does.',
      ],
      leaves: [
        'It runs in the process of the gateway: who breaks both QuickJS and the WebAssembly of V8 is in the gateway. A container is the stronger wall.',
        'A busy skill takes processor time from the gateway; `resources.cpus` is not enforced, only how many run at once.',
        'What a skill is told (its input, its secrets) it can send to the hosts in its network.allow.',
      ],
      warnings: [],
      facts: { ...this.#pool.facts, max_threads: this.#limits.maxThreads, max_memory_mb: this.#limits.maxMemoryMb },
    })
  }

  run(job: Job): Promise<Ended> {
    return this.#running.follow(this.#run(job))
  }

  /** A thread does not outlive the gateway. */
  adopt(): Promise<null> {
    return Promise.resolve(null)
  }

  async #run(job: Job): Promise<Ended> {
    const asked = this.#clock.now()
    const start = this.#startOf(job)
    const signal = AbortSignal.any([job.signal, this.#stopping.signal])
    const lease = await this.#pool.take(signal)
    const notStarted = (code: SkillErrorCode, message: string): Ended => {
      const times = { queueMs: this.#clock.now() - asked, startMs: 0, runMs: 0 }
      return { outcome: { status: 'error', code, message, times }, hasStarted: false }
    }
    if (lease === 'busy') return notStarted('busy', 'no thread for JavaScript skills became free in time; try again later')
    if (lease === 'cancelled') return notStarted('cancelled', 'it was not started')
    if ('unavailable' in lease)
      return notStarted('unavailable', `no thread for JavaScript skills: ${describeError(lease.unavailable).message}`)
    return { outcome: await this.#inThread(job, { lease, start, signal }), hasStarted: true }
  }

  async #inThread(
    job: Job,
    { lease, start, signal }: { lease: Lease; start: Omit<CallStart, 'call' | 'flag'>; signal: AbortSignal },
  ): Promise<SkillOutcome> {
    const over = new AbortController()
    const outside = new Outside({ job, fetch: this.#fetch, signal: AbortSignal.any([signal, over.signal]) })
    job.tell({ is: 'started' })
    const begun = this.#clock.now()
    const end = await lease.worker.run({
      start,
      signal,
      said: (message) => {
        if (message.is === 'log') job.tell({ is: 'log', stream: message.stream, text: message.text })
        else job.tell({ is: 'progress', data: progressOf(message.text) })
      },
      ask: async (what, text) => {
        if (what === 'fetch') return outside.ask(what, text)
        this.#pool.free()
        try {
          return await outside.ask(what, text)
        } finally {
          this.#pool.retake()
        }
      },
    })
    over.abort()
    outside.end()
    const times: SkillTimes = { queueMs: lease.queueMs, startMs: lease.startMs, runMs: this.#clock.now() - begun }
    this.#pool.give(lease.worker, end.is === 'output' || !ABNORMAL.has(end.code))
    const outcome = outcomeOf(end, times)
    if (outcome.status === 'error') this.#log.debug({ skill: job.bundle.descriptor.id, code: outcome.code }, 'a JavaScript skill failed')
    return judgeDenials(outcome, { allowed: 0, denied: outside.denied, denials: outside.denials, bytesUp: 0, bytesDown: 0 })
  }

  #startOf(job: Job): Omit<CallStart, 'call' | 'flag'> {
    const { descriptor, digest } = job.bundle
    const secrets = JSON.stringify(job.secrets)
    return {
      lease: job.grade === 'fresh' ? null : JSON.stringify([job.tenant, digest, secrets, job.egress]),
      entrypoint: descriptor.runtime.entrypoint,
      files: this.#textsOf(job.bundle),
      input: JSON.stringify(job.input),
      secrets,
      key: job.key,
      memoryBytes: Math.min(descriptor.resources.memoryMb, this.#limits.maxMemoryMb) * 1_048_576,
      timeoutMs: job.timeoutMs,
      canFetch: job.egress.length > 0,
    }
  }

  #textsOf(bundle: Bundle): ReadonlyMap<string, string> {
    const known = this.#texts.get(bundle)
    if (known !== undefined) return known
    const files = Object.entries(bundle.files).filter(([path]) => isImportable(path))
    const texts = new Map(files.map(([path, bytes]) => [path, Buffer.from(bytes).toString()]))
    this.#texts.set(bundle, texts)
    return texts
  }
}

function outcomeOf(end: CallEnd, times: SkillTimes): SkillOutcome {
  if (end.is === 'failed') return { status: 'error', code: end.code, message: end.message, times }
  const output = parseJson(end.text)
  return output === undefined
    ? { status: 'error', code: 'invalid_output', message: 'its output is no JSON, or nested too deeply', times }
    : { status: 'ok', output, times }
}

const progressOf = (text: string): JsonValue => parseJson(text) ?? null
