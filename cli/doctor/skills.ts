/** What can run skills here, what to install where nothing can, and what the sandboxes themselves warn of. */
import type { SandboxReport } from '#contract'
import type { Finding } from './local.ts'

type Report = Pick<SandboxReport, 'name' | 'languages' | 'isAvailable' | 'reason' | 'warnings'>

/** Languages that authors write in; what ships with the gateway needs no sandbox. */
const WRITTEN = ['python', 'node', 'shell', 'javascript'] as const

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
