/** The bundled skills for Node and Python where they run when there is no container engine: in bubblewrap, with their packages beside them. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { isJsonObject, textOf } from '#contract'
import type { JsonValue, SkillOutcome } from '#contract'
import { bundled } from '../../../skills/bundled/bundled.ts'
import { shipped } from '../../../skills/catalogue/bundled.ts'
import { BubblewrapSandbox } from '../../../skills/sandbox/bubblewrap/bubblewrap.ts'
import { scriptJob } from '../../support/javascript.ts'
import { realClock } from '../../support/real-clock.ts'
import { facilities } from '../../support/machine.ts'
import { quietLog } from '../../support/quiet-log.ts'

const bwrap = facilities(process.env).find(({ name }) => name === 'bubblewrap')?.path ?? null
const skip = bwrap === null && process.env['CI'] !== 'true' ? 'bubblewrap is not installed' : false

describe('bundled skills in bubblewrap', { skip }, () => {
  const settings = { maxConcurrent: 2, maxQueued: 2, queueMs: 20_000 }
  const sandbox = new BubblewrapSandbox({ settings, log: quietLog, clock: realClock, egress: null, folders: null })
  after(() => sandbox.stop())

  async function run(id: string, input: JsonValue, call?: (skill: string, input: JsonValue) => Promise<SkillOutcome>): Promise<JsonValue> {
    const folder = bundled.find((skill) => skill.id === id) ?? assert.fail(id)
    const bundle = await shipped(folder).load()
    const job = { ...scriptJob('', { input, timeoutMs: bundle.descriptor.timeoutMs, ...(call === undefined ? {} : { call }) }), bundle }
    const { outcome } = await sandbox.run(job)
    assert.equal(outcome.status, 'ok', JSON.stringify(outcome))
    return outcome.status === 'ok' ? outcome.output : null
  }

  test('a report is made, and its PDF is read again', async () => {
    const made = await run('report-generation', { markdown: '# Made here\n\nand **read** there', format: 'pdf' })
    const base64 = isJsonObject(made) ? (made['base64'] ?? '') : ''
    const read = await run('document-analysis', { base64 })
    assert.ok(isJsonObject(read))
    assert.deepEqual([read['kind'], read['title'], read['pages']], ['pdf', 'Made here', 1])
    assert.match(textOf(read['text']), /and read there/)
  })
  test('HTML is read by the parser beside the code', async () => {
    const read = await run('document-analysis', { text: '<title>T</title><p>one &eacute;' })
    assert.ok(isJsonObject(read))
    assert.deepEqual([read['kind'], read['title'], read['text']], ['html', 'T', 'one é'])
  })
  test('a profile is enriched with the help of another skill', async () => {
    const asked: JsonValue[] = []
    const call = (skill: string, input: JsonValue): Promise<SkillOutcome> => {
      asked.push(skill, input)
      return Promise.resolve({
        status: 'ok',
        output: { valid: true, reason: null, normalized: 'ada@example.com', local: 'ada', domain: 'example.com' },
      })
    }
    assert.deepEqual(await run('profile-enricher', { userId: 'u-1' }, call), {
      profile: { name: 'Ada Lovelace', email: 'ada@example.com' },
    })
    assert.deepEqual(asked, ['email-validator', { email: 'ada@example.com' }])
  })
})
