/**
 * The attempts of one run in one sandbox: made, held to the skill's own word, made again where that is harmless. What is told
 * on the way and what comes out of it has no secrets any more.
 */
import type { Clock, JsonValue, Log, SkillEffect, SkillEvent, SkillOutcome, SkillRun, SkillTimes } from '#contract'
import { describeError } from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import type { Ended, Job, Sandbox } from '../sandbox/sandbox.ts'
import { advised } from './advice.ts'
import { callsOf } from './composition.ts'
import { NO_TIMES, addTimes, failed } from './execution.ts'
import type { Family } from './execution.ts'
import type { Grant } from './grant.ts'
import { outsideKey } from './invocation.ts'
import type { Library } from './library.ts'
import type { Redaction } from './redaction.ts'
import { again } from './retry.ts'
import { pause } from './pause.ts'
import type { Telling } from './telling.ts'

/** A sandbox keeps its own bounds; this is for one that does not. */
const SLACK_MS = 120_000
/** From then on it was told to stop. */
const GRACE_MS = 5_000
/** One for all: without a reason each call would make one, with a stack, which is a twentieth of what a short call costs. */
const OVER = new Error('The call is over.')

export interface Attempts {
  readonly run: SkillRun
  readonly bundle: Bundle
  readonly grant: Grant
  readonly sandbox: Sandbox
  readonly input: JsonValue
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly family: Family
  readonly telling: Telling
  readonly redaction: Redaction
  /** How long it may be waited for a sandbox, all waits together. */
  readonly patienceMs: number
  readonly library: Library
  readonly clock: Clock
  readonly log: Log
  readonly random: () => number
  readonly execute: (run: SkillRun, family: Family) => Promise<SkillOutcome>
  /** Before each attempt; what it throws ends the run before anything happened. */
  readonly onAttempt: (attempt: number) => Promise<void> | void
}

export interface Tries {
  readonly outcome: SkillOutcome
  readonly times: SkillTimes
  readonly attempts: number
  readonly hasStarted: boolean
  readonly acknowledge?: () => void
}

/** Never rejects. */
export async function attemptAll(options: Attempts): Promise<Tries> {
  const { bundle, signal, clock, random, onAttempt } = options
  const effect: SkillEffect = bundle.descriptor.effect
  const until = clock.now() + options.patienceMs
  let times = NO_TIMES
  let hasStarted = false
  let attempts = 0
  let waits = 0
  for (let isWait = false; ;) {
    if (!isWait) {
      try {
        await onAttempt(++attempts)
      } catch (error) {
        return { outcome: failed('unavailable', describeError(error).message), times, attempts: attempts - 1, hasStarted }
      }
    }
    const ended = await attempt(options)
    const { outcome, acknowledge } = ended
    hasStarted ||= ended.hasStarted
    times = addTimes(times, outcome.times ?? NO_TIMES)
    const next = again({ ended, effect, attempts, waits, patienceMs: until - clock.now(), random: random() })
    if (next.is === 'no' || signal.aborted) {
      const isUntried = !ended.hasStarted && outcome.status === 'error' && (outcome.code === 'unavailable' || outcome.code === 'busy')
      return { outcome, times, attempts: isUntried ? attempts - 1 : attempts, hasStarted, ...(acknowledge && { acknowledge }) }
    }
    // The next life must not take this for the end of the run.
    acknowledge?.()
    isWait = next.is === 'wait'
    waits = isWait ? waits + 1 : 0
    const since = clock.now()
    await pause(clock, next.afterMs, signal)
    times = addTimes(times, { queueMs: clock.now() - since, startMs: 0, runMs: 0 })
    if (signal.aborted) return { outcome: failed('cancelled', 'It was cancelled before another try.'), times, attempts, hasStarted }
  }
}

async function attempt(options: Attempts): Promise<Ended> {
  const { run, bundle, grant, sandbox, input, timeoutMs, clock } = options
  const over = new AbortController()
  const signal = AbortSignal.any([options.signal, over.signal])
  const conversation = converse(options, signal, timeoutMs)
  const job: Job = {
    key: outsideKey(run),
    tenant: run.tenant,
    bundle,
    input,
    secrets: grant.secrets,
    egress: grant.egress,
    grade: grant.grade,
    timeoutMs,
    traceparent: run.traceparent ?? null,
    signal,
    ...conversation,
  }
  const cancelLimit = clock.after(timeoutMs + SLACK_MS, () => over.abort())
  const mute = silence(clock, signal, () => (options.signal.aborted ? 'cancelled' : 'timeout'))
  try {
    const ended = await Promise.race([sandbox.run(job), mute.ended])
    return await judge(options, ended)
  } catch (error) {
    // A sandbox never rejects; whether its code ran is not known then.
    options.log.error({ skill: run.skill, sandbox: sandbox.name, error: describeError(error).message }, 'A sandbox failed unforeseen.')
    return { outcome: failed('unavailable', `The sandbox "${sandbox.name}" failed unforeseen; the log has more.`), hasStarted: true }
  } finally {
    cancelLimit()
    mute.cancel()
    // Whatever it called and did not wait for ends with it.
    over.abort(OVER)
  }
}

/** What a sandbox is given to talk with. `deadlineAt` moves when the code begins to run. */
export function converse(
  options: Pick<Attempts, 'run' | 'family' | 'telling' | 'clock' | 'execute'>,
  signal: AbortSignal,
  timeoutMs: number,
): Pick<Job, 'tell' | 'call'> {
  const { run, family, telling, clock, execute } = options
  let deadlineAt = clock.now() + timeoutMs
  return {
    tell: (event: SkillEvent) => {
      if (event.is === 'started') deadlineAt = clock.now() + timeoutMs
      if (!signal.aborted) telling.tell(event)
    },
    call: callsOf({ run, family, signal, clock, deadlineAt: () => deadlineAt, execute }),
  }
}

/** The output fits the schema, or it is none; and it holds no secret. */
export async function judge(
  options: Pick<Attempts, 'bundle' | 'library' | 'redaction' | 'run' | 'log'> & { readonly grant: Pick<Grant, 'egress'> },
  ended: Ended,
): Promise<Ended> {
  const { outcome } = ended
  const { redaction, library, bundle, grant } = options
  if (outcome.status === 'error') {
    const { code } = outcome
    const message = advised({ code, message: redaction.text(outcome.message), descriptor: bundle.descriptor, egress: grant.egress })
    return { ...ended, outcome: { ...outcome, message } }
  }
  const faults = await library.faultsOf(bundle, 'outputs', outcome.output)
  if (faults.length === 0) return { ...ended, outcome: { ...outcome, output: redaction.value(outcome.output) } }
  const told = faults.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ')
  const message = `its output does not fit \`outputs\`: ${told}${outcome.output === null ? '; run() returned nothing, and what it prints is log' : ''}`
  return { ...ended, outcome: failed('invalid_output', redaction.text(message), outcome.times) }
}

/** Ends a wait for a sandbox that neither answers nor stops. */
function silence(
  clock: Clock,
  signal: AbortSignal,
  codeOf: () => 'cancelled' | 'timeout',
): { readonly ended: Promise<Ended>; readonly cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<Ended>()
  let cancelTimer = (): void => undefined
  const onAbort = (): void => {
    cancelTimer = clock.after(GRACE_MS, () =>
      resolve({ outcome: failed(codeOf(), 'Its sandbox did not stop when it was told to; it is left behind.'), hasStarted: true }),
    )
  }
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return {
    ended: promise,
    cancel: () => {
      signal.removeEventListener('abort', onAbort)
      cancelTimer()
    },
  }
}
