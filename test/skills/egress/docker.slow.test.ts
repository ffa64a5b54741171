import assert from 'node:assert/strict'
import { access } from 'node:fs/promises'
import { before, describe, test } from 'node:test'
import type { JsonValue, SkillEvent, SkillOutcome } from '#contract'
import { jobFor, startSandbox } from '../../support/container.ts'
import { withoutDocker, startEngine } from '../../support/docker.ts'
import { suiteScope } from '../../support/suite-scope.ts'
import type { TestEngine } from '../../support/docker.ts'
import { openWay, serve } from '../../support/egress.ts'

const PYTHON = `import urllib.request
def run(input, ctx):
    return urllib.request.urlopen(input, timeout=5).read().decode()
`
const NODE = `export const run = async (input) => (await fetch(input)).text()`
const SHELL = `exec 2>&1
read -r url
[ -S /run/egress/proxy.sock ] && sees=socket || sees=nothing
echo "\\"$sees\\"" >&3`

describe('out of a container', { skip: withoutDocker() }, () => {
  const scope = suiteScope()
  let engine: TestEngine
  before(async () => {
    engine = await startEngine(scope)
  })

  for (const [language, code] of [
    ['python', PYTHON],
    ['node', NODE],
  ] as const) {
    test(`a ${language} skill reaches what it declares; what else it tries is egress_denied`, async (context) => {
      const port = await serve(context, (_request, response) => response.end('hello'))
      const place = `127.0.0.1:${port}`
      const { proxy } = await openWay(context, { privateHosts: [place] })
      const { sandbox } = await startSandbox(scope, engine, { egress: proxy })
      let told = ''
      const ask = async (url: string, egress: readonly string[]): Promise<SkillOutcome> => {
        told = ''
        const tell = (event: SkillEvent): void => void (told += event.is === 'log' && event.stream === 'log' ? event.text : '')
        const { outcome } = await sandbox.run({ ...jobFor({ language, code }), input: url, egress, tell })
        return outcome
      }
      const good = await ask(`http://${place}/`, [place])
      assert.equal(good.status === 'ok' ? good.output : good.message, 'hello')
      assert.equal(told, '')
      for (const url of ['http://169.254.169.254/latest/', `http://localhost:${port}/`, 'http://evil.example/']) {
        const bad = await ask(url, [place, '169.254.169.254'])
        // Node's fetch takes a 403 of the proxy for an answer.
        assert.match(told, /^egress: .*(is not among|is no public).*\n$/, url)
        const said: JsonValue = bad.status === 'ok' ? bad.output : bad.code
        assert.match(JSON.stringify(said), /^"(egress_denied"$|.*(is not among|is no public))/, url)
      }
      // The same container, declared for nothing but another host.
      const other = await ask(`http://${place}/`, ['api.example.com'])
      assert.notEqual(other.status === 'ok' ? other.output : '', 'hello')
      await sandbox.stop()
    })
  }

  test('that declares nothing there is no way at all, and no door is left when its sandbox is gone', async (context) => {
    const port = await serve(context, (_request, response) => response.end('hello'))
    const { proxy, root, door } = await openWay(context, { privateHosts: [`127.0.0.1:${port}`] })
    const { sandbox } = await startSandbox(scope, engine, { egress: proxy })
    const outcomeOf = async (egress: readonly string[]): Promise<SkillOutcome> =>
      (await sandbox.run({ ...jobFor({ language: 'shell', code: SHELL }), input: 'x', egress })).outcome
    const [without, withOne] = [await outcomeOf([]), await outcomeOf(['api.example.com'])]
    assert.equal(without.status === 'ok' && without.output, 'nothing')
    assert.equal(withOne.status === 'ok' && withOne.output, 'socket')
    const tried = await sandbox.run({ ...jobFor({ language: 'python', code: PYTHON }), input: `http://127.0.0.1:${port}/`, egress: [] })
    assert.equal(tried.outcome.status, 'error')
    await sandbox.stop()
    await door.close()
    await proxy.stop()
    await assert.rejects(access(root))
  })
})
