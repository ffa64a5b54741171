/**
 * Skills that mean harm, in real containers. Each attack runs twice: in a container with none of our defences, where it has to work, and in the
 * sandbox, where it has to get nothing. After each one somebody else's call is as well as before; after all of them nothing is left.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { before, describe, test } from 'node:test'
import type { JsonValue, SkillEvent } from '#contract'
import { LABELS } from '../../../skills/sandbox/docker/box.ts'
import { readInstance } from '../../../skills/sandbox/docker/instance.ts'
import type { Ended } from '../../../skills/sandbox/sandbox.ts'
import { jobFor, startSandbox, type Code, type Contained } from '../../support/container.ts'
import { docker, withoutDocker, startEngine, type TestEngine } from '../../support/docker.ts'
import { suiteScope } from '../../support/suite-scope.ts'
import type { Attack } from './attack.ts'
import { control, type Outside } from './control.ts'
import { HONEST, LIES, harmsOf } from './conversation.ts'
import { FILES } from './files.ts'
import { KERNEL } from './kernel.ts'
import { LEAKS, ONE_AFTER_THE_OTHER, twice } from './leaks.ts'
import { NETWORK } from './network.ts'
import { PROCESSES } from './processes.ts'
import { RESOURCES } from './resources.ts'

const GROUPS: readonly (readonly [what: string, attacks: readonly Attack[]])[] = [
  ['what there is a limit to', RESOURCES],
  ['processes', PROCESSES],
  ['files and devices', FILES],
  ['system calls', KERNEL],
  ['the network', NETWORK],
]
/** `run` of a skill around an attack. */
const skillOf = (id: string, code: string): Code => ({
  language: 'python',
  id,
  code: `${code}\ndef run(input, ctx):\n    return {'worked': bool(attack(input))}\n`,
})
const GOOD: Code = { language: 'python', id: 'good', code: "def run(input, ctx):\n    return 'well'\n" }
const how = ({ outcome }: Ended): string => (outcome.status === 'ok' ? 'ok' : outcome.code)
const output = ({ outcome }: Ended): JsonValue => (outcome.status === 'ok' ? outcome.output : `${outcome.code}: ${outcome.message}`)

