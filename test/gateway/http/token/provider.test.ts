/** A real OpenID Connect provider changes its keys while tokens come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OidcProvider } from '../../../fakes/oidc-provider.ts'
import { Hub, startServer } from '../double.ts'
import { issuerConfig } from './issuer.ts'

test('tokens of a new key count as soon as the keys may be asked for again, those of a key that is gone no more', async (t) => {
  const resource = 'https://gateway.example'
  const provider = await new OidcProvider(resource).start()
  t.after(() => provider.stop())
  const hub = new Hub()
  // The provider goes by the real time.
  hub.clock.advance(Date.now() - hub.clock.now())
  hub.tokens.configure([issuerConfig(provider.issuer, { audiences: [resource], jwksUri: null })])
  const { url } = await startServer(t, { hub })
  const statusOf = async (token: string): Promise<number> =>
    (await fetch(`${url}/v1/whoami`, { headers: { authorization: `Bearer ${token}` } })).status
  const [first, sameKey] = [await provider.clientToken(), await provider.clientToken()]
  assert.equal(await statusOf(first), 200)
  provider.rotate('second')
  const second = await provider.clientToken()
  assert.equal(await statusOf(second), 401, 'the keys were asked for a moment ago')
  hub.clock.advance(30_000)
  assert.equal(await statusOf(second), 200)
  assert.equal(await statusOf(sameKey), 200, 'the key before is still published')
  const late = await provider.clientToken()
  provider.rotate('third', { forget: true })
  const third = await provider.clientToken()
  hub.clock.advance(30_000)
  assert.equal(await statusOf(third), 200)
  assert.equal(await statusOf(late), 401)
})
