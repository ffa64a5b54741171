/** What proves its sender by a signature: whoever cannot be that sender is told so before a byte of the body is taken. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Route } from '#contract'
import { hook } from '../../../channels/hook/hook.ts'
import { webhookRoute } from '../../../channels/telegram/webhook.ts'
import { asOpenClaw, asStandard } from '../../fakes/hook-sender.ts'
import type { SenderHeaders } from '../../fakes/hook-sender.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { startServer } from './double.ts'
import { lines, open } from './raw.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const BODY_BYTES = 500_000

async function hookRoute(t: TestContext, scheme: string, host: MemoryHost): Promise<Route> {
  const channel = hook.create('ci', { secret: SECRET, scheme })
  await channel.start(host, new AbortController().signal)
  t.after(() => channel.stop())
  return channel.routes?.[0] ?? assert.fail()
}

/** The status of the answer to headers alone, with a body announced that never comes. */
async function judged(url: string, path: string, headers: SenderHeaders): Promise<string> {
  const socket = await open(url)
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.write(lines(`POST ${path} HTTP/1.1`, 'host: localhost', `content-length: ${BODY_BYTES}`, ...fields, ''))
  const [chunk] = (await once(socket, 'data', { signal: AbortSignal.timeout(20_000) })) as [Buffer]
  socket.destroy()
  return chunk.toString('latin1').split(' ')[1] ?? ''
}

for (const scheme of ['standard', 'openclaw', 'github', 'stripe']) {
  test(`a hook of scheme ${scheme} does not wait for the body of whoever has not signed it, or not now`, { timeout: 60_000 }, async (t) => {
    const host = new MemoryHost('ci')
    const { url } = await startServer(t, { routes: [await hookRoute(t, scheme, host)] })
    const old = Math.floor(host.clock.now() / 1_000) - 301
    const wrong: readonly SenderHeaders[] = [
      {},
      { 'x-hub-signature-256': 'sha256=none', 'stripe-signature': 't=1', 'x-openclaw-signature': 'none', 'webhook-signature': 'v1,none' },
      ...(scheme === 'standard' ? [asStandard({ secret: SECRET, body: '', at: old })] : []),
      ...(scheme === 'openclaw' ? [asOpenClaw({ secret: SECRET, body: '', at: old })] : []),
    ]
    for (const headers of wrong) assert.equal(await judged(url, '/hooks/ci', headers), '403', JSON.stringify(headers))
    assert.equal(host.handed.length, 0)
  })
}

test('what may be signed is read, also where time and nonce stand in the body', async (t) => {
  const host = new MemoryHost('ci')
  const { url } = await startServer(t, { routes: [await hookRoute(t, 'openclaw', host)] })
  const at = Math.floor(host.clock.now() / 1_000)
  const nonce = 'ab'.repeat(16)
  const body = JSON.stringify({ id: 'evt_1', timestamp: at, nonce })
  const { 'x-openclaw-signature': signature = '' } = asOpenClaw({ secret: SECRET, body, at, nonce })
  const answer = await fetch(`${url}/hooks/ci`, { method: 'POST', headers: { 'x-openclaw-signature': signature }, body })
  assert.equal(answer.status, 202)
})

test('Telegram’s secret stands in a header, so nothing is read without it (CVE-2026-32980)', { timeout: 60_000 }, async (t) => {
  let taken = 0
  const take = async (): Promise<void> => void taken++
  const { url } = await startServer(t, { routes: [webhookRoute({ name: 'tg', secret: 'the secret of Telegram', take })] })
  const path = '/v1/channels/tg/webhook'
  for (const token of ['', 'the secret of Telegra', 'the secret of Telegram.'])
    assert.equal(await judged(url, path, { 'x-telegram-bot-api-secret-token': token }), '403')
  const headers = { 'x-telegram-bot-api-secret-token': 'the secret of Telegram' }
  const answer = await fetch(url + path, { method: 'POST', headers, body: '{"update_id":1}' })
  assert.deepEqual([answer.status, taken], [200, 1])
})