describe('hostile skills', { skip: withoutDocker() }, () => {
  const scope = suiteScope()
  let engine: TestEngine
  let contained: Contained
  let outside: Outside
  let reached = 0
  before(async () => {
    engine = await startEngine(scope)
    contained = await startSandbox(scope, engine, { maxContainers: 6, parked: 1 })
    const listener = createServer((socket) => {
      reached++
      socket.on('error', () => undefined)
      socket.end('hello from outside')
    })
    listener.listen(0, '0.0.0.0')
    await once(listener, 'listening')
    scope.after(async () => void listener.close())
    const address = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .find(({ family, internal }) => family === 'IPv4' && !internal)
    assert.ok(address !== undefined, 'this machine has no address beside loopback')
    outside = { host: address.address, port: (listener.address() as AddressInfo).port }
  })

  const isWell = async (): Promise<void> =>
    assert.equal(output(await contained.sandbox.run(jobFor(GOOD, {}, { tenant: 'neighbour' }))), 'well')

  for (const [what, attacks] of GROUPS) {
    describe(what, () => {
      for (const [i, attack] of attacks.entries()) {
        test(`one that ${attack.name}`, async () => {
          assert.equal(
            await control(attack, { engine, outside, isBare: attacks === NETWORK }),
            attack.control,
            'the control: it has to work where nothing holds it off',
          )
          const before = reached
          const code = {
            ...skillOf(`attack-${what.length}-${i}`, attack.code),
            ...(attack.resources === undefined ? {} : { resources: attack.resources }),
          }
          const input = attack.arg === 'OUTSIDE' ? { ...outside } : (attack.arg ?? null)
          const ended = await contained.sandbox.run(jobFor(code, input, { timeoutMs: attack.timeoutMs ?? 10_000 }))
          const end = how(ended) === 'ok' ? (JSON.stringify(output(ended)) === '{"worked":false}' ? 'nothing' : 'it worked') : how(ended)
          assert.ok(
            attack.held.some((way) => way === end),
            `${end}: ${JSON.stringify(output(ended))}`,
          )
          assert.equal(reached, before)
          await isWell()
        })
      }
    })
  }

  describe('the conversation', () => {
    test('the control suffers nothing by a skill that is honest', async () => {
      for (const skill of HONEST) assert.deepEqual(await harmsOf(skill), [], skill.language)
    })

    for (const [i, { name, language, code, output: wanted, codes = [], harm }] of LIES.entries()) {
      test(name, async () => {
        const harms = await harmsOf({ language, code })
        assert.ok(harms.includes(harm), `the control: a gateway without defences ${harm}; it suffered ${JSON.stringify(harms)}`)
        let progress = 0
        const tell = ({ is }: SkillEvent): void => void (progress += is === 'progress' ? 1 : 0)
        const ended = await contained.sandbox.run(jobFor({ language, id: `lie-${i}`, code }, {}, { timeoutMs: 5_000, tell }))
        const isTruth = wanted !== undefined && JSON.stringify(output(ended)) === JSON.stringify(wanted)
        assert.ok(isTruth || codes.includes(how(ended)), JSON.stringify(output(ended)).slice(0, 300))
        assert.equal(Reflect.get({}, 'polluted'), undefined)
        assert.ok(!JSON.stringify(output(ended)).includes('__proto__'))
        assert.ok(progress < 200, `${progress} times progress`)
        await isWell()
      })
    }
  })

  describe('what one call leaves for the next', () => {
    for (const [i, { name, plant, look, isOfItsProgram }] of LEAKS.entries()) {
      test(name, async () => {
        const both = `${plant.replaceAll('attack', 'plant')}\n${look.replaceAll('attack', 'look')}\n`
        const unguarded = control({ code: isOfItsProgram === true ? twice(both) : `${both}${ONE_AFTER_THE_OTHER}` }, { engine, outside })
        assert.equal(await unguarded, 'worked', 'the control: in one place the second finds it')
        // One skill, one tenant: the two share a container.
        const code = skillOf(`leak-${i}`, `${both}def attack(arg):\n    return plant(arg) if arg == 'plant' else look(arg)\n`)
        const planted = await contained.sandbox.run(jobFor(code, 'plant'))
        assert.ok(how(planted) === 'ok', JSON.stringify(output(planted)))
        assert.deepEqual(output(await contained.sandbox.run(jobFor(code, 'look'))), { worked: false })
      })
    }

    test('a secret is in no environment, no command line and no file, and not there for whoever comes next', async () => {
      const secret = `hush-${Math.random().toString(36).slice(2)}-hush`
      const search: Code = {
        language: 'python',
        id: 'search',
        code: `
import os
def run(input, ctx):
    mine = ctx.secrets.get('TOKEN', '')
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        for name in ('environ', 'cmdline'):
            try:
                if b'hush-' in open('/proc/%s/%s' % (pid, name), 'rb').read(): found.append(pid + name)
            except OSError: pass
    for folder, _, names in os.walk('/tmp'):
        for name in names:
            try:
                path = os.path.join(folder, name)
                if not path.endswith('.py') and b'hush-' in open(path, 'rb').read(): found.append(path)
            except OSError: pass
    return {'found': found, 'told': mine != ''}
`,
      }
      const told = await contained.sandbox.run(jobFor(search, {}, { secrets: { TOKEN: secret } }))
      assert.deepEqual(output(told), { found: [], told: true })
      assert.deepEqual(output(await contained.sandbox.run(jobFor(search))), { found: [], told: false })
      const ids = (await docker(engine.socket, 'ps', '--all', '--quiet')).split('\n').filter((id) => id !== '')
      if (ids.length > 0) assert.ok(!(await docker(engine.socket, 'inspect', ...ids)).includes(secret))
    })
  })

  test('a flood costs the gateway little memory', async () => {
    const before = process.memoryUsage.rss()
    const logs: SkillEvent[] = []
    const flood: Code = {
      language: 'python',
      id: 'flood',
      code: "import os\ndef run(input, ctx):\n    while True:\n        os.write(1, b'x' * 65536)\n",
    }
    const ended = await contained.sandbox.run(jobFor(flood, {}, { timeoutMs: 5_000, tell: (event) => void logs.push(event) }))
    assert.equal(how(ended), 'output_limit')
    assert.ok(process.memoryUsage.rss() - before < 32 * 1_048_576)
    const told = logs.reduce((sum, event) => sum + (event.is === 'log' ? event.text.length : 0), 0)
    assert.ok(told <= 80 * 1_024, `${told} characters`)
  })

  test('afterwards nothing is left: no container, no volume, no process of a skill', async () => {
    // Other tests have theirs on this machine: ours are known by their ids.
    const ids = await contained.containers()
    assert.ok(ids.length > 0)
    await contained.sandbox.stop()
    assert.deepEqual(await contained.containers(), [])
    const label = `label=${LABELS.instance}=${(await readInstance(contained.dir)) ?? ''}`
    assert.equal(await docker(engine.socket, 'volume', 'ls', '--quiet', '--filter', label), '')
    const left = readdirSync('/proc').filter((pid) => {
      try {
        const groups = /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cgroup`, 'utf8') : ''
        return ids.some((id) => groups.includes(id))
      } catch {
        return false
      }
    })
    assert.deepEqual(left, [])
  })
})
