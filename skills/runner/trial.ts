/**
 * The tests of a descriptor, run as calls of a version that is not registered: through the same runner, in the same sandboxes, with the
 * secrets and hosts that the operator gives. Nothing of it is recorded, counted or seen by canaries.
 */
import { DEFAULT_TENANT, canonicalJson } from '#contract'
import type { Metrics, SkillOutcome, SkillRecord, SkillTest } from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import type { Execution } from './execution.ts'
import type { Library } from './library.ts'
import { Runner } from './runner.ts'
import type { RunnerOptions } from './runner.ts'

export interface TestResult {
  readonly name: string
  /** What came instead of what should; null: it passed. */
  readonly fault: string | null
  /** It could not be run at all. */
  readonly isUnavailable: boolean
  readonly ms: number
  readonly logs: string
}

export interface TrialOptions extends Omit<RunnerOptions, 'metrics' | 'onEnded' | 'library'> {
  /** Of the skills that it may call. */
  readonly library: Library
}

/** One after the other. */
export async function* runTests(bundle: Bundle, options: TrialOptions, signal: AbortSignal): AsyncGenerator<TestResult> {
  const { settings } = options
  // Hooks are for calls that somebody makes.
  const runner = new Runner({
    ...options,
    settings: { ...settings, hooks: { before: [], after: [] } },
    library: withBundle(options.library, bundle),
    metrics: UNMEASURED,
    onEnded: () => undefined,
  })
  const { id } = bundle.descriptor
  for (const [index, test] of bundle.descriptor.tests.entries()) {
    const execution = await runner.execute({
      skill: id,
      input: test.input,
      key: `test:${bundle.digest}:${index}`,
      attempt: 1,
      tenant: DEFAULT_TENANT,
      caller: { is: 'client', principal: 'tests' },
      signal,
    })
    yield resultOf(test, execution)
  }
}

function resultOf(test: SkillTest, { outcome, logs }: Execution): TestResult {
  const { queueMs, startMs, runMs } = outcome.times ?? { queueMs: 0, startMs: 0, runMs: 0 }
  return {
    name: test.name,
    fault: faultOf(test, outcome),
    isUnavailable: outcome.status === 'error' && outcome.code === 'unavailable' && test.error !== 'unavailable',
    ms: queueMs + startMs + runMs,
    logs,
  }
}

function faultOf(test: SkillTest, outcome: SkillOutcome): string | null {
  if (outcome.status === 'error') {
    if (outcome.code === test.error) return null
    const wanted = test.error === undefined ? 'an output' : test.error
    return `expected ${wanted}, got ${outcome.code}: ${outcome.message}`
  }
  if (test.error !== undefined) return `expected ${test.error}, got the output ${shown(outcome.output)}`
  if (test.output === undefined || canonicalJson(test.output) === canonicalJson(outcome.output)) return null
  return `expected ${shown(test.output)}, got ${shown(outcome.output)}`
}

const shown = (value: unknown): string => {
  const text = JSON.stringify(value)
  return text.length > 500 ? `${text.slice(0, 500)}…` : text
}

/** The library in which this version is the one that its id means. */
function withBundle(library: Library, bundle: Bundle): Library {
  const { id, version } = bundle.descriptor
  const record: SkillRecord = {
    tenant: DEFAULT_TENANT,
    id,
    version,
    digest: bundle.digest,
    descriptor: {},
    isEnabled: true,
    deprecated: null,
    signature: null,
    createdAt: 0,
    createdBy: '',
  }
  return {
    current: (tenant) => library.current(tenant),
    describe: (tenant, other, asked) => (other === id ? bundle.descriptor : library.describe(tenant, other, asked)),
    choose: (tenant, other, asked, sticky) => (other === id ? record : library.choose(tenant, other, asked, sticky)),
    load: (asked) => (asked === record ? Promise.resolve(bundle) : library.load(asked)),
    faultsOf: (of, side, value) => library.faultsOf(of, side, value),
    observe: () => undefined,
  }
}

const UNMEASURED: Metrics = {
  counter: () => ({ inc: () => undefined }),
  gauge: () => ({ set: () => undefined, collect: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
}
