/**
 * The skill of the project's first description, by its very descriptor: registered with the command, then called over the API, with the
 * command, by an agent's model, and in a chat. Whatever runs Python here runs it.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { JsonObject } from '#contract'
import { FakeOpenAI } from '../fakes/openai.ts'
import { startChild } from '../support/child.ts'
import { ended, post, say } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { facilities } from '../support/machine.ts'

const DESCRIPTOR =
  '{ "id": "profile-enricher", "version": "1.0.0", "inputs": { "userId": { "type": "string", "description": "User identifier" } }, "outputs": { "profile": { "type": "object", "properties": { "name": { "type": "string" }, "email": { "type": "string" } } } }, "runtime": { "language": "python", "entrypoint": "enrich_profile.py" } }'
const CODE = `def run(input, ctx):
    user = input["userId"]
    return {"profile": {"name": user.capitalize(), "email": user + "@example.com"}}
`
const ANN = { profile: { name: 'Ann', email: 'ann@example.com' } }

const python = facilities(process.env).some(({ name, path }) => (name === 'Docker' || name === 'bubblewrap') && path !== null)
const skip = python || process.env['CI'] ? false : 'neither Docker nor bubblewrap is here'

const endings: (() => Promise<unknown>)[] = []
const model = new FakeOpenAI([
  { do: 'calls', calls: [{ name: 'profile-enricher', arguments: '{"userId":"ann"}' }] },
  { do: 'text', text: 'That is Ann.' },
])
let gateway: GatewayProcess

async function openclaw(args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  const entry = join(import.meta.dirname, '..', '..', 'cli', 'openclaw.ts')
  const child = startChild([entry, ...args], { env: { PATH: process.env['PATH'], OPENCLAW_DIR: gateway.dir }, cwd: gateway.dir })
  const { code } = await child.ended
  return { code, output: child.output() }
}

describe('profile-enricher', { skip, timeout: 120_000 }, () => {
  before(async () => {
    const baseUrl = await model.start()
    endings.push(() => model.stop())
    const llm = { providers: { fake: { api: 'chat', base_url: baseUrl, api_key: 'k' } }, defaults: { primary: 'fake/m' } }
    gateway = await startGateway({ after: (run) => void endings.unshift(run) }, { config: { llm } })
    const folder = join(gateway.dir, 'profile-enricher')
    mkdirSync(folder)
    writeFileSync(join(folder, 'skill.json'), DESCRIPTOR)
    writeFileSync(join(folder, 'enrich_profile.py'), CODE)
    const { code, output } = await openclaw(['skills', 'register', 'profile-enricher'])
    assert.equal(code, 0, output)
  })
  after(async () => {
    for (const end of endings) await end()
  })

  test('answers over the API, by each of its paths', async () => {
    for (const path of [
      '/v1/skills/profile-enricher/invoke',
      '/v1/skills/profile-enricher/v1/invoke',
      '/skills/profile-enricher/v1/invoke',
    ]) {
      const response = await post(gateway, path, { input: { userId: 'ann' } })
      assert.deepEqual([response.status, ((await response.json()) as JsonObject)['output']], [200, ANN], path)
    }
  })

  test('answers to the command', async () => {
    const { code, output } = await openclaw(['skills', 'invoke', 'profile-enricher', '--input', '{"userId":"ann"}'])
    assert.deepEqual([code, JSON.parse(output)], [0, ANN])
  })

  test("answers to an agent's model, which knows it by its schema", async () => {
    const message = await ended(gateway, await say(gateway, 'Who is ann?'))
    assert.deepEqual([message.status, message.replies.map(({ text }) => text)], ['done', ['That is Ann.']])
    assert.ok(message.steps.some(({ kind, name, status }) => kind === 'skill' && name === 'profile-enricher' && status === 'done'))
    const [first, second] = model.requests.map(({ body }) => JSON.stringify(body))
    assert.match(first ?? '', /"name":"profile-enricher".*"User identifier"/)
    assert.match(second ?? '', /ann@example\.com/)
  })

  test('answers in a chat', async () => {
    const message = await ended(gateway, await say(gateway, '/skill profile-enricher {"userId":"ann"}'))
    assert.deepEqual(JSON.parse(message.replies[0]?.text ?? ''), ANN)
  })
})
