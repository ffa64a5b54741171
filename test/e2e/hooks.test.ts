/** Hooks of the real gateway: what came before stays known beyond a kill, guessing is shut out, and one without a secret never opens. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { asStandard } from '../fakes/hook-sender.ts'
import type { SenderHeaders } from '../fakes/hook-sender.ts'
import { spawnGateway, startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const config = { channels: { ci: { kind: 'hook', secret: SECRET } } }
const body = '{"build":"failed"}'

const post = (gateway: GatewayProcess, headers: SenderHeaders, path = '/hooks/ci'): Promise<Response> =>
  fetch(new URL(path, gateway.url), { method: 'POST', body, headers, signal: AbortSignal.timeout(30_000) })
const signed = (id: string, secret = SECRET): SenderHeaders => asStandard({ secret, body, id, at: Math.floor(Date.now() / 1_000) })

test('the very same request is one message, also when the gateway was killed in between', { timeout: 90_000 }, async (context) => {
  const first = await startGateway(context, { config })
  const headers = signed('evt_1')
  const taken = await post(first, headers)
  const { message_id: id } = (await taken.json()) as { readonly message_id: string }
  assert.equal(taken.status, 202)
  await first.kill9()
  const second = await startGateway(context, { config, dir: first.dir })
  const replayed = await post(second, headers)
  assert.deepEqual([replayed.status, await replayed.json()], [200, { message_id: id, status: 'duplicate' }])
  const { data } = (await (await second.fetch('/v1/messages')).json()) as { readonly data: readonly { readonly channel: string }[] }
  assert.equal(data.filter(({ channel }) => channel === 'ci').length, 1)
  assert.equal((await post(second, signed('evt_2'))).status, 202)
  assert.equal((await post(second, signed('evt_3'), '/hooks/other')).status, 404)
  await second.stop()
})

test('whoever keeps guessing is shut out before the next try is looked at', { timeout: 60_000 }, async (context) => {
  const gateway = await startGateway(context, { config })
  // A program of this machine is exempt, a page in a browser is not.
  const page = { origin: 'https://elsewhere.example' }
  const statuses: number[] = []
  for (let n = 0; n < 11; n++)
    statuses.push((await post(gateway, { ...page, ...signed(`evt_${n}`, 'another secret, long enough') })).status)
  assert.deepEqual(statuses, [...Array<number>(10).fill(403), 429])
  const right = await post(gateway, { ...page, ...signed('evt_right') })
  assert.deepEqual([right.status, ((await right.json()) as { readonly code: string }).code], [429, 'LOCKED_OUT'])
  await gateway.stop()
})

test('a gateway whose hook has a blank secret does not start, and says where', { timeout: 60_000 }, async (context) => {
  const { child } = spawnGateway(context, {
    config: 'channels:\n  ci: { kind: hook, secret: "${CI_SECRET}" }\n',
    env: { CI_SECRET: '                ' },
  })
  const { code } = await child.ended
  assert.notEqual(code, 0)
  assert.match(child.output(), /channels\.ci\.secret/)
})

const lacks = ['openssl', 'curl', 'od'].filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0)

test(
  'what docs/hooks.md says works as it stands',
  { timeout: 60_000, skip: lacks.length > 0 && `not here: ${lacks.join(', ')}` },
  async (context) => {
    const docs = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'hooks.md'), 'utf8')
    const block = (language: string): string => new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'ms').exec(docs)?.[1] ?? ''
    const env = { ALERTS_SECRET: SECRET }
    const gateway = await startGateway(context, { config: block('yaml'), env })
    const { stdout, stderr } = spawnSync('sh', ['-c', block('sh')], {
      env: { PATH: process.env['PATH'], ...env, URL: gateway.url },
      encoding: 'utf8',
      timeout: 20_000,
    })
    const answer = JSON.parse(stdout || JSON.stringify({ stderr })) as { readonly status?: string; readonly message_id?: string }
    assert.equal(answer.status, 'queued', stdout + stderr)
    const message = (await (await gateway.fetch(`/v1/messages/${answer.message_id}`)).json()) as {
      readonly sender_id: string
      readonly payload: unknown
    }
    assert.deepEqual([message.sender_id, message.payload], ['web-1', { text: 'web-1: disk is full' }])
    await gateway.stop()
  },
)
