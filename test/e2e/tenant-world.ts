/**
 * One gateway with two tenants, each with an administrator, an agent, an account of a platform in memory, and one of everything that the
 * API can show or change. The platform is `wire`: the test hands in what people say on it.
 */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ChannelFault, isJsonObject } from '#contract'
import type { Accepted, Capabilities, Channel, ChannelHost, Inbound, JsonObject, JsonValue, LinkStep, Media, Part } from '#contract'
import { run } from '../../gateway/run.ts'

/** A part with this word in it is refused by the platform for good. */
const UNSENDABLE = 'unsendable'

class Wire implements Channel {
  readonly capabilities: Capabilities = {
    delivery: 'push',
    resend: 'id',
    text: { max: 4_096, unit: 'utf16', dialect: null },
    strangers: true,
    typingMs: null,
    threads: false,
    groups: false,
    media: true,
  }
  #host: ChannelHost | null = null

  async start(host: ChannelHost): Promise<void> {
    this.#host = host
  }
  async stop(): Promise<void> {
    this.#host = null
  }
  async send({ id, rendered }: Part): Promise<{ id: string }> {
    if (!rendered.text.includes(UNSENDABLE)) return { id: `wire-${id}` }
    throw new ChannelFault('The platform refuses it.', { code: 'PLATFORM', fault: { is: 'permanent' } })
  }
  pause(): void {}
  resume(): void {}
  async media(): Promise<Media> {
    return { bytes: Buffer.from('bytes'), mediaType: 'text/plain' }
  }
  async *link(): AsyncGenerator<LinkStep> {
    yield { show: 'done', as: 'somebody' }
  }

