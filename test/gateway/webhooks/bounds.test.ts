/** How many webhooks a tenant may have, and how many secrets one may have. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from './given.ts'

test('a tenant has a hundred webhooks at most, and another one its own', async (context) => {
  const world = await World.open(context)
  for (let n = 0; n < 100; n++) await world.webhook()
  await assert.rejects(world.webhook(), { code: 'WEBHOOK_LIMIT' })
  const { id } = await world.webhook({ tenant: 'acme' })
  await world.webhooks.remove('acme', id)
  const [first] = await world.store.webhooks.list('default', null, 1)
  assert.ok(first)
  await world.webhooks.remove('default', first.id)
  await world.webhook()
})

test('beside the current secret the five newest before it sign, for as long as their grace lasts', async (context) => {
  const world = await World.open(context)
  const { id } = await world.webhook()
  for (let n = 0; n < 7; n++) await world.webhooks.rotate('default', id, 60_000)
  const { secrets } = await world.webhooks.get('default', id)
  assert.deepEqual(
    secrets.map(({ expiresAt }) => expiresAt),
    [null, ...Array.from({ length: 5 }, () => world.clock.now() + 60_000)],
  )
  await world.emit(1)
  const [got] = await world.receiver.until(1)
  assert.equal(got?.headers['webhook-signature']?.split(' ').length, 6)
})
