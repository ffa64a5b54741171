/**
 * The gateway as it is composed, asked in every spelling to go where only this machine can: by the URL of a webhook, and by what came with a
 * message. A canary listens on loopback, and nobody comes to it.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Accepted, Capabilities, Channel, ChannelHost, JsonObject, JsonValue, Media, MediaRef } from '#contract'
import { run } from '../../gateway/run.ts'
import { inwardUrls, openCanary } from '../support/inward-url.ts'

/** A platform that says of each file where it lies, as its users told it. */
class Naive implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'push',
    resend: 'id',
    text: { max: 4_096, unit: 'utf16', dialect: null },
    strangers: false,
    typingMs: null,
    threads: false,
    groups: false,
    media: true,
  }
  #host: ChannelHost | null = null

  async start(host: ChannelHost): Promise<void> {
    this.#host = host
  }
  async stop(): Promise<void> {}
  async send(): Promise<{ id: null }> {
    return { id: null }
  }
  pause(): void {}
  resume(): void {}

  media({ id: url }: MediaRef, signal: AbortSignal): Promise<Media> {
    return this.#opened().fetch({ url, signal })
  }

  shares(urls: readonly string[]): Promise<Accepted> {
    return this.#opened().accept({
      key: null,
      fingerprint: null,
      lane: 'ann',
      account: 'naive',
      peer: { kind: 'direct', id: 'ann', thread: null },
      sender: 'ann',
      at: 1,
      payload: { text: 'look' },
      metadata: { media: urls.map((id) => ({ id, media_type: 'text/plain' })) },
      agent: null,
      reply: { chat: 'ann' },
    })
  }

  #opened(): ChannelHost {
    return this.#host ?? assert.fail('it is not started')
  }
}

type Ask = (method: string, path: string, body?: JsonValue) => Promise<{ readonly status: number; readonly body: JsonObject }>

async function started(context: TestContext): Promise<{ readonly naive: Naive; readonly ask: Ask }> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-inward-'))
  const config = { log: { level: 'silent' }, webhooks: { https_only: false }, channels: { desk: { kind: 'naive' } } }
  await writeFile(join(dir, 'openclaw.yaml'), JSON.stringify(config))
  const naive = new Naive()
  const kind = { schema: { type: 'object', properties: {}, additionalProperties: false }, create: () => naive }
  const env = { OPENCLAW_DIR: dir, OPENCLAW_PORT: '0', OPENCLAW_RATE_PER_KEY: '1000000' }
  const gateway = await run({ env, print: () => undefined, around: { channels: { naive: async () => kind } } })
  context.after(async () => {
    await gateway.stop()
    await rm(dir, { recursive: true, force: true })
  })
  const key = (await readFile(join(dir, '.openclaw', 'admin.key'), 'utf8')).trim()
  const ask: Ask = async (method, path, body) => {
    const response = await fetch(new URL(path, gateway.url), {
      method,
      signal: AbortSignal.timeout(30_000),
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return { status: response.status, body: (await response.json()) as JsonObject }
  }
  return { naive, ask }
}

test('nothing inside is reached: by no webhook, and by nothing that came with a message', { timeout: 120_000 }, async (context) => {
  const canary = await openCanary(context)
  const { naive, ask } = await started(context)
  const urls = inwardUrls(canary.port).filter((url) => url !== '')
  for (const url of urls) {
    const { status, body } = await ask('POST', '/v1/webhooks', { url, events: ['*'] })
    assert.deepEqual([status, body['code'], body['type']], [422, 'URL_NOT_ALLOWED', 'https://openclaw.dev/problems/url-not-allowed'], url)
  }
  const accepted = await naive.shares(urls)
  assert.ok(accepted.status === 'new')
  for (const [index, url] of urls.entries()) {
    const { status, body } = await ask('GET', `/v1/messages/${accepted.envelope.id}/media/${index}`)
    assert.deepEqual([status, body['code']], [404, 'MEDIA_REFUSED'], url)
  }
  assert.equal(canary.heard, 0)
})
