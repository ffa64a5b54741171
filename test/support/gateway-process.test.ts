/** The harness itself, with a stand-in for the gateway: ready, not ready, killed, started again, swept away. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { startGateway, temporaryFolder } from './gateway-process.ts'

/** Answers as a gateway would; unready for its first two probes. */
const STAND_IN = `
import { createServer } from 'node:http'
import { mkdirSync, writeFileSync } from 'node:fs'
const dir = process.env.OPENCLAW_DIR
mkdirSync(dir + '/.openclaw', { recursive: true })
writeFileSync(dir + '/.openclaw/admin.key', 'key of the stand-in\\n')
let probes = 0
const server = createServer((request, response) => {
  if (request.url === '/readyz') response.statusCode = ++probes > 2 ? 200 : 503
  response.end(JSON.stringify({ authorization: request.headers.authorization, env: Object.keys(process.env) }))
})
server.listen(Number(process.env.OPENCLAW_PORT), '127.0.0.1', () => console.log('listens on http://127.0.0.1:' + server.address().port))
process.on('SIGTERM', () => process.exit(7))
`

function standIn(test: TestContext, text = STAND_IN): string {
  const path = join(temporaryFolder(test), 'stand-in.mjs')
  writeFileSync(path, text)
  return path
}

describe('startGateway', () => {
  test('waits until it is ready and speaks with the admin key', async (t) => {
    const gateway = await startGateway(t, { entry: standIn(t), config: { agents: {} } })
    const answer = await gateway.fetch('/anything', { method: 'POST', body: 'x' })
    assert.match(await answer.text(), /"authorization":"Bearer key of the stand-in"/)
    assert.deepEqual(JSON.parse(readFileSync(join(gateway.dir, 'openclaw.yaml'), 'utf8')), { agents: {} })
    assert.ok(gateway.readyAt >= gateway.spawnedAt)
  })

  test('gives it no model key of this machine', async (t) => {
    process.env['OPENAI_API_KEY'] = 'not for you'
    t.after(() => delete process.env['OPENAI_API_KEY'])
    const gateway = await startGateway(t, { entry: standIn(t), env: { GIVEN: 'yes' } })
    const said = await (await gateway.fetch('/')).text()
    assert.match(said, /"GIVEN"/)
    assert.doesNotMatch(said, /OPENAI_API_KEY/)
  })

  test('goes on in the same folder after a kill, and ends by SIGTERM', async (t) => {
    const entry = standIn(t)
    const first = await startGateway(t, { entry })
    assert.equal((await first.kill9()).signal, 'SIGKILL')
    const second = await startGateway(t, { entry, dir: first.dir })
    assert.equal(second.dir, first.dir)
    assert.equal((await second.stop()).code, 7)
  })

  test('says what it said when it ends before it is ready', async (t) => {
    await assert.rejects(startGateway(t, { entry: standIn(t, "console.error('no disk'); process.exit(1)") }), /ended .*no disk/s)
  })

  test('gives up after its bound when it never gets ready', async (t) => {
    await assert.rejects(
      startGateway(t, { entry: standIn(t, STAND_IN.replace('> 2', '> 1e9')), readyWithinMs: 50 }),
      /not ready in time \(503\)/,
    )
  })

  test('leaves neither folder nor process behind', async (t) => {
    const afters: (() => Promise<void>)[] = []
    const gateway = await startGateway({ after: (run) => void afters.push(run) }, { entry: standIn(t) })
    for (const run of afters) await run()
    assert.equal(existsSync(gateway.dir), false)
    assert.throws(() => process.kill(gateway.pid, 0), { code: 'ESRCH' })
  })
})
