/**
 * Runs skills that live in this process. Input and output are held to the descriptor's schemas, time is bounded, and
 * whatever goes wrong is an outcome. Nothing here isolates: only skills that ship with the gateway belong here.
 */
import type { Clock, Log, SkillDescriptor, SkillOutcome, SkillRun, SkillRunner } from '#contract'
import { describeError } from '#contract'
import type { ValidateFunction } from 'ajv'
import { clock } from './clock.ts'
import { echo } from './echo.ts'
import type { InProcessSkill } from './in-process.ts'

export interface InProcessSkillsOptions {
  readonly clock: Clock
  readonly log: Log
  /** Beside `clock` and `echo`. */
  readonly skills?: readonly InProcessSkill[]
}

interface Validators {
  readonly input: ValidateFunction
  readonly output: ValidateFunction
}

export class InProcessSkills implements SkillRunner {
  readonly #clock: Clock
  readonly #log: Log
  readonly #skills: ReadonlyMap<string, InProcessSkill>
  readonly #validators = new Map<string, Promise<Validators>>()
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<SkillOutcome>>()

  constructor(options: InProcessSkillsOptions) {
    this.#clock = options.clock
    this.#log = options.log
    this.#skills = new Map([clock, echo, ...(options.skills ?? [])].map((skill) => [skill.descriptor.id, skill]))
  }

  list(): readonly SkillDescriptor[] {
    return [...this.#skills.values()].map((skill) => skill.descriptor)
  }

  /** There is one version of each. */
  find(id: string): SkillDescriptor | null {
    return this.#skills.get(id)?.descriptor ?? null
  }

  async run(run: SkillRun): Promise<SkillOutcome> {
    const skill = this.#skills.get(run.skill)
    if (skill === undefined) return failed('not_found', `there is no skill "${run.skill}"`)
    const outcome = this.#outcome(skill, run)
    this.#running.add(outcome)
    try {
      return await outcome
    } finally {
      this.#running.delete(outcome)
    }
  }

  /** Nothing that runs in this process outlives it. */
  adopt(): Promise<null> {
    return Promise.resolve(null)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#running)
  }

  async #outcome(skill: InProcessSkill, run: SkillRun): Promise<SkillOutcome> {
    const { id, timeoutMs } = skill.descriptor
    try {
      const validators = await this.#validatorsOf(skill)
      if (!validators.input(run.input)) return failed('invalid_input', faults(validators.input))
      const limit = new AbortController()
      const signal = AbortSignal.any([run.signal, this.#stopping.signal, limit.signal])
      if (signal.aborted) return failed('cancelled', 'it was not started')
      const cancel = this.#clock.after(timeoutMs, () => limit.abort())
      try {
        const result = await unlessAborted(signal, async () => skill.run(run.input, { clock: this.#clock, key: run.key, signal }))
        if (result === ABORTED) {
          return limit.signal.aborted ? failed('timeout', `it took longer than ${timeoutMs} ms`) : failed('cancelled', 'it was stopped')
        }
        return validators.output(result) ? { status: 'ok', output: result } : failed('invalid_output', faults(validators.output))
      } finally {
        cancel()
      }
    } catch (error) {
      const { message } = describeError(error)
      this.#log.warn({ skill: id, error: message }, 'skill crashed')
      return failed('crashed', message)
    }
  }

  #validatorsOf(skill: InProcessSkill): Promise<Validators> {
    const { id } = skill.descriptor
    let validators = this.#validators.get(id)
    if (validators === undefined) this.#validators.set(id, (validators = compile(skill.descriptor)))
    return validators
  }
}

/** Ajv is loaded when the first skill runs. */
async function compile(descriptor: SkillDescriptor): Promise<Validators> {
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  const ajv = new Ajv2020({ strict: false })
  return { input: ajv.compile(descriptor.inputs), output: ajv.compile(descriptor.outputs) }
}

const failed = (code: (SkillOutcome & { readonly status: 'error' })['code'], message: string): SkillOutcome => ({
  status: 'error',
  code,
  message,
})

const faults = (validate: ValidateFunction): string =>
  (validate.errors ?? []).map((error) => `#${error.instancePath} ${error.message ?? 'is wrong'}`).join('; ')

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
