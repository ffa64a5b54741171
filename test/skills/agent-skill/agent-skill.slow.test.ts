import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { JsonObject, JsonValue, SkillOutcome } from '#contract'
import { readAgentSkill } from '../../../skills/agent-skill/agent-skill.ts'
import type { DockerSandbox } from '../../../skills/sandbox/docker/docker.ts'
import { jobFor, startSandbox } from '../../support/container.ts'
import { withoutDocker, startEngine } from '../../support/docker.ts'
import { suiteScope } from '../../support/suite-scope.ts'

const FOLDER = {
  'SKILL.md': '---\nname: greeter\ndescription: Greets.\n---\n# How\n\nRun scripts/greet.py.\n',
  'references/tone.md': 'Be kind.',
  'assets/logo.bin': '\u00ff\u00fe',
  'scripts/greet.py':
    'import sys, os, helper\nprint(helper.hello(sys.argv[1]), sys.stdin.read(), os.environ.get("TOKEN"))\nopen("made.txt", "w").write("x")\n',
  'scripts/helper.py': 'def hello(name):\n    return "hello " + name\n',
  'scripts/fail.sh': 'echo bad >&2; exit 3\n',
  'scripts/add.mjs': 'console.log(Number(process.argv[2]) + Number(process.argv[3]))\n',
  'scripts/flood.sh': 'yes | head -c 5000000\n',
}

describe('an Agent Skill in its sandbox', { skip: withoutDocker() }, () => {
  const scope = suiteScope()
  let sandbox: DockerSandbox
  before(async () => {
    const engine = await startEngine(scope)
    sandbox = (await startSandbox(scope, engine)).sandbox
  })

  async function ask(input: JsonValue): Promise<SkillOutcome> {
    const files = Object.fromEntries(
      Object.entries(FOLDER).map(([path, text]) => [path, Buffer.from(text, path.endsWith('.bin') ? 'latin1' : 'utf8')]),
    )
    const read = await readAgentSkill({ files })
    assert.ok(read.ok)
    const job = jobFor({ language: 'python', code: '' }, input, { secrets: { TOKEN: 'given' } })
    const runtime = { language: 'python', entrypoint: 'agent_skill.py' } as const
    const bundle = { digest: 'sha256-greeter', descriptor: { ...job.bundle.descriptor, id: 'greeter', runtime }, files: read.files }
    return (await sandbox.run({ ...job, bundle })).outcome
  }
  const answer = async (input: JsonValue): Promise<JsonObject> => {
    const outcome = await ask(input)
    assert.equal(outcome.status, 'ok', JSON.stringify(outcome))
    return outcome.output as JsonObject
  }

  test('answers its instructions and what files it has', async () => {
    const { instructions, files } = await answer({})
    assert.equal(instructions, '# How\n\nRun scripts/greet.py.')
    assert.deepEqual(files, Object.keys(FOLDER).toSorted())
  })

  test('answers a file: text as text, anything else in base64; none outside the folder', async () => {
    assert.deepEqual(await answer({ file: 'references/tone.md' }), { content: 'Be kind.', encoding: 'utf-8' })
    assert.deepEqual(await answer({ file: 'assets/logo.bin' }), { content: '//4=', encoding: 'base64' })
    for (const file of ['../../etc/passwd', '/etc/passwd', 'nothing', 'references']) {
      const outcome = await ask({ file })
      assert.match(outcome.status === 'error' ? outcome.message : '', /there is no file/, file)
    }
  })

  test('runs scripts in Python, Node and a shell, with arguments, input and secrets', async () => {
    assert.deepEqual(await answer({ script: 'scripts/greet.py', args: ['you'], stdin: 'in' }), {
      stdout: 'hello you in given\n',
      stderr: '',
      exit_code: 0,
      files: ['made.txt'],
    })
    assert.equal((await answer({ script: 'scripts/add.mjs', args: ['1', '2'] }))['stdout'], '3\n')
    assert.deepEqual(await answer({ script: 'scripts/fail.sh' }), { stdout: '', stderr: 'bad\n', exit_code: 3, files: [] })
    const { stdout } = await answer({ script: 'scripts/flood.sh' })
    assert.equal(typeof stdout === 'string' && stdout.length, 131_072)
  })

  test('runs nothing that is no script of its own', async () => {
    for (const script of ['references/tone.md', '/bin/sh', '../../bin/sh']) assert.equal((await ask({ script })).status, 'error', script)
  })
})
