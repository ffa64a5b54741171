/** Codes of strangers, and senders who were let in. */
import type { Pairing } from '#contract'
import { newDeliveryId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T } from './given.ts'

const pairing = (code: string, change: Partial<Pairing> = {}): Pairing => ({
  channel: 'phone',
  code,
  sender: `s-${code}`,
  aliases: [`@${code}`],
  status: 'open',
  createdAt: T,
  expiresAt: T + 1_000,
  notice: newDeliveryId(T),
  noticedAt: null,
  ...change,
})

export function pairingSuite(use: UseStore): void {
  describe('pairing', () => {
    test(
      'keeps codes until they expire, and what became of them',
      use(async ({ store, crash }) => {
        const [one, two, three] = [pairing('one'), pairing('two', { createdAt: T + 1 }), pairing('three', { channel: 'other' })]
        for (const each of [one, two, three]) await store.pairing.add(each, T)
        await store.pairing.noticed('phone', 'one', T + 5)
        assert.equal(await store.pairing.deny('phone', 'two', T + 5), true)
        const later = await crash()
        assert.deepEqual(await later.pairing.pairings(T + 999), [three, { ...one, noticedAt: T + 5 }, { ...two, status: 'denied' }])
        assert.deepEqual(await later.pairing.pairings(T + 1_000), [])
      }),
    )

    test(
      'lets in whoever has an open code, once',
      use(async ({ store, crash }) => {
        await store.pairing.add(pairing('one'), T)
        const approve = (code: string, channel = 'phone', now = T + 7): ReturnType<typeof store.pairing.approve> =>
          store.pairing.approve({ channel, code, by: 'ops' }, now)
        assert.equal(await approve('none'), null)
        assert.equal(await approve('one', 'other'), null)
        const grant = { channel: 'phone', sender: 's-one', aliases: ['@one'], since: T + 7, by: 'ops' }
        const both = await Promise.all([approve('one'), approve('one')])
        assert.deepEqual(both, [grant, null])
        assert.equal(await store.pairing.deny('phone', 'one', T + 8), false)
        const later = await crash()
        assert.deepEqual(await later.pairing.grants(), [grant])
        assert.equal(await later.pairing.revoke('other', 's-one'), false)
        assert.equal(await later.pairing.revoke('phone', 's-one'), true)
        assert.equal(await later.pairing.revoke('phone', 's-one'), false)
        assert.deepEqual(await later.pairing.grants(), [])
      }),
    )

    test(
      'lets nobody in by a code that has expired, and sweeps it with the next',
      use(async ({ store }) => {
        await store.pairing.add(pairing('one'), T)
        assert.equal(await store.pairing.approve({ channel: 'phone', code: 'one', by: 'ops' }, T + 1_000), null)
        assert.equal(await store.pairing.deny('phone', 'one', T + 1_000), false)
        await store.pairing.add(pairing('one', { expiresAt: T + 5_000 }), T + 1_000)
        assert.equal((await store.pairing.pairings(T + 1_000)).length, 1)
      }),
    )
  })
}
