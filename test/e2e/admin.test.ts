/** The configuration changed over the API of the real process: in force after kill -9, with its entries, and the user's file as it was. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { JsonObject } from '#contract'
import { answerTo } from '../support/conversation.ts'
import { startGateway, temporaryFolder } from '../support/gateway-process.ts'

const CLI = fileURLToPath(new URL('../../cli/openclaw.ts', import.meta.url))
const run = promisify(execFile)
const CONFIG = `# mine, with all its blanks
agents:
  parrot:   { model: builtin/echo }
  other:    { model: builtin/echo }
fallback: parrot
`

test('what was changed is in force after kill -9, audited, and the file is byte for byte as it was', { timeout: 90_000 }, async (t) => {
  const dir = temporaryFolder(t)
  const first = await startGateway(t, { dir, config: CONFIG })
  const cli = async (...args: readonly string[]): Promise<string> =>
    (await run(process.execPath, [CLI, ...args], { env: { PATH: process.env['PATH'], OPENCLAW_DIR: dir }, timeout: 30_000 })).stdout
  const put = await first.fetch('/v1/routes', {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ routes: [{ match: { channel: 'http' }, agent: 'other' }], fallback: 'parrot' }),
  })
  assert.equal(put.status, 200)
  await first.kill9()

  // Nobody runs: the command reads what was left, also from the log beside the database.
  assert.match(await cli('config', 'show', '--origin'), /routes\[0\]\.agent: "other" +# overlay by admin at /)
  const second = await startGateway(t, { dir })
  const routes = (await (await second.fetch('/v1/routes')).json()) as JsonObject
  assert.equal(routes['changed_by'], 'admin')
  await answerTo(second, 'hello', 'ann')
  const { data } = (await (await second.fetch('/v1/messages?limit=1')).json()) as { readonly data: readonly JsonObject[] }
  assert.equal(data[0]?.['agent'], 'other')
  const audit = (await (await second.fetch('/v1/audit?action=routes.replace')).json()) as { readonly data: readonly JsonObject[] }
  assert.equal(audit.data.length, 1)
  assert.equal(((await (await second.fetch('/v1/audit/verify')).json()) as JsonObject)['ok'], true)

  await cli('agents', 'set', 'parrot', '{"description":"by the command"}')
  assert.match(await cli('config', 'show', '--origin'), /agents\.parrot\.description: "by the command" +# overlay by admin at /)
  assert.match(await cli('routes', 'test', 'http'), /other \(routes\[0\]\)/)
  await cli('routes', 'reset')
  assert.match(await cli('routes', 'test', 'http'), /parrot \(fallback\)/)
  assert.equal(await readFile(join(dir, 'openclaw.yaml'), 'utf8'), CONFIG)
})