  async says(sender: string, text: string): Promise<Accepted> {
    const message: Inbound = {
      key: null,
      fingerprint: null,
      lane: sender,
      account: 'wire',
      peer: { kind: 'direct', id: sender, thread: null },
      sender,
      at: 1,
      payload: { text },
      metadata: { media: [{ id: 'm', media_type: 'text/plain' }] },
      agent: null,
      reply: { chat: sender },
    }
    return (await this.#host?.accept(message)) ?? assert.fail('the wire is not started')
  }
}

/** What one tenant has, by the words of the route table's parameters. */
export interface Things {
  readonly tenant: string
  /** Occurs in everything that was said to it or by it, and in no word of the other's. */
  readonly mark: string
  readonly secret: string
  readonly channel: string
  readonly agent: string
  /** The agent of the configuration, changed over it. */
  readonly declared: string
  readonly message: string
  readonly session: string
  readonly delivery: string
  readonly letters: { readonly toReplay: string; readonly toDiscard: string }
  readonly key: string
  readonly skill: string
  readonly run: string
  readonly codes: { readonly toApprove: string; readonly toDeny: string }
  readonly grant: string
  readonly role: string
  readonly webhook: string
  readonly webhookDelivery: string
}

export interface World {
  readonly url: string
  readonly operator: Things
  readonly acme: Things
  call(
    who: Pick<Things, 'secret'>,
    method: string,
    path: string,
    body?: JsonValue,
    headers?: { readonly [name: string]: string },
  ): Promise<Response>
  /** Another key of that tenant. */
  keyFor(who: Things, key: { readonly name: string; readonly scopes: readonly string[]; readonly tenant?: string }): Promise<string>
  stop(): Promise<void>
}

const ISSUER = 'https://id.example'
const CONFIG = {
  log: { level: 'silent' },
  webhooks: { allow_networks: ['127.0.0.0/8'], https_only: false },
  // Nobody is there: what it would say is not asked for.
  auth: { issuers: [{ issuer: ISSUER, audience: 'openclaw', claims: { tenant: 'org' } }] },
  agents: { main: {}, seller: { tenant: 'acme' } },
  channels: { desk: { kind: 'wire', allow: ['ann'] }, till: { kind: 'wire', tenant: 'acme', allow: ['ann'] } },
}

export async function startWorld(): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-tenants-'))
  await writeFile(join(dir, 'openclaw.yaml'), JSON.stringify(CONFIG))
  const wires = new Map<string, Wire>()
  const wire = {
    schema: { type: 'object', properties: {}, additionalProperties: false },
    create: (name: string): Wire => wires.set(name, new Wire()).get(name) ?? assert.fail(),
  }
  const env = { OPENCLAW_DIR: dir, OPENCLAW_PORT: '0', OPENCLAW_RATE_PER_IP: '1000000', OPENCLAW_RATE_PER_KEY: '1000000' }
  const gateway = await run({ env, print: () => undefined, around: { channels: { wire: async () => wire } } })
  const { url } = gateway
  const call: World['call'] = ({ secret }, method, path, body, headers = {}) =>
    fetch(new URL(path, url), {
      method,
      signal: AbortSignal.timeout(30_000),
      headers: { ...headers, authorization: `Bearer ${secret}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  const admin = { secret: (await readFile(join(dir, '.openclaw', 'admin.key'), 'utf8')).trim() }
  const keyOf = async (who: { readonly secret: string }, key: JsonObject): Promise<JsonObject> =>
    json(await call(who, 'POST', '/v1/keys', key))
  const stop = async (): Promise<void> => {
    await gateway.stop()
    await rm(dir, { recursive: true, force: true })
  }
  const everything = (tenant: string, secret: string, channel: string, declared: string): Promise<Things> =>
    everythingOf({ tenant, secret, channel, declared, wire: wires.get(channel) ?? assert.fail(), call })
  try {
    const owner = await keyOf(admin, { name: 'admin', scopes: ['*'], tenant: 'acme' })
    return {
      url,
      call,
      stop,
      keyFor: async (who, key) => text((await keyOf(who, { ...key }))['secret']),
      operator: await everything('default', admin.secret, 'desk', 'main'),
      acme: await everything('acme', text(owner['secret']), 'till', 'seller'),
    }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Given extends Pick<Things, 'tenant' | 'secret' | 'channel' | 'declared'> {
  readonly wire: Wire
  readonly call: World['call']
}

async function everythingOf({ tenant, secret, channel, declared, wire, call }: Given): Promise<Things> {
  const mark = `mark-of-${tenant}`
  const ask = async (method: string, path: string, body?: JsonValue): Promise<JsonObject> =>
    json(await call({ secret }, method, path, body))
  // Nobody listens there, and what a disabled one missed stays as it is.
  const webhook = text((await ask('POST', '/v1/webhooks', { url: `http://127.0.0.1:9/${mark}`, events: ['message.received'] }))['id'])
  await ask('PATCH', `/v1/webhooks/${webhook}`, { status: 'disabled' })
  const role = text((await ask('POST', '/v1/roles', { name: mark, permissions: ['logs:read'] }))['name'])
  // Changed over the API, so that there is something to take away.
  await ask('PATCH', `/v1/channels/${channel}`, { allow: ['ann', 'cat'] })
  const accepted = await wire.says('ann', `${mark} hello`)
  assert.ok(accepted.status === 'new')
  const { id: message, session } = accepted.envelope
  await ask('GET', `/v1/messages/${message}?wait=20`)

  const [missed] = await listed(async () => ask('GET', `/v1/webhooks/${webhook}/deliveries`), 1)
  await ask('PATCH', `/v1/agents/${declared}`, { description: mark })
  await ask('POST', '/v1/revocations', { issuer: ISSUER, subject: mark })
  const agent = await ask('POST', '/v1/agents', { name: 'helper', description: mark })
  const key = await ask('POST', '/v1/keys', { name: mark, scopes: ['channels:read'] })
  const sent = await ask('POST', `/v1/channels/${channel}/send`, { to: { chat: 'ann' }, text: `${mark} good morning` })
  for (const name of ['one', 'two']) await wire.says('ann', `${mark} ${UNSENDABLE} ${name}`)
  const [toReplay, toDiscard] = await listed(async () => ask('GET', '/v1/dead-letters?kind=delivery'), 2)

  for (const name of ['bob', 'bea', 'ben']) assert.equal((await wire.says(`${name} ${mark}`, 'let me in')).status, 'refused')
  const [toApprove, toDeny, approved] = await listed(async () => ask('GET', `/v1/channels/${channel}/pairings`), 3)
  const grant = await ask('POST', `/v1/channels/${channel}/pairings/${text(approved?.['code'])}/approve`)

  const skill = 'greet'
  for (const version of ['1.0.0', '1.1.0']) await ask('POST', '/v1/skills', greeting(skill, version, mark))
  const ran = await ask('POST', `/v1/skills/${skill}/invoke`, { input: {} })
  assert.equal(ran['output'], mark)
  return {
    tenant,
    mark,
    secret,
    channel,
    agent: text(agent['id']),
    declared,
    message,
    session: encodeURIComponent(session ?? assert.fail('it was not routed')),
    delivery: text(sent['delivery_id']),
    letters: { toReplay: text(toReplay?.['id']), toDiscard: text(toDiscard?.['id']) },
    key: text(key['id']),
    skill,
    run: text(ran['run_id']),
    codes: { toApprove: text(toApprove?.['code']), toDeny: text(toDeny?.['code']) },
    grant: encodeURIComponent(text(grant['sender'])),
    role,
    webhook,
    webhookDelivery: text(missed?.['id']),
  }
}

const greeting = (id: string, version: string, mark: string): JsonObject => ({
  descriptor: {
    id,
    version,
    description: mark,
    inputs: { type: 'object', additionalProperties: false },
    outputs: { type: 'string' },
    runtime: { language: 'javascript', entrypoint: 'main.js' },
    effect: 'once',
    timeout_ms: 5_000,
  },
  files: { 'main.js': `export const run = () => ${JSON.stringify(mark)}` },
})

/** The rows of a list when there are so many; what is given up or asked for comes a moment later. */
async function listed(read: () => Promise<JsonObject>, count: number): Promise<readonly JsonObject[]> {
  const deadline = AbortSignal.timeout(20_000)
  for (;;) {
    deadline.throwIfAborted()
    const { data } = await read()
    const rows = Array.isArray(data) ? data.filter((row): row is JsonObject => isJsonObject(row)) : []
    if (rows.length >= count) return rows
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function json(response: Response): Promise<JsonObject> {
  const body = (await response.json()) as JsonObject
  assert.ok(response.ok, `${response.status} ${JSON.stringify(body)}`)
  return body
}

const text = (value: JsonValue | undefined): string =>
  typeof value === 'string' ? value : assert.fail(`no text: ${JSON.stringify(value)}`)
