import assert from 'node:assert/strict'
import { test } from 'node:test'
import { skillFindings } from '../../cli/doctor/skills.ts'

const docker = { name: 'docker', languages: ['python', 'node', 'shell'], isAvailable: true, reason: null, warnings: [] } as const
const quickjs = { ...docker, name: 'quickjs', languages: ['javascript'] } as const
const gateway = { ...docker, name: 'gateway', languages: ['gateway'] } as const
const bubblewrap = { ...docker, name: 'bubblewrap', isAvailable: false, reason: 'Install bubblewrap.' } as const

test('where everything can be run that is said, and nothing else is asked for', () => {
  assert.deepEqual(skillFindings([docker, bubblewrap, quickjs, gateway]), [
    { name: 'skills', state: 'ok', detail: 'python, node, shell in docker; javascript in quickjs' },
  ])
})

test('what nothing can run is named, with what to install', () => {
  const findings = skillFindings([{ ...docker, isAvailable: false, reason: 'No engine answers.' }, bubblewrap, quickjs, gateway])
  assert.deepEqual(findings[1], {
    name: 'skills',
    state: 'warn',
    detail: 'nothing here can run python, node, shell; such skills are refused',
    fix: 'docker: No engine answers. bubblewrap: Install bubblewrap.',
  })
})

test('what a sandbox warns of is told of those that are used', () => {
  const findings = skillFindings([{ ...docker, warnings: ['The engine is old.'] }, { ...bubblewrap, warnings: ['unused'] }, quickjs])
  assert.deepEqual(
    findings.filter(({ state }) => state === 'warn'),
    [{ name: 'skills in docker', state: 'warn', detail: 'The engine is old.' }],
  )
})
