/**
 * Runs the skills that ship with the gateway and live in its process: their own code, reviewed with it, and small. Nothing here isolates,
 * and nobody can register one; it is a sandbox only in that the runner treats it as one.
 */
import type { Clock, Log, SandboxReport, SkillOutcome } from '#contract'
import { describeError } from '#contract'
import type { Ended, Job, Sandbox } from '../sandbox.ts'
import { UnderWay } from '../under-way.ts'
import type { InProcessSkill } from './in-process.ts'
import { OWN_SKILLS } from './own.ts'

export interface GatewaySandboxOptions {
  readonly clock: Clock
  readonly log: Log
  readonly skills?: readonly InProcessSkill[]
}

export class GatewaySandbox implements Sandbox {
  readonly name = 'gateway'
  readonly languages = ['gateway'] as const
  readonly #clock: Clock
  readonly #log: Log
  readonly #skills: ReadonlyMap<string, InProcessSkill>
  readonly #stopping = new AbortController()
  readonly #running = new UnderWay<Ended>()

  constructor({ clock, log, skills = OWN_SKILLS }: GatewaySandboxOptions) {
    this.#clock = clock
    this.#log = log
    this.#skills = new Map(skills.map((skill) => [skill.descriptor.id, skill]))
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running.over()
  }

  report(): Promise<SandboxReport> {
    return Promise.resolve({
      name: this.name,
      languages: this.languages,
      isAvailable: true,
      reason: null,
      isolates: [],
      leaves: ['Nothing is held off: these skills are part of the gateway and run in its process. None can be registered.'],
      warnings: [],
      facts: { skills: [...this.#skills.keys()], running: this.#running.size },
    })
  }

  run(job: Job): Promise<Ended> {
    return this.#running.follow(this.#run(job))
  }

  /** Nothing that runs in this process outlives it. */
  adopt(): Promise<null> {
    return Promise.resolve(null)
  }

  async #run({ bundle, input, key, timeoutMs, tell, signal: given }: Job): Promise<Ended> {
    const { id } = bundle.descriptor
    const skill = this.#skills.get(id)
    if (skill === undefined) return { outcome: failed('unavailable', `"${id}" is no skill of the gateway's own.`), hasStarted: false }
    const limit = new AbortController()
    const signal = AbortSignal.any([given, this.#stopping.signal, limit.signal])
    if (signal.aborted) return { outcome: failed('cancelled', 'it was not started'), hasStarted: false }
    const startedAt = this.#clock.now()
    const cancel = this.#clock.after(timeoutMs, () => limit.abort())
    const timed = (outcome: SkillOutcome): Ended => ({
      outcome: { ...outcome, times: { queueMs: 0, startMs: 0, runMs: this.#clock.now() - startedAt } },
      hasStarted: true,
    })
    try {
      tell({ is: 'started' })
      const result = await unlessAborted(signal, async () => skill.run(input, { clock: this.#clock, key, signal }))
      if (result !== ABORTED) return timed({ status: 'ok', output: result })
      return timed(limit.signal.aborted ? failed('timeout', `it took longer than ${timeoutMs} ms`) : failed('cancelled', 'it was stopped'))
    } catch (error) {
      const { message } = describeError(error)
      this.#log.warn({ skill: id, error: message }, 'skill crashed')
      return timed(failed('crashed', message))
    } finally {
      cancel()
    }
  }
}

const failed = (code: (SkillOutcome & { readonly status: 'error' })['code'], message: string): SkillOutcome => ({
  status: 'error',
  code,
  message,
})

const ABORTED = Symbol('aborted')

/** What `work` gives, or ABORTED as soon as the signal is; work that goes on nevertheless is left to itself. */
function unlessAborted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | typeof ABORTED> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(ABORTED)
    signal.addEventListener('abort', onAbort, { once: true })
    work()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}
