/**
 * Skills that an agent finds by itself: offered to models of each wire by their schema, a folder of the Agent Skills kind among them; and one whose
 * packages come from the operator's own store. In containers, as the real gateway makes them.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isJsonObject, textOf } from '#contract'
import type { JsonObject } from '#contract'
import { readInstance } from '../../skills/sandbox/docker/instance.ts'
import { FakeAnthropic } from '../fakes/anthropic.ts'
import { FakeOpenAI } from '../fakes/openai.ts'
import { startChild } from '../support/child.ts'
import { ended, post } from '../support/conversation.ts'
import type { MessageDocument } from '../support/conversation.ts'
import { docker, dockerPath, startEngine } from '../support/docker.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const LOOKUP = {
  'skill.json': JSON.stringify({
    id: 'weather.lookup',
    version: '1.0.0',
    description: 'Tells the weather of a city.',
    inputs: { city: { type: 'string', description: 'Name of the city' } },
    outputs: { sky: { type: 'string' }, trace: { type: 'string' } },
    runtime: { language: 'python', entrypoint: 'lookup.py' },
    effect: 'none',
  }),
  'lookup.py':
    'import os\ndef run(input, ctx):\n    return {"sky": input["city"] + " is blue", "trace": os.environ.get("TRACEPARENT", "")}\n',
}
const GREETER = {
  'SKILL.md': '---\nname: greeter\ndescription: Greets people by their names.\n---\n# How\n\nRun scripts/greet.py with the name.\n',
  'scripts/greet.py': 'import sys\nprint("Welcome, " + sys.argv[1])\n',
}

const skip = dockerPath() === null && process.env['CI'] !== 'true' ? 'Docker is not here' : false

describe('skills as tools', { skip, timeout: 180_000 }, () => {
  const endings: (() => Promise<unknown>)[] = []
  const scope = { after: (run: () => Promise<void>): void => void endings.unshift(run) }
  const chat = new FakeOpenAI()
  const responses = new FakeOpenAI()
  const claude = new FakeAnthropic(
    { do: 'blocks', blocks: [{ type: 'text', text: 'Nothing to look up.' }] },
    { do: 'blocks', blocks: [{ type: 'text', text: 'Nothing to look up.' }] },
  )
  let gateway: GatewayProcess
  let socket: string

  before(async () => {
    const engine = await startEngine(scope)
    socket = engine.socket
    const urls = await Promise.all([chat, responses, claude].map((fake) => fake.start()))
    endings.unshift(() => Promise.all([chat, responses, claude].map((fake) => fake.stop())))
    const [chatUrl, responsesUrl, claudeUrl] = urls
    const providers = {
      chat: { api: 'chat', base_url: chatUrl, api_key: 'k' },
      responses: { api: 'responses', base_url: responsesUrl, api_key: 'k' },
      claude: { api: 'messages', base_url: claudeUrl, api_key: 'k' },
    }
    const agents = Object.fromEntries(Object.keys(providers).map((name) => [name, { model: `${name}/m` }]))
    const skills = { sandbox: 'docker', docker: { socket: engine.socket, image: engine.image, parked: 0 } }
    gateway = await startGateway(scope, { config: { llm: { providers }, agents, fallback: 'chat', skills } })
    endings.unshift(async () => {
      const label = `label=openclaw.instance=${(await readInstance(join(gateway.dir, '.openclaw'))) ?? 'none'}`
      // What it holds ends with it; packages are kept for its next life, which it has none of.
      await gateway.stop()
      const left = await docker(socket, 'volume', 'ls', '--quiet', '--filter', label)
      for (const volume of left.split('\n').filter(Boolean)) await docker(socket, 'volume', 'rm', volume)
    })
    await register('lookup', LOOKUP)
    await register('greeter', GREETER)
  })
  after(async () => {
    for (const end of endings) await end()
  })

  async function register(folder: string, files: { readonly [path: string]: string }): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(gateway.dir, folder, path)), { recursive: true })
      writeFileSync(join(gateway.dir, folder, path), text)
    }
    const entry = join(import.meta.dirname, '..', '..', 'cli', 'openclaw.ts')
    const env = { PATH: process.env['PATH'], OPENCLAW_DIR: gateway.dir }
    const child = startChild([entry, 'skills', 'register', `./${folder}`], { env, cwd: gateway.dir })
    const { code } = await child.ended
    assert.equal(code, 0, child.output())
  }
  async function tell(agent: string, text: string): Promise<MessageDocument> {
    const metadata = { user_id: `${agent}-user`, agent_id: agent }
    const response = await post(gateway, '/v1/messages', { payload: text, metadata }, { traceparent: TRACEPARENT })
    assert.equal(response.status, 202, await response.clone().text())
    return ended(gateway, ((await response.json()) as { readonly message_id: string }).message_id, 60_000)
  }
  const toolsOf = (fake: FakeOpenAI | FakeAnthropic): readonly JsonObject[] =>
    (fake.requests[0]?.body['tools'] ?? []) as readonly JsonObject[]
  const offered = (tools: readonly JsonObject[]): JsonObject =>
    tools.find(({ description }) => description === 'Tells the weather of a city.') ?? assert.fail('it is not offered')

  test('are offered with description and schema on each wire, and called by the name that was offered', async () => {
    const schema = {
      type: 'object',
      properties: { city: { type: 'string', description: 'Name of the city' } },
      required: ['city'],
      additionalProperties: false,
    }
    await tell('claude', 'hello')
    const { name, input_schema } = offered(toolsOf(claude))
    assert.deepEqual(input_schema, schema)
    // No wire takes a dot.
    assert.match(textOf(name), /^weather_lookup_[a-z0-9]+$/)

    const calls = [{ name: textOf(name), arguments: '{"city":"Ulm"}' }]
    responses.add({ do: 'calls', calls }, { do: 'text', text: 'It is blue.' })
    assert.equal((await tell('responses', 'hello')).replies[0]?.text, 'It is blue.')
    const ofResponses = offered(toolsOf(responses))
    assert.deepEqual([ofResponses['type'], ofResponses['name'], ofResponses['parameters']], ['function', name, schema])
    assert.match(JSON.stringify(responses.requests[1]?.body), /Ulm is blue/)

    chat.add({ do: 'calls', calls }, { do: 'text', text: 'It is blue.' })
    const message = await tell('chat', 'hello')
    assert.ok(message.steps.some(({ kind, name: skill, status }) => kind === 'skill' && skill === 'weather.lookup' && status === 'done'))
    const functions = toolsOf(chat).flatMap((tool) => (isJsonObject(tool['function']) ? [tool['function']] : []))
    assert.deepEqual([offered(functions)['name'], offered(functions)['parameters']], [name, schema])
    assert.match(JSON.stringify(chat.requests[1]?.body), /Ulm is blue/)
    assert.ok(JSON.stringify(chat.requests[1]?.body).includes(TRACEPARENT), 'its code was told the trace of the message')
  })

  test('that are a folder with SKILL.md give their instructions, then run their script', async () => {
    const before = chat.requests.length
    chat.add(
      { do: 'calls', calls: [{ name: 'greeter', arguments: '{}' }] },
      { do: 'calls', calls: [{ name: 'greeter', arguments: '{"script":"scripts/greet.py","args":["Ann"]}' }] },
      { do: 'text', text: 'She is greeted.' },
    )
    assert.equal((await tell('chat', 'Greet Ann')).replies.at(-1)?.text, 'She is greeted.')
    const [, read, ran] = chat.requests.slice(before).map(({ body }) => JSON.stringify(body))
    assert.match(read ?? '', /Run scripts\/greet\.py with the name/)
    assert.match(ran ?? '', /Welcome, Ann/)
  })

  test('get the packages of their lock file from the wheelhouse, and say which are missing', async () => {
    const wheelhouse = join(gateway.dir, '.openclaw', 'wheelhouse')
    const wheel = join(wheelhouse, 'greeting-1.0.0-py3-none-any.whl')
    mkdirSync(wheelhouse, { recursive: true })
    execFileSync('python3', ['-c', ZIP, wheel])
    const digest = createHash('sha256').update(readFileSync(wheel)).digest('hex')
    const skill = (id: string, lock: string): { readonly [path: string]: string } => ({
      'skill.json': JSON.stringify({
        id,
        version: '1.0.0',
        inputs: { name: { type: 'string' } },
        outputs: { said: { type: 'string' } },
        runtime: { language: 'python', entrypoint: 'main.py' },
        dependencies: 'requirements.txt',
        effect: 'none',
      }),
      'main.py': 'import greeting\ndef run(input, ctx):\n    return {"said": greeting.to(input["name"])}\n',
      'requirements.txt': lock,
    })
    await register('packaged', skill('packaged', `greeting==1.0.0 --hash=sha256:${digest}\n`))
    const answer = await post(gateway, '/v1/skills/packaged/invoke', { input: { name: 'Ann' } })
    assert.deepEqual(((await answer.json()) as JsonObject)['output'], { said: 'hello Ann' })
    await register('lacking', skill('lacking', `other==2.0.0 --hash=sha256:${'0'.repeat(64)}\n`))
    const refusal = (await (await post(gateway, '/v1/skills/lacking/invoke', { input: { name: 'Ann' } })).json()) as JsonObject
    assert.equal(refusal['code'], 'SKILL_DEPS_FAILED')
    assert.match(JSON.stringify(refusal['detail']), /other 2\.0\.0/)
  })
})

const ZIP = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as z:
    z.writestr('greeting/__init__.py', 'def to(name):\\n    return "hello " + name\\n')
    z.writestr('greeting-1.0.0.dist-info/METADATA', 'Name: greeting\\n')`
