import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SkillErrorCode } from '#contract'
import { advised } from '../../../skills/runner/advice.ts'
import { skillDescriptor } from '../../support/skill.ts'

const python = skillDescriptor({ id: 'it', runtime: { language: 'python', entrypoint: 'main.py' }, timeoutMs: 1_500 })
const told = (code: SkillErrorCode, message: string, egress: readonly string[] = [], descriptor = python): string =>
  advised({ code, message, egress, descriptor })

test('a limit is told with the member of the descriptor that sets it', () => {
  assert.equal(told('timeout', 'it took longer than 1500 ms'), 'it took longer than 1500 ms (`timeout_ms`)')
  assert.equal(told('timeout', 'it took longer than 90 ms'), 'it took longer than 90 ms', 'that was the limit of its caller')
  assert.match(told('oom', 'it needed more'), /^it needed more \(`resources\.memory_mb` is \d+\)$/)
  assert.match(told('pids_exhausted', 'it wanted more'), /\(`resources\.pids` is \d+\)$/)
})

test('a package that is missing is told with where packages are named', () => {
  const python3 = "ModuleNotFoundError: No module named 'requests'"
  assert.equal(told('crashed', python3), `${python3}. Packages are named in a lock file: \`dependencies\` of its descriptor.`)
  assert.match(told('crashed', python3, [], { ...python, dependencies: 'requirements.txt' }), /\. Is it named in requirements\.txt\?$/)
  const script = { ...python, runtime: { language: 'javascript', entrypoint: 'main.js' } } as const
  assert.match(told('crashed', 'Error: cannot import "node:fs" in main.js: only files', [], script), /"language": "node"`\.$/)
})

test('a host that cannot be found is told with the hosts it asked for, if it asked for none', () => {
  const message = 'TypeError: fetch failed (getaddrinfo EAI_AGAIN example.com)'
  assert.match(told('crashed', message), /\. It may reach no host: `network\.allow` of its descriptor names none\.$/)
  assert.equal(told('crashed', message, ['example.org']), message)
})

test('what is printed and not returned, and what is written beside /tmp, is told so', () => {
  assert.match(told('invalid_output', 'run() returned what is not JSON: nothing is not JSON'), /what it prints is log\.$/)
  assert.match(told('crashed', "OSError: [Errno 30] Read-only file system: '/opt/x'"), /\. It can write to \/tmp only\.$/)
  assert.equal(told('crashed', 'ValueError: no such user.'), 'ValueError: no such user.', 'and nothing is added to the rest')
  assert.equal(told('busy', 'Read-only file system'), 'Read-only file system')
})
