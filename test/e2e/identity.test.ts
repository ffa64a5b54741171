/** The real gateway with a real OpenID Connect provider: people and programs get in by its tokens, and are sent away in time. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { OidcProvider } from '../fakes/oidc-provider.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { SocketClient } from '../support/socket-client.ts'

const RESOURCE = 'https://gateway.example'
const LIMIT = { timeout: 60_000 }

const configOf = (provider: OidcProvider): object => ({
  auth: { issuers: [{ issuer: provider.issuer, audience: RESOURCE, claims: { roles: 'roles' } }], allow_networks: ['127.0.0.0/8'] },
})

async function world(t: TestContext): Promise<{ readonly provider: OidcProvider; readonly gateway: GatewayProcess }> {
  const provider = await new OidcProvider(RESOURCE).start()
  const gateway = await startGateway(t, { config: { ...configOf(provider) } })
  t.after(() => provider.stop())
  return { provider, gateway }
}

const whoami = async (gateway: GatewayProcess, token: string): Promise<{ readonly [name: string]: unknown }> =>
  (await (await gateway.fetch('/v1/whoami', { headers: { authorization: `Bearer ${token}` } })).json()) as { [name: string]: unknown }
const statusOf = async (gateway: GatewayProcess, token: string, path = '/v1/whoami'): Promise<number> =>
  (await gateway.fetch(path, { headers: { authorization: `Bearer ${token}` } })).status
const revoke = (gateway: GatewayProcess, body: object): Promise<Response> =>
  gateway.fetch('/v1/revocations', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

test('a program by its credentials, and a person by the code flow, get in with what roles and scopes give', LIMIT, async (t) => {
  const { provider, gateway } = await world(t)
  provider.roles['alice'] = ['viewer']
  const program = await whoami(gateway, await provider.clientToken('messages:write keys:write'))
  assert.deepEqual(
    [program['principal'], program['proven_by'], program['scopes']],
    [`${provider.issuer}#robot`, 'token', ['messages:write']],
  )
  const person = await whoami(gateway, await provider.personToken('agent:execute'))
  assert.deepEqual(
    [person['principal'], person['roles'], person['scopes']],
    [`${provider.issuer}#alice`, ['viewer'], ['agent:execute', 'agents:read', 'logs:read']],
  )
  const sent = await gateway.fetch('/v1/messages', {
    method: 'POST',
    headers: { authorization: `Bearer ${await provider.clientToken()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ channel_id: 'http', payload: 'hello' }),
  })
  assert.equal(sent.status, 202)
})

test('what was proven counts on while the provider is gone; what is new waits for it', LIMIT, async (t) => {
  const { provider, gateway } = await world(t)
  const [known, other] = [await provider.clientToken(), await provider.clientToken()]
  assert.equal(await statusOf(gateway, known), 200)
  await provider.stop()
  assert.equal(await statusOf(gateway, known), 200)
  assert.equal(await statusOf(gateway, other), 200, 'its keys are still known')
  assert.equal(await statusOf(gateway, `${other.slice(0, -4)}AAAA`), 401)
})

test('a socket that a token opened is closed when its subject is called back, also over a restart', LIMIT, async (t) => {
  const { provider, gateway } = await world(t)
  const token = await provider.personToken()
  const origin = new URL(gateway.url).host
  const socket = await SocketClient.open(origin, token)
  assert.equal((await revoke(gateway, { issuer: provider.issuer, subject: 'alice' })).status, 201)
  assert.equal(await socket.closed, 4401)
  assert.equal(await statusOf(gateway, token), 401)
  await gateway.kill9()
  const again = await startGateway(t, { dir: gateway.dir })
  assert.equal(await statusOf(again, token), 401)
  assert.equal(await statusOf(again, await provider.clientToken()), 200)
})

test('an issuer that is taken out of the file is out without a restart, and what it opened is closed', LIMIT, async (t) => {
  const { provider, gateway } = await world(t)
  const token = await provider.clientToken()
  const socket = await SocketClient.open(new URL(gateway.url).host, token)
  writeFileSync(join(gateway.dir, 'openclaw.yaml'), '# nobody\n')
  assert.equal(await socket.closed, 4401)
  assert.equal(await statusOf(gateway, token), 401)
})
