/** The gateway's own secret was replaced: what it sealed is sealed anew, also what somebody changes at that moment. */
import { createSecretKey } from 'node:crypto'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WebhookStore } from '#contract'
import { SecretBox } from '../../../gateway/webhooks/secret-box.ts'
import { SECRET, World } from './given.ts'

const NEXT = createSecretKey(Buffer.alloc(32, 8))

test('secrets of all webhooks, the older ones too, open with the new key alone once they are sealed anew', async (context) => {
  const world = await World.open(context)
  const first = await world.webhook()
  const second = await world.webhook({ tenant: 'acme' })
  const rotated = await world.webhooks.rotate('default', first.id, 3_600_000)
  await world.webhooks.change('acme', second.id, { hasKeyPair: true }, null)
  const [paired] = (await world.store.webhooks.sealed()).flatMap(({ secrets }) => secrets.flatMap(({ pair }) => pair ?? []))
  const key = new SecretBox(SECRET).open(paired?.sealed ?? '', second.id)
  assert.match(key ?? '', /^whsk_/)
  await world.webhooks.drain(0)
  world.webhooks = world.make()
  world.webhooks.start(NEXT, SECRET)
  assert.equal(await world.webhooks.reseal(), 2)
  assert.equal(await world.webhooks.reseal(), 0)
  const opened = async (box: SecretBox): Promise<readonly (string | null)[]> =>
    (await world.store.webhooks.sealed()).flatMap(({ id, secrets }) => secrets.map(({ sealed }) => box.open(sealed, id)))
  const pairIn = async (box: SecretBox): Promise<string | null> => {
    const [pair] = (await world.store.webhooks.sealed()).flatMap(({ id, secrets }) =>
      secrets.flatMap(({ pair: each }) => (each === undefined ? [] : [{ id, sealed: each.sealed }])),
    )
    return pair === undefined ? assert.fail('there is no pair') : box.open(pair.sealed, pair.id)
  }
  assert.deepEqual(await opened(new SecretBox(NEXT)), [rotated.secret, first.secret, second.secret])
  assert.deepEqual(await opened(new SecretBox(SECRET)), [null, null, null])
  assert.deepEqual([await pairIn(new SecretBox(NEXT)), await pairIn(new SecretBox(SECRET))], [key, null])
})

test('one that is rotated while it is sealed anew keeps its old secret too', async (context) => {
  const world = await World.open(context)
  const { id, secret } = await world.webhook()
  await world.webhooks.drain(0)
  const sealed = (): ReturnType<WebhookStore['sealed']> => world.store.webhooks.sealed()
  let isFirst = true
  const raced = world.make({
    sealed: async () => {
      const found = await sealed()
      if (isFirst) await raced.rotate('default', id, 3_600_000)
      isFirst = false
      return found
    },
  })
  world.webhooks = raced
  raced.start(NEXT, SECRET)
  assert.equal(await raced.reseal(), 1)
  const [found] = await sealed()
  const box = new SecretBox(NEXT)
  assert.deepEqual([found?.secrets.length, box.open(found?.secrets[1]?.sealed ?? '', id)], [2, secret])
})
