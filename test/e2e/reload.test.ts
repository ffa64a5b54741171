/**
 * The configuration is edited while messages run: routes and agents change for what comes in from then on, turns under way keep what they
 * began with, and a faulty edit changes nothing but the log.
 */
import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { JsonObject } from '#contract'
import { FakeOpenAI } from '../fakes/openai.ts'
import { answerTo, ended, post, say } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'

/** Written whole, as editors do. */
async function edit(dir: string, text: string): Promise<void> {
  await writeFile(join(dir, 'openclaw.yaml.new'), text)
  await rename(join(dir, 'openclaw.yaml.new'), join(dir, 'openclaw.yaml'))
}

const READ = /The configuration was read again/g
const count = (output: string, pattern: RegExp): number => output.match(pattern)?.length ?? 0

test('a new route is in force at once, a running turn keeps its own, a bad edit changes nothing', { timeout: 40_000 }, async (context) => {
  const model = new FakeOpenAI({ do: 'hold', line: { do: 'text', text: 'from before' } })
  model.when(/who/, { do: 'text', text: 'a model' })
  const baseUrl = await model.start()
  context.after(() => model.stop())
  const config = (fallback: string, prompt: string): string => `
llm:
  providers:
    fake: { base_url: "${baseUrl}", api: chat, api_key: k }
agents:
  thinker: { model: fake/m, prompt: "${prompt}" }
  parrot: { model: builtin/echo }
fallback: ${fallback}
`
  const gateway = await startGateway(context, { config: config('thinker', 'first') })
  const running = await say(gateway, 'slow', 'ann')
  await model.received(1)
  const behind = await say(gateway, 'who is behind', 'ann')

  await edit(gateway.dir, config('parrot', 'second'))
  await gateway.told(READ, 10_000)
  assert.equal(await answerTo(gateway, 'who are you', 'bob'), 'You said: who are you')
  assert.equal(((await (await gateway.fetch(`/v1/messages/${running}`)).json()) as { status: string }).status, 'running')
  model.release()
  const kept = await ended(gateway, running)
  assert.deepEqual([kept.agent, kept.attempts, kept.replies[0]?.text], ['thinker', 1, 'from before'])
  assert.equal((await ended(gateway, behind)).agent, 'thinker', 'what was stored keeps its route')
  const prompts = model.requests.map(({ body }) => (body['messages'] as readonly { content: string }[])[0]?.content)
  assert.deepEqual(prompts, ['first', 'second'], 'and its turn begins with the agent as it is then')

  await edit(gateway.dir, `${config('thinker', 'third')}routes:\n  - match: { chanel: http }\n    agnet: nobody\n`)
  await gateway.told(/The edited configuration is faulty/, 10_000)
  assert.match(gateway.output(), /openclaw\.yaml:10:\d+ routes\[0\]\.match\.chanel[^"]*\\?"chanel/)
  assert.match(gateway.output(), /Did you mean \\"channel\\"/)
  assert.match(gateway.output(), /openclaw\.yaml:11:\d+ routes\[0\]\.agnet/, 'every fault at once')
  assert.equal(await answerTo(gateway, 'who is it now', 'bob'), 'You said: who is it now')
  assert.equal((await gateway.fetch('/readyz')).status, 200)

  await edit(gateway.dir, config('thinker', 'fourth'))
  await gateway.told(/(The configuration was read again[\s\S]*){2}/, 10_000)
  assert.equal(await answerTo(gateway, 'who is it at last', 'carl'), 'a model')
})

test('SIGHUP reads it again, and a gateway without a file learns of one', { timeout: 20_000 }, async (context) => {
  const gateway = await startGateway(context)
  gateway.signal('SIGHUP')
  await gateway.told(READ, 10_000)
  await writeFile(join(gateway.dir, 'openclaw.yaml'), 'agents: { first: {}, second: {} }\nfallback: second\n')
  gateway.signal('SIGHUP')
  await gateway.told(/(The configuration was read again[\s\S]*){2}/, 10_000)
  const { agent } = await ended(gateway, await say(gateway, 'hello'))
  assert.equal(agent, 'second')

  await writeFile(join(gateway.dir, 'openclaw.yaml'), 'agents: [\n')
  gateway.signal('SIGHUP')
  await gateway.told(/The edited configuration is faulty/, 10_000)
  assert.match(gateway.output(), /openclaw\.yaml:\d+:\d+/)
  assert.equal((await ended(gateway, await say(gateway, 'still there'))).agent, 'second')
  assert.ok(count(gateway.output(), READ) >= 2)
})

test('what is said of skills is in force at once, but for what sandboxes are made with', { timeout: 40_000 }, async (context) => {
  const gateway = await startGateway(context)
  const register = async (id: string, code: string, more: JsonObject = {}): Promise<void> => {
    const shape = { inputs: { type: 'object' }, outputs: { type: 'object' } }
    const runtime = { language: 'javascript', entrypoint: 'main.js' }
    const descriptor = { id, version: '1.0.0', ...shape, effect: 'none', runtime, ...more }
    const response = await post(gateway, '/v1/skills', { descriptor, files: { 'main.js': code } })
    assert.equal(response.status, 201, await response.text())
  }
  await register('teller', 'export const run = (input, ctx) => ({ letters: ctx.secrets.WORD.length })', { secrets: ['WORD'] })
  // As one of the gateway's own is called: it is another skill, and registered anew.
  await register('calculator', 'export const run = () => ({})')
  await register('guard', 'export const run = () => ({ refuse: "closed today" })')
  const tell = async (): Promise<JsonObject> => {
    const response = await post(gateway, '/v1/skills/teller/invoke', {})
    return { status: response.status, ...((await response.json()) as JsonObject) }
  }
  let edits = 0
  const change = async (skills: JsonObject): Promise<void> => {
    edits++
    await edit(gateway.dir, JSON.stringify({ skills }))
    await gateway.told(new RegExp(`(The configuration was read again[\\s\\S]*){${edits}}`), 10_000)
  }
  const before = await tell()
  assert.match(JSON.stringify(before['detail']), /needs what nobody gave it: set `skills\.entries\.teller\.secrets\.WORD`/)
  const entries = { teller: { secrets: { WORD: 'hush-hush-hush' } } }
  await change({ entries })
  assert.deepEqual((await tell())['output'], { letters: 14 })
  await change({ entries, hooks: { before: ['guard'], after: [] } })
  assert.match(JSON.stringify((await tell())['detail']), /closed today/)
  assert.doesNotMatch(gateway.output(), /as before until the next start/)
  await change({ entries, sandbox: 'none', docker: { parked: 3 } })
  assert.equal((await tell())['status'], 200, 'the hook is gone')
  assert.match(gateway.output(), /skills\.sandbox, skills\.docker: as before until the next start/)
  await change({ entries: { teller: { ...entries.teller, enabled: false } } })
  assert.equal((await tell())['status'], 404)
})
