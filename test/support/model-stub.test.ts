import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { SkillDescriptor } from '#contract'
import { createAgents } from '../agents/harness.ts'
import { RecordedTurn, replyOf } from './turn.ts'
import { skillDescriptor } from './skill.ts'

const skills: readonly SkillDescriptor[] = ['clock', 'echo'].map((id) =>
  skillDescriptor({ id, description: id, inputs: { type: 'object' } }),
)

describe('the model stub as a process', () => {
  let url = ''
  let folder = ''
  let stop: () => Promise<void>
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'openclaw-stub-'))
    const script = new URL('../fakes/model-stub.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [script, '--port', '0', '--delay-ms', '1', '--log', join(folder, 'log')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const line = await new Promise<string>((resolve) => child.stdout.once('data', (data: Buffer) => resolve(data.toString())))
    url = (JSON.parse(line) as { readonly url: string }).url
    stop = async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill()
      await gone
      await rm(folder, { recursive: true })
    }
  })
  after(() => stop())

  test('answers, calls the skills it is told to use, and records every key before it answers', async () => {
    const { agents } = createAgents({ models: { primary: 'stub/m', providers: { stub: { baseUrl: url } } } })
    assert.equal(replyOf(await agents.run(new RecordedTurn({ texts: ['héllo 🙂'], skills }))), 're: héllo 🙂')
    const turn = new RecordedTurn({ texts: ['use skills: clock,echo'], skills })
    assert.equal(replyOf(await agents.run(turn)), 're: use skills: clock,echo')
    assert.deepEqual(
      turn.journal.outcomes.get('llm:1')?.planned.map((call) => [call.skill, call.input]),
      [
        ['clock', {}],
        ['echo', { text: 'echo 2' }],
      ],
    )
    await agents.stop()
    const log = (await readFile(join(folder, 'log'), 'utf8')).trim().split('\n')
    assert.deepEqual(
      log.map((line) => JSON.parse(line) as unknown),
      [
        { key: `${turn.id}:llm:1`, kind: 'text' },
        { key: `${turn.id}:llm:1`, kind: 'calls' },
        { key: `${turn.id}:llm:2`, kind: 'text' },
      ],
    )
  })
})
