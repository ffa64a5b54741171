/** What can run skills here, what to install where nothing can, and what the sandboxes themselves warn of. */
import type { JsonObject, SandboxReport } from '#contract'
import { defaultSettings } from '../../skills/settings.ts'
import type { LoadResult } from '../../gateway/config/load.ts'
import type { World } from '../command.ts'
import { rowsIn, text, wordsIn } from '../document.ts'
import { CommandError } from '../exit.ts'
import { Remote } from '../remote.ts'
import { Workbench } from '../skill/workbench.ts'
import type { Finding } from './local.ts'

type Report = Pick<SandboxReport, 'isAvailable' | 'reason' | 'warnings'> & { readonly name: string; readonly languages: readonly string[] }

/** Languages that authors write in; what ships with the gateway needs no sandbox. */
const WRITTEN = ['python', 'node', 'shell', 'javascript'] as const

/** As the running gateway sees it; where none runs, or will not tell, as one here would. */
export async function checkSkills(world: World, loaded: LoadResult): Promise<readonly Finding[]> {
  try {
    const { data } = await (await Remote.find(world)).get('/v1/skills/runtime')
    return skillFindings(rowsIn(data).map(reportOf))
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
  }
  const settings = loaded.ok ? loaded.config.skills : defaultSettings
  return skillFindings(await Workbench.with(settings, (workbench) => workbench.reports()))
}

const reportOf = (row: JsonObject): Report => ({
  name: text(row['name']),
  languages: wordsIn(row['languages']),
  isAvailable: row['available'] === true,
  reason: row['reason'] === null ? null : text(row['reason']),
  warnings: wordsIn(row['warnings']),
})

export function skillFindings(reports: readonly Report[]): readonly Finding[] {
  const available = reports.filter(({ isAvailable, name }) => isAvailable && name !== 'gateway')
  const able = new Set<string>(available.flatMap(({ languages }) => languages))
  const unable = WRITTEN.filter((language) => !able.has(language))
  const running = available.map(({ name, languages }) => `${languages.join(', ')} in ${name}`)
  const reasons = reports.flatMap(({ isAvailable, name, reason }) => (isAvailable || reason === null ? [] : [`${name}: ${reason}`]))
  return [
    ...(running.length > 0 ? [{ name: 'skills', state: 'ok', detail: running.join('; ') } as const] : []),
    ...(unable.length > 0
      ? [
          {
            name: 'skills',
            state: 'warn',
            detail: `nothing here can run ${unable.join(', ')}; such skills are refused`,
            fix: reasons.join(' ') || 'See docs/skills/sandbox.md for what they need.',
          } as const,
        ]
      : []),
    ...available.flatMap(({ name, warnings }) => warnings.map((detail) => ({ name: `skills in ${name}`, state: 'warn', detail }) as const)),
  ]
}
