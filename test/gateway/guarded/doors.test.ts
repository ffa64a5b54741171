/**
 * Every door at which a URL comes in, held against every way of spelling an address inside: a canary listens there, and nobody may come to it.
 * The doors of the API stand in test/gateway/http/webhooks.test.ts and test/e2e/inward.test.ts.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import * as jose from 'jose'
import { newWebhookId } from '#contract'
import type { Log, WebhookId } from '#contract'
import { GuardedClient } from '../../../gateway/guarded/client.ts'
import { mediaFetch } from '../../../gateway/guarded/fetch.ts'
import { KeySet } from '../../../gateway/http/token/key-set.ts'
import { SecretBox } from '../../../gateway/webhooks/secret-box.ts'
import { newSecret } from '../../../gateway/webhooks/secret.ts'
import { INWARD_ADDRESSES, inwardUrls, openCanary } from '../../support/inward-url.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { realClock } from '../../support/real-clock.ts'
import { SECRET, World } from '../webhooks/given.ts'

/** A name server that sends everybody to the canary. */
const toLoopback = async (): Promise<readonly { readonly address: string; readonly family: number }[]> => [
  { address: '127.0.0.1', family: 4 },
]
const familyOf = (address: string): number => (address.includes(':') ? 6 : 4)

/** As if it had been there since the operator's networks were others: nobody checks it but whoever connects. */
async function planted(world: World, url: string): Promise<WebhookId> {
  const id = newWebhookId(world.clock.now())
  const secrets = [{ sealed: new SecretBox(SECRET).seal(newSecret(), id), expiresAt: null }]
  const webhook = {
    id,
    tenant: 'default',
    url,
    description: null,
    events: ['*'],
    ordering: 'none',
    maxPerSecond: null,
    secrets,
    createdAt: 0,
  } as const
  assert.equal(await world.store.webhooks.add(webhook, 1_000), true)
  return id
}

async function refusedAll(world: World, webhooks: readonly WebhookId[], attempts: number): Promise<void> {
  for (const webhook of webhooks) {
    const deliveries = await world.store.webhooks.deliveries({ tenant: 'default', webhook }, null, 9)
    const found = await Promise.all(deliveries.map(({ id }) => world.store.webhooks.delivery('default', id)))
    const codes = found.flatMap((one) => (one?.attempts ?? []).map(({ error }) => error?.code))
    const { url } = await world.webhooks.get('default', webhook)
    assert.deepEqual(codes, Array<string>(attempts).fill('OUTBOUND_REFUSED'), url)
  }
}

test('no webhook is told anything inside: not an event, not a test, not once more', { timeout: 120_000 }, async (context) => {
  const canary = await openCanary(context)
  const world = await World.open(context, { guard: { allowNetworks: [], isHttpsOnly: false, resolve: toLoopback } })
  const webhooks: WebhookId[] = []
  for (const url of inwardUrls(canary.port)) webhooks.push(await planted(world, url))
  await world.emit(1)
  await world.until(webhooks.length)
  for (const id of webhooks) await world.webhooks.test('default', id)
  for (const webhook of webhooks) {
    const [first] = await world.store.webhooks.deliveries({ tenant: 'default', webhook }, null, 1)
    await world.webhooks.redeliver('default', first?.id ?? assert.fail())
  }
  await world.until(3 * webhooks.length)
  await refusedAll(world, webhooks, 3)
  assert.equal(canary.heard, 0)
})

