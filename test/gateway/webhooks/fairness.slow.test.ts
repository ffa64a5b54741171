/** What tenants with many webhooks that hang can take from others: nothing but what nobody else wants. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newWebhookId } from '#contract'
import { SecretBox } from '../../../gateway/webhooks/secret-box.ts'
import { newSecret } from '../../../gateway/webhooks/secret.ts'
import { SECRET, World } from './given.ts'

const EVENTS = 10

interface Hanging {
  readonly webhooks: number
  /** For each of them. */
  readonly events: number
}

async function hanging(world: World, tenant: string, { webhooks, events }: Hanging): Promise<void> {
  const added = Array.from({ length: webhooks }, (_, n) => {
    const id = newWebhookId(world.clock.now())
    const secrets = [{ sealed: new SecretBox(SECRET).seal(newSecret(), id), expiresAt: null }]
    const given = { events: ['*'], ordering: 'none', maxPerSecond: null, secrets, createdAt: 0 } as const
    return world.store.webhooks.add({ id, tenant, url: `http://hang-${n}.example/`, description: null, ...given }, 100)
  })
  assert.ok((await Promise.all(added)).every((isAdded) => isAdded))
  for (let n = 0; n < events; n++)
    await world.store.webhooks.emit({ tenant, type: 'agent.registered', data: { n }, now: world.clock.now() })
}

interface Begun {
  readonly world: World
  /** Resolves when so many attempts hang. */
  readonly hang: (count: number) => Promise<void>
}

async function opened(context: Parameters<typeof World.open>[0]): Promise<Begun> {
  let begun = 0
  const watchers = new Map<number, () => void>()
  const world = await World.open(context, {
    guard: {
      isHttpsOnly: false,
      // Without an answer of the name server an attempt is under way and takes no socket.
      resolve: async (host) => {
        if (!host.startsWith('hang')) return [{ address: '127.0.0.1', family: 4 }]
        watchers.get(++begun)?.()
        return new Promise(() => undefined)
      },
    },
  })
  const hang: Begun['hang'] = (count) => (begun >= count ? Promise.resolve() : new Promise((resolve) => watchers.set(count, resolve)))
  return { world, hang }
}

test('a tenant whose webhooks all hang leaves room for others', { timeout: 120_000 }, async (context) => {
  const { world, hang } = await opened(context)
  await hanging(world, 'a', { webhooks: 100, events: 4 })
  await hang(400)
  // What is asked for by hand has places of its own, and comes out of the same part.
  const listed = await world.store.webhooks.list('a', null, 100)
  await Promise.all(listed.flatMap(({ id }) => [1, 2, 3, 4].map(() => world.webhooks.test('a', id))))
  await hanging(world, 'b', { webhooks: 100, events: 4 })
  await hang(800)
  await world.webhook({ url: world.receiver.url.replace('127.0.0.1', 'answers.example') })
  for (let n = 0; n < EVENTS; n++) await world.emit(n)
  await world.receiver.until(EVENTS)
})

test('the first place that is free goes to the tenant that has fewest', { timeout: 120_000 }, async (context) => {
  const { world, hang } = await opened(context)
  for (const tenant of ['a', 'b', 'c', 'd']) await hanging(world, tenant, { webhooks: 90, events: 6 })
  await hang(1_000)
  await world.webhook({ url: world.receiver.url.replace('127.0.0.1', 'answers.example') })
  for (let n = 0; n < EVENTS; n++) await world.emit(n)
  // They give up, and have more that waits than there are places.
  world.clock.advance(5_000)
  await hang(1_500)
  await world.receiver.until(EVENTS)
})
