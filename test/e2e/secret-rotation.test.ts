/**
 * The gateway's own secret replaced: its webhooks go on under the secrets that their receivers know, also when it is killed between sealing them
 * anew and throwing the former one away; and the former one alone opens nothing any more.
 */
import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { rotateSecret } from '../../gateway/http/own-secret.ts'
import { SecretBox } from '../../gateway/webhooks/secret-box.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { Receiver } from '../support/receiver.ts'

const config = { webhooks: { allow_networks: ['127.0.0.0/8'] } }

async function post(gateway: GatewayProcess, path: string, body: unknown): Promise<{ readonly id: string; readonly secret: string }> {
  const response = await gateway.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  assert.ok(response.ok, `${path}: ${response.status}`)
  return (await response.json()) as { readonly id: string; readonly secret: string }
}

test('a secret that was replaced takes no webhook with it, whenever the gateway is killed', { timeout: 120_000 }, async (context) => {
  const receiver = await Receiver.open(context)
  const first = await startGateway(context, { config })
  const { dir } = first
  const { id, secret } = await post(first, '/v1/webhooks', { url: receiver.url, events: ['message.processed'] })

  await first.stop()

  const path = join(dir, '.openclaw', 'secret')
  const former = (await readFile(path, 'utf8')).trim()
  await rotateSecret(path)
  const both = await readFile(path, 'utf8')
  const arrives = async (gateway: GatewayProcess): Promise<void> => {
    const before = receiver.received.length
    await post(gateway, `/v1/webhooks/${id}/test`, {})
    await receiver.until(before + 1)
    const sent = receiver.received[before]
    assert.ok(sent)
    new Webhook(secret).verify(sent.body, sent.headers as Record<string, string>)
  }
  const second = await startGateway(context, { dir, config })
  await arrives(second)
  const current = (await readFile(path, 'utf8')).trim()
  assert.equal(`${current}\n${former}\n`, both)
  const entries = await (await second.fetch('/v1/audit?action=secret.replace')).json()
  assert.deepEqual(
    (entries as { readonly data: readonly { readonly detail: unknown }[] }).data.map(({ detail }) => detail),
    [{ webhooks: 1 }],
  )
  await second.kill9()

  const database = new DatabaseSync(join(dir, 'sessions.db'))
  const row = database.prepare('SELECT secrets FROM webhook').get()
  database.close()
  const [sealed] = JSON.parse(String(row?.['secrets'])) as readonly { readonly sealed: string }[]
  const box = (text: string): SecretBox => new SecretBox(createSecretKey(Buffer.from(text, 'base64url')))
  assert.deepEqual(
    [box(current), box(former)].map((each) => each.open(sealed?.sealed ?? '', id)),
    [secret, null],
  )

  // Killed after all was sealed anew and before the former one was thrown away.
  await writeFile(path, both)
  const third = await startGateway(context, { dir, config })
  await arrives(third)
  assert.equal((await readFile(path, 'utf8')).trim(), current)
  await third.stop()
})