test('a name that is public when it is given and leads inside later is judged at every attempt', async (context) => {
  const canary = await openCanary(context)
  let answers: readonly string[] = []
  const resolve = async (): ReturnType<typeof toLoopback> => answers.map((address) => ({ address, family: familyOf(address) }))
  const world = await World.open(context, { guard: { allowNetworks: [], isHttpsOnly: false, resolve } })
  const { id } = await world.webhook({ url: `http://rebind.example:${canary.port}/` })
  let n = 0
  for (const address of INWARD_ADDRESSES) {
    answers = [address]
    await world.emit(n)
    await world.until(++n)
  }
  answers = [...INWARD_ADDRESSES]
  await world.webhooks.test('default', id)
  await world.until(++n)
  const listed = await world.store.webhooks.deliveries({ tenant: 'default', webhook: id }, null, 99)
  for (const { id: delivery } of listed) {
    const found = await world.store.webhooks.delivery('default', delivery)
    assert.deepEqual(
      found?.attempts.map(({ error }) => error?.code),
      ['OUTBOUND_REFUSED'],
    )
  }
  assert.equal(listed.length, n)
  assert.equal(canary.heard, 0)
})

test('no media is fetched from inside, and the place that is trusted opens no other', async (context) => {
  const canary = await openCanary(context)
  const fetchMedia = mediaFetch(new GuardedClient({ clock: realClock, resolve: toLoopback }))
  const signal = AbortSignal.timeout(60_000)
  for (const url of inwardUrls(canary.port)) {
    await assert.rejects(fetchMedia({ url, signal }), { code: 'MEDIA_REFUSED' }, url)
    await assert.rejects(fetchMedia({ url, trusted: 'https://api.example/', signal }), { code: 'MEDIA_REFUSED' }, url)
    await assert.rejects(fetchMedia({ url, trusted: `http://127.0.0.1:${canary.port - 1}/`, signal }), { code: 'MEDIA_REFUSED' }, url)
  }
  assert.equal(canary.heard, 0)
})

/** Which codes the log has, newest last. */
class CodeLog {
  readonly codes: unknown[] = []
  readonly log: Log = { ...quietLog, warn: (fields) => void this.codes.push(typeof fields === 'object' ? fields['error.code'] : null) }
}

function keySet(from: { readonly jwksUri: string | null; readonly discoveryUri?: string }, outbound: GuardedClient, log: Log): KeySet {
  return new KeySet({
    issuer: 'https://issuer.example',
    discoveryUri: 'https://issuer.example/.well-known/openid-configuration',
    ...from,
    jose,
    outbound,
    clock: realClock,
    log,
    onFetched: () => undefined,
    signal: AbortSignal.timeout(60_000),
  })
}
const asked = { header: { alg: 'RS256', kid: 'k1' }, token: { payload: '', signature: '' } } as const

test('no keys are fetched from inside: not from where the operator says, not from where discovery lies or leads', async (context) => {
  const canary = await openCanary(context)
  let leadsTo = ''
  const provider = createServer((_request, response) =>
    response.end(JSON.stringify({ issuer: 'https://issuer.example', jwks_uri: leadsTo })),
  )
  provider.listen(0, '127.0.0.2')
  await once(provider, 'listening')
  context.after(() => {
    provider.closeAllConnections()
    provider.close()
  })
  const discoveryUri = `http://127.0.0.2:${(provider.address() as AddressInfo).port}/`
  // As the gateway makes it, with one network opened for the provider itself.
  const outbound = new GuardedClient({ clock: realClock, isHttpsOnly: true, allowNetworks: ['127.0.0.2/32'], resolve: toLoopback })
  for (const url of inwardUrls(canary.port)) {
    leadsTo = url
    const given = new CodeLog()
    for (const from of [{ jwksUri: url }, { jwksUri: null, discoveryUri: url }, { jwksUri: null, discoveryUri }]) {
      await assert.rejects(keySet(from, outbound, given.log).key(asked.header, asked.token), { code: 'ISSUER_UNREACHABLE' }, url)
    }
    // What is no URL at all does not get as far as the guard.
    const led = URL.canParse(url) ? 'OUTBOUND_REFUSED' : 'INTERNAL'
    assert.deepEqual(given.codes, ['OUTBOUND_REFUSED', 'OUTBOUND_REFUSED', led], url)
  }
  assert.equal(canary.heard, 0)
})
