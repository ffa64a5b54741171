/** One supervisor at a time for the tests of a file, gone after each; and calls of it in a word. */
import assert from 'node:assert/strict'
import { afterEach } from 'node:test'
import type { JsonValue, SkillOutcome } from '#contract'
import type { CellEnded } from '../../../skills/sandbox/call.ts'
import { bundleOf, jobOf, startSupervisor } from '../../support/supervisor.ts'
import type { Heard, Supervised } from '../../support/supervisor.ts'

export type Language = 'python' | 'node' | 'shell'
const EXTENSIONS = { python: 'py', node: 'mjs', shell: 'sh' } as const
export const NO_EXTRAS = { deps: null, egress: null, limits: null } as const

type More = Parameters<typeof jobOf>[1]

export interface Supervising {
  /** `code`: of its entrypoint, or all its files, the entrypoint first. The one before is stopped. */
  readonly start: (language: Language, code: string | { readonly [path: string]: string }) => Promise<Supervised>
  /** Started, called once, and clean after it. */
  readonly outcomeOf: (language: Language, source: string, more?: More) => Promise<SkillOutcome>
}

export function supervising(): Supervising {
  let open: Supervised | null = null
  afterEach(async () => {
    await open?.stop()
    open = null
  })
  const start: Supervising['start'] = async (language, given) => {
    const files = typeof given === 'string' ? { [`main.${EXTENSIONS[language]}`]: given } : given
    await open?.stop()
    open = await startSupervisor(language)
    assert.deepEqual(await open.cell.ready(10_000), { is: 'idle' })
    assert.equal(await open.cell.load(bundleOf(language, files), NO_EXTRAS), null)
    return open
  }
  return {
    start,
    outcomeOf: async (language, source, more = {}) => {
      const { outcome, isClean } = await run(await start(language, source), null, more)
      assert.equal(isClean, true)
      return outcome
    },
  }
}

export async function run(
  { cell }: Supervised,
  input: JsonValue = null,
  more: More = {},
): Promise<{ readonly outcome: SkillOutcome; readonly heard: Heard; readonly ended: CellEnded; readonly isClean: boolean }> {
  const { job, heard } = jobOf(input, more)
  const ended = await cell.invoke(job)
  return { outcome: ended.outcome, heard, ended, isClean: await cell.idle() }
}

export const code = (outcome: SkillOutcome): string => (outcome.status === 'ok' ? 'ok' : outcome.code)
