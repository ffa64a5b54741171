/** Gateways beside each other: one to a directory and to a port, as many as there are directories. Who cannot start says why and ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerTo, everyMessage } from '../support/conversation.ts'
import { spawnGateway, startGateway } from '../support/gateway-process.ts'
import type { GatewayOptions } from '../support/gateway-process.ts'

test(
  'several run beside each other in different directories, each with its own messages and keys',
  { timeout: 30_000 },
  async (context) => {
    const names = ['a', 'b', 'c']
    const gateways = await Promise.all(names.map(() => startGateway(context)))
    assert.equal(new Set(gateways.map(({ url }) => url)).size, 3)
    assert.equal(new Set(gateways.map(({ key }) => key)).size, 3)
    const answers = await Promise.all(gateways.map((gateway, at) => answerTo(gateway, `to ${names[at]}`)))
    assert.deepEqual(
      answers,
      names.map((name) => `You said: to ${name}`),
    )
    for (const gateway of gateways) assert.equal((await everyMessage(gateway)).length, 1)
    const [first, second] = gateways
    const stranger = await fetch(`${first?.url}/v1/messages`, { headers: { authorization: `Bearer ${second?.key}` } })
    assert.equal(stranger.status, 401)
  },
)

test('one that cannot have its directory, its port or its configuration says why and ends', { timeout: 60_000 }, async (context) => {
  const gateway = await startGateway(context)
  const { port } = new URL(gateway.url)
  const refused = async (options: GatewayOptions, told: RegExp): Promise<void> => {
    const { child } = spawnGateway(context, options)
    await child.told(told, 15_000)
    const late = setTimeout(() => child.signal('SIGKILL'), 10_000)
    const exit = await child.ended
    clearTimeout(late)
    assert.deepEqual(exit, { code: 1, signal: null }, `after ${String(told)}`)
    assert.doesNotMatch(child.output(), /is ready|\n {4}at /)
  }
  await refused({ dir: gateway.dir }, /sessions\.db is in use by another gateway\. Stop that one, or give this one another directory/)
  await refused({ env: { OPENCLAW_PORT: port } }, new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use`))
  await refused({ env: { OPENCLAW_HOST: '0.0.0.0' } }, /openclaw: .*(TLS|insecure_http)/)
  await refused({ config: 'servr: {}\nagents: 1\n' }, /openclaw\.yaml:1:1 servr[^]*openclaw\.yaml:2:/)
  await refused({ config: 'channels: { nothing: {} }\n' }, /channels\.nothing\.kind: there is no channel kind "nothing"/)
  await refused({ config: 'channels:\n  websocket: { max_connection: 5 }\n' }, /openclaw\.yaml:2:\d+ channels\.websocket\.max_connection/)
  await refused({ config: 'channels:\n  http: { tenant: acme }\n' }, /openclaw\.yaml:2:\d+ channels\.http\.tenant: a tenant, expected none/)
  assert.equal(await answerTo(gateway, 'unharmed'), 'You said: unharmed')
})
