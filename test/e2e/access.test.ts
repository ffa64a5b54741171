/**
 * Who may write, held against the real process: strangers pair and are let in, rules are edited while it runs, a pause outlives a restart, and
 * nothing that a stranger sends is shown in the gateway's own origin.
 */
import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { JsonObject } from '#contract'
import { spawnGateway, startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const ENTRY = fileURLToPath(new URL('./access-subject.ts', import.meta.url))
const config = (rules: string): string => `channels:\n  club: { ${rules} }\nagents:\n  parrot: { model: builtin/echo }\n`

async function ask(gateway: GatewayProcess, method: string, path: string, body?: unknown): Promise<JsonObject> {
  const init = { method, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) }
  const response = await gateway.fetch(path, init)
  assert.ok(response.ok, `${method} ${path}: ${response.status}`)
  return response.status === 204 ? {} : ((await response.json()) as JsonObject)
}
const says = (gateway: GatewayProcess, sender: string, more: JsonObject = {}): Promise<JsonObject> =>
  ask(gateway, 'POST', '/v1/club/says', { sender, text: `I am ${sender}`, ...more })
const refusal = async (gateway: GatewayProcess, sender: string, more: JsonObject = {}): Promise<unknown> =>
  (await says(gateway, sender, more))['reason']

function wordOf(document: JsonObject, name: string): string {
  const word = document[name]
  return typeof word === 'string' ? word : assert.fail(name)
}

interface Sent {
  readonly chat: string
  readonly text: string
}
async function sent(gateway: GatewayProcess, count: number): Promise<readonly Sent[]> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const { sent: all } = (await ask(gateway, 'GET', '/v1/club/sent')) as unknown as { sent: readonly Sent[] }
    if (all.length >= count) return all
    assert.ok(Date.now() < deadline, `${all.length} of ${count} were sent`)
  }
}

test('a stranger pairs by the code that it was told, and keeps the grant over a restart', { timeout: 40_000 }, async (t) => {
  const gateway = await startGateway(t, { entry: ENTRY, config: config('group_access: open') })
  assert.equal(await refusal(gateway, 'eve', { key: 'k1' }), 'stranger')
  await says(gateway, 'eve', { key: 'k1' })
  const [notice] = await sent(gateway, 1)
  const code = /approve club ([2-9A-Z]{8})/.exec(notice?.text ?? '')?.[1] ?? assert.fail(notice?.text)
  assert.equal(notice?.chat, 'eve')
  await ask(gateway, 'POST', `/v1/channels/club/pairings/${code}/approve`)
  assert.equal(await refusal(gateway, 'eve', { key: 'k1' }), null)
  const [, answer, ...more] = await sent(gateway, 2)
  assert.equal(answer?.chat, 'eve')
  assert.match(answer.text, /^You said: I am eve/)
  assert.deepEqual(more, [], 'one notice, one answer')
  assert.equal(await refusal(gateway, 'eve', { group: 'g' }), 'unaddressed')
  await gateway.kill9()

  const again = await startGateway(t, { entry: ENTRY, dir: gateway.dir, config: config('group_access: open') })
  assert.equal(await refusal(again, 'eve'), null)
  await ask(again, 'DELETE', '/v1/channels/club/grants/eve')
  assert.equal(await refusal(again, 'eve'), 'stranger')
  const metrics = await (await again.fetch('/api/metrics')).text()
  assert.match(metrics, /^openclaw_refused_total\{channel="club",reason="stranger"\} 1$/m)
})

test('edited rules are in force without a restart, and one that has no effect is a fault', { timeout: 40_000 }, async (t) => {
  const gateway = await startGateway(t, { entry: ENTRY, config: config('access: allowlist, allow: ["*"]') })
  assert.match(gateway.output(), /everybody/, 'what a star means is told')
  assert.equal(await refusal(gateway, 'ann'), null)
  const edit = async (text: string): Promise<void> => {
    await writeFile(join(gateway.dir, 'new.yaml'), text)
    await rename(join(gateway.dir, 'new.yaml'), join(gateway.dir, 'openclaw.yaml'))
  }
  await edit(config('access: allowlist, allow: [bob]'))
  await gateway.told(/The configuration was read again/, 10_000)
  assert.deepEqual([await refusal(gateway, 'ann'), await refusal(gateway, 'bob')], ['stranger', null])
  await edit(config('access: open').replace('agents:', '  http: { access: open }\nagents:'))
  await gateway.told(/The edited configuration is faulty/, 10_000)
  assert.match(gateway.output(), /openclaw\.yaml:3:11 channels\.http\.access: an access rule, expected none/)
  assert.equal(await refusal(gateway, 'ann'), 'stranger', 'the rules before stay in force')
})

test('a gateway does not start with rules for a channel that no stranger reaches', { timeout: 20_000 }, async (t) => {
  const { child } = spawnGateway(t, { config: 'channels:\n  websocket: { allow: [ann] }\n' })
  assert.notEqual((await child.ended).code, 0)
  assert.match(child.output(), /channels\.websocket\.allow: an access rule, expected none/)
})

test('a pause outlives a restart, and what is to go out goes out', { timeout: 40_000 }, async (t) => {
  const gateway = await startGateway(t, { entry: ENTRY, config: config('access: open') })
  assert.equal((await ask(gateway, 'GET', '/v1/club/sent'))['greeting'], 'welcome', 'defaults of the kind are filled in')
  await ask(gateway, 'POST', '/v1/channels/club/pause')
  await gateway.stop()
  const again = await startGateway(t, { entry: ENTRY, dir: gateway.dir })
  assert.equal((await says(again, 'ann'))['status'], 'paused')
  const posted = await ask(again, 'POST', '/v1/channels/club/send', { to: { chat: 'ann' }, text: 'news' })
  await sent(again, 1)
  const deadline = Date.now() + 10_000
  const status = async (): Promise<unknown> => (await ask(again, 'GET', `/v1/deliveries/${wordOf(posted, 'delivery_id')}`))['status']
  while ((await status()) !== 'sent') assert.ok(Date.now() < deadline)
  const ready = await ask(again, 'GET', '/readyz')
  assert.deepEqual(
    (ready['channels'] as readonly JsonObject[]).find(({ name }) => name === 'club'),
    { name: 'club', state: 'open', reason: null, paused: true },
  )
  await ask(again, 'POST', '/v1/channels/club/resume')
  assert.equal((await says(again, 'ann'))['status'], 'new')
})

test('what a stranger sent is handed out to be saved, and a code to be scanned is drawn', { timeout: 20_000 }, async (t) => {
  const gateway = await startGateway(t, { entry: ENTRY, config: config('access: open') })
  const said = await says(gateway, 'eve')
  const media = await gateway.fetch(`/v1/messages/${wordOf(said, 'id')}/media/0`)
  assert.deepEqual(
    ['content-disposition', 'x-content-type-options'].map((name) => media.headers.get(name)),
    ['attachment', 'nosniff'],
  )
  assert.match(await media.text(), /script/)
  const link = await (await gateway.fetch('/v1/channels/club/link', { method: 'POST' })).text()
  assert.match(link, /event: qr\ndata: \{"data":"join the club","svg":"<svg [^\n]*\n\nevent: done\n/)
  assert.equal((await gateway.fetch('/v1/channels/http/link', { method: 'POST' })).status, 409)
  const refused = await gateway.fetch('/v1/channels/http/send', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ to: { chat: 'x' }, text: 'y' }),
  })
  assert.equal(refused.status, 422)
})
