/** What is asked of a skill before it is registered, the cheap questions first: its form, who vouches for it, what its major promised, whether it works. */
import { ConflictError, InvalidError } from '#contract'
import type { Fault, JsonObject, Log, NewSkill } from '#contract'
import { admit } from '../bundle/admit.ts'
import type { Bundle } from '../bundle/bundle.ts'
import { judge } from '../bundle/signature.ts'
import { incompatibilities } from '../descriptor/compatible.ts'
import type { DescriptorParser } from '../descriptor/descriptor.ts'
import { compareVersions } from '../descriptor/version.ts'
import type { SkillsSettings } from '../settings.ts'
import type { Held, Shelf } from './shelf.ts'

export interface Candidate {
  readonly bundle: Bundle
  readonly written: JsonObject
}

export interface Examiners {
  readonly settings: SkillsSettings
  readonly log: Log
  readonly parser: DescriptorParser
}

/** @throws InvalidError (`SKILL_INVALID`, `SKILL_UNSIGNED`) */
export async function formed(skill: NewSkill, { settings, log, parser }: Examiners): Promise<Candidate> {
  const admitted = await admit(skill, parser)
  if (!admitted.ok) {
    throw new InvalidError(`The skill has ${count(admitted.faults.length, 'fault')}.`, {
      code: 'SKILL_INVALID',
      faults: admitted.faults,
    })
  }
  const { bundle, written } = admitted
  await vouched({ skill, bundle, written }, { settings, log })
  return { bundle, written }
}

async function vouched(
  { skill, bundle, written }: Candidate & { readonly skill: NewSkill },
  { settings, log }: Pick<Examiners, 'settings' | 'log'>,
): Promise<void> {
  const { policy, keys } = settings.signatures
  if (policy === 'off') return
  const verdict = await judge({ descriptor: written, files: bundle.files, signature: skill.signature }, keys)
  if (verdict.is === 'good') return
  const { id, version } = bundle.descriptor
  const what = verdict.is === 'unsigned' ? 'is not signed' : `is not vouched for: its signature ${verdict.reason}`
  const message = `Skill "${id}" ${version} ${what}.`
  if (policy === 'warn') return log.warn({ skill: `${id}@${version}`, tenant: skill.tenant }, message)
  throw new InvalidError(`${message} Sign it with \`openclaw skills register --sign <key> --kid <name>\`.`, {
    code: 'SKILL_UNSIGNED',
    faults: [{ pointer: '#/signature', detail: what }],
  })
}

/**
 * Releases keep what the release before them in their major promised, and what they promise the one after them keeps. Nothing was promised
 * by a prerelease, nor by major 0 (SemVer §4).
 * @throws ConflictError (`SKILL_INCOMPATIBLE`)
 */
export function compatible({ bundle }: Candidate, version: Held['version'], shelf: Shelf | null): void {
  if (version.major === 0 || version.prerelease.length > 0) return
  const others = (shelf?.versions() ?? []).filter((held) => held.version.major === version.major && held.version.prerelease.length === 0)
  const before = others.find((held) => compareVersions(held.version, version) < 0)
  const after = others.findLast((held) => compareVersions(held.version, version) > 0)
  const { id } = bundle.descriptor
  const refuse = (faults: readonly Fault[], than: Held): void => {
    if (faults.length === 0) return
    throw new ConflictError(
      `Version ${version.text} of skill "${id}" does not go with ${than.record.version}: ${told(faults)}. Register it as ${version.major + 1}.0.0.`,
      { code: 'SKILL_INCOMPATIBLE' },
    )
  }
  if (before !== undefined) refuse(incompatibilities(before.descriptor, bundle.descriptor), before)
  if (after !== undefined) refuse(incompatibilities(bundle.descriptor, after.descriptor), after)
}

/** Runs the descriptor's tests; what it answers is what went wrong, also that they could not be run here. */
export type RunTests = (bundle: Bundle, tenant: string) => Promise<readonly Fault[]>

/** @throws InvalidError (`SKILL_TESTS_FAILED`) */
export async function works({ bundle }: Candidate, skill: NewSkill, runTests: RunTests): Promise<void> {
  if (skill.skipTests === true || bundle.descriptor.tests.length === 0) return
  const faults = await runTests(bundle, skill.tenant)
  if (faults.length === 0) return
  throw new InvalidError(`Of its ${count(bundle.descriptor.tests.length, 'test')} ${faults.length} did not pass.`, {
    code: 'SKILL_TESTS_FAILED',
    faults,
  })
}

const TOLD = 5
const told = (faults: readonly Fault[]): string =>
  faults
    .slice(0, TOLD)
    .map(({ pointer, detail }) => `${pointer} ${detail}`)
    .join('; ') + (faults.length > TOLD ? `; and ${faults.length - TOLD} more` : '')

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`
