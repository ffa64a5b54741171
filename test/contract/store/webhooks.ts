/** Webhooks: managed by their tenant, their deliveries handed out, settled, given up, brought back. */
import { asWebhookDeliveryId, asWebhookId, newDeadLetterId } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T, accepted } from './given.ts'
import { dueAt, emitted, ended, numbers, webhook } from './webhook-given.ts'

const DAY = 24 * 3_600_000
const any = { version: null, now: T }

export function webhookSuite(use: UseStore): void {
  describe('webhooks', () => {
    test(
      'belong to their tenant, and look missing to others',
      use(async ({ store, crash }) => {
        const mine = await webhook(store)
        const theirs = await webhook(store, { tenant: 'acme' })
        const after = await crash()
        assert.deepEqual(
          (await after.webhooks.list('acme', null, 9)).map(({ id }) => id),
          [theirs.id],
        )
        assert.equal(await after.webhooks.get('acme', mine.id), null)
        assert.equal(await after.webhooks.change('acme', mine.id, { url: 'https://evil.example' }, any), 'missing')
        assert.equal(await after.webhooks.remove('acme', mine.id, T), false)
        assert.equal(await after.webhooks.test('acme', mine.id, T), null)
        assert.equal(await after.webhooks.recover('acme', mine.id, { since: 0, until: T + 1, statuses: ['dead'] }, 9, T), 'missing')
        await emitted(after, 1)
        const [delivery] = await dueAt(after, T)
        assert.ok(delivery)
        assert.equal((await after.webhooks.delivery('default', delivery.id))?.delivery.webhook, mine.id)
        assert.equal(await after.webhooks.delivery('acme', delivery.id), null)
        assert.equal(await after.webhooks.redeliver('acme', delivery.id, T), null)
        assert.deepEqual(await after.webhooks.deliveries({ tenant: 'acme', webhook: mine.id }, null, 9), [])
      }),
    )

    test(
      'are so many at most, changed by version, and gone with what was on its way to them',
      use(async ({ store }) => {
        const made = await webhook(store)
        assert.equal(await store.webhooks.add({ ...made, id: asWebhookId('whk-2') }, 1), false)
        const first = await store.webhooks.get('default', made.id)
        assert.deepEqual([first?.version, first?.status, first?.url], [1, 'enabled', made.url])
        const changed = await store.webhooks.change('default', made.id, { description: 'ours' }, { version: 1, now: T + 1 })
        assert.ok(typeof changed === 'object')
        assert.deepEqual([changed.version, changed.description, changed.events, changed.updatedAt], [2, 'ours', ['*'], T + 1])
        assert.equal(await store.webhooks.change('default', made.id, { description: null }, { version: 1, now: T + 2 }), 'changed')
        await emitted(store, 1)
        const [delivery] = await dueAt(store, T)
        assert.ok(delivery)
        await ended(store, delivery, { is: 'dead', deadLetter: newDeadLetterId(T) })
        await emitted(store, 2)
        assert.equal(await store.webhooks.remove('default', made.id, T), true)
        assert.deepEqual(await dueAt(store, T), [])
        assert.equal((await store.deadLetters.open()).count, 0)
        await emitted(store, 3)
        assert.ok((await store.prune(T + 1, 9)) >= 2)
        assert.equal(await store.webhooks.remove('default', made.id, T), false)
      }),
    )

    test(
      'are counted by whether they are told, and why not, over all tenants',
      use(async ({ store }) => {
        assert.deepEqual(await store.webhooks.census(), [])
        await webhook(store)
        await webhook(store, { tenant: 'acme' })
        const { id } = await webhook(store)
        await store.webhooks.change('default', id, { status: 'disabled' }, { version: null, now: T })
        assert.deepEqual(
          (await store.webhooks.census()).map(({ status, disabledReason, count }) => [status, disabledReason, count]),
          [
            ['disabled', 'manual', 1],
            ['enabled', null, 2],
          ],
        )
      }),
    )

    test(
      'keep their rate and their key pairs, which a change of something else leaves alone',
      use(async ({ store, crash }) => {
        const secrets = [{ sealed: 'one', expiresAt: null, pair: { sealed: 'two', publicKey: 'whpk_x' } }]
        const { id } = await webhook(store, { maxPerSecond: 5, secrets })
        await store.webhooks.change('default', id, { description: 'ours' }, any)
        const after = await crash()
        const kept = await after.webhooks.get('default', id)
        assert.deepEqual([kept?.maxPerSecond, kept?.secrets, kept?.description], [5, secrets, 'ours'])
        await after.webhooks.change('default', id, { maxPerSecond: null }, any)
        assert.equal((await after.webhooks.get('default', id))?.maxPerSecond, null)
      }),
    )

    test(
      'get what is due, oldest first, without what is held, and know when the next is',
      use(async ({ store, crash }) => {
        await webhook(store)
        for (let n = 1; n <= 3; n++) await emitted(store, n, T + n)
        const due = await store.webhooks.due(T + 2, [], 9)
        assert.deepEqual([numbers(due.deliveries), due.nextAt, due.webhooks.length], [[1, 2], T + 3, 1])
        const [first, second] = due.deliveries
        assert.ok(first && second)
        assert.deepEqual(numbers(await dueAt(store, T + 3, [first.seq])), [2, 3])
        assert.deepEqual(numbers(await dueAt(store, T + 3, [first.seq], 2)), [2])
        assert.deepEqual(await dueAt(store, T + 3, [first.seq], 1), [])
        await ended(store, first, { is: 'again', at: T + 100 })
        await ended(store, second, { is: 'ok' })
        const after = await crash()
        assert.deepEqual(numbers(await dueAt(after, T + 99)), [3])
        assert.equal((await after.webhooks.due(T + 99, [], 9)).nextAt, T + 100)
        const again = await dueAt(after, T + 100)
        assert.deepEqual(
          again.map(({ event, attempts }) => [event.data['n'], attempts]),
          [
            [3, 0],
            [1, 1],
          ],
        )
        assert.equal(again[1]?.event.id, first.event.id)
        assert.equal(await after.webhooks.pending(), 2)
      }),
    )

    test(
      'in order get one at a time, and what fails holds up the rest; a single one waits for no order',
      use(async ({ store }) => {
        const { id } = await webhook(store, { ordering: 'fifo' })
        for (let n = 1; n <= 3; n++) await emitted(store, n)
        const [first, ...none] = await dueAt(store, T)
        assert.ok(first)
        assert.deepEqual([numbers([first]), none], [[1], []])
        assert.deepEqual(await dueAt(store, T, [first.seq]), [])
        await ended(store, first, { is: 'again', at: T + 50 })
        assert.deepEqual(await dueAt(store, T + 49), [])
        assert.equal((await store.webhooks.due(T + 49, [], 9)).nextAt, T + 50)
        const test = await store.webhooks.test('default', id, T)
        assert.ok(test)
        assert.deepEqual(
          (await dueAt(store, T + 49)).map(({ id, isSingle }) => [id, isSingle]),
          [[test.id, true]],
        )
        await ended(store, first, { is: 'dead', deadLetter: newDeadLetterId(T) }, T + 50)
        assert.deepEqual(numbers((await dueAt(store, T + 51)).filter(({ isSingle }) => !isSingle)), [2])
      }),
    )

    test(
      'keep each attempt; one that is given up is a dead letter, whole, and comes back with a fresh count',
      use(async ({ store }) => {
        const { id } = await webhook(store)
        await emitted(store, 7)
        const [delivery] = await dueAt(store, T)
        assert.ok(delivery)
        await ended(store, delivery, { is: 'again', at: T + 1 })
        const deadLetter = newDeadLetterId(T)
        await ended(store, delivery, { is: 'dead', deadLetter }, T + 1)
        const letter = await store.deadLetters.get('default', deadLetter)
        assert.deepEqual([letter?.kind, letter?.ref, letter?.attempts, letter?.reason.code], ['webhook', delivery.id, 2, 'WEBHOOK_REFUSED'])
        assert.deepEqual(letter?.content, { webhook: id, event: { ...delivery.event } })
        await assert.rejects(store.deadLetters.edit('default', deadLetter, { text: 'x' }), { code: 'EVENT_UNCHANGEABLE' })
        const replayed = await store.deadLetters.replay({ tenant: 'default', id: deadLetter, now: T + 2, route: null })
        assert.deepEqual(replayed, { status: 'replayed', kind: 'webhook', delivery: delivery.id })
        const [back] = await dueAt(store, T + 2)
        assert.deepEqual([back?.id, back?.attempts, back?.event.id], [delivery.id, 0, delivery.event.id])
        await ended(store, delivery, { is: 'ok' }, T + 2)
        const shown = await store.webhooks.delivery('default', delivery.id)
        assert.deepEqual([shown?.delivery.status, shown?.delivery.doneAt, shown?.delivery.dueAt], ['ok', T + 2, null])
        assert.deepEqual(
          shown?.attempts.map(({ number, status, response }) => [number, status, response]),
          [
            [1, 500, 'body'],
            [2, 500, 'body'],
            [3, 200, 'body'],
          ],
        )
      }),
    )

    test(
      'disabled by hand skip what is pending and what comes; enabled they get what is recovered',
      use(async ({ store }) => {
        const { id } = await webhook(store)
        await emitted(store, 1, T)
        await store.webhooks.change('default', id, { status: 'disabled' }, any)
        await emitted(store, 2, T + 1)
        assert.deepEqual(await dueAt(store, T + 9), [])
        const listed = await store.webhooks.deliveries({ tenant: 'default', webhook: id, status: 'skipped' }, null, 9)
        assert.deepEqual(
          listed.map(({ event }) => event.data['n']),
          [2, 1],
        )
        const recovery = { since: T, until: T + 1, statuses: ['skipped', 'dead', 'failed'] as const }
        assert.equal(await store.webhooks.recover('default', id, recovery, 9, T), 'disabled')
        const enabled = await store.webhooks.change('default', id, { status: 'enabled' }, any)
        assert.ok(typeof enabled === 'object')
        assert.deepEqual([enabled.status, enabled.disabledReason], ['enabled', null])
        assert.deepEqual(await dueAt(store, T + 9), [])
        assert.equal(await store.webhooks.recover('default', id, recovery, 9, T + 9), 1)
        assert.deepEqual(numbers(await dueAt(store, T + 9)), [1])
        assert.equal(await store.webhooks.recover('default', id, { ...recovery, until: T + 9 }, 9, T + 9), 1)
        assert.deepEqual(numbers(await dueAt(store, T + 9)), [1, 2])
      }),
    )

    test(
      'are given what was recovered of the dead once, and its letter is settled',
      use(async ({ store }) => {
        const { id } = await webhook(store)
        await emitted(store, 1)
        const [delivery] = await dueAt(store, T)
        assert.ok(delivery)
        const deadLetter = newDeadLetterId(T)
        await ended(store, delivery, { is: 'dead', deadLetter })
        assert.equal(await store.webhooks.recover('default', id, { since: 0, until: T + 9, statuses: ['dead'] }, 9, T), 1)
        assert.equal((await store.deadLetters.get('default', deadLetter))?.status, 'replayed')
        assert.equal(await store.webhooks.recover('default', id, { since: 0, until: T + 9, statuses: ['dead'] }, 9, T), 0)
      }),
    )

    test(
      'warn at 50, 70 and 90 % of five days of nothing but failures, then are disabled; a success begins anew',
      use(async ({ store }) => {
        const { id } = await webhook(store)
        const watcher = await webhook(store, { events: ['endpoint.*'] })
        for (let n = 0; n < 9; n++) await emitted(store, n)
        const deliveries = await dueAt(store, T)
        const fail = (n: number, at: number): ReturnType<typeof ended> =>
          ended(store, deliveries[n] ?? { seq: 0 }, { is: 'again', at: at + 1 }, at)
        assert.deepEqual(await fail(0, T), [])
        assert.deepEqual(await fail(1, T + 2.4 * DAY), [])
        assert.deepEqual(await fail(2, T + 2.5 * DAY), [{ webhook: id, is: 'failing', percent: 50 }])
        assert.deepEqual(await fail(2, T + 2.6 * DAY), [])
        const [ok] = deliveries.slice(8)
        assert.ok(ok)
        await ended(store, ok, { is: 'ok' }, T + 3 * DAY)
        assert.equal((await store.webhooks.get('default', id))?.failingSince, null)
        assert.deepEqual(await fail(3, T + 4 * DAY), [])
        assert.deepEqual(await fail(4, T + 8 * DAY), [{ webhook: id, is: 'failing', percent: 70 }])
        assert.deepEqual(await fail(5, T + 8.9 * DAY), [{ webhook: id, is: 'failing', percent: 90 }])
        assert.deepEqual(await fail(6, T + 9 * DAY), [{ webhook: id, is: 'disabled', reason: 'failing' }])
        const after = await store.webhooks.get('default', id)
        assert.deepEqual([after?.status, after?.disabledReason], ['disabled', 'failing'])
        const told = await store.webhooks.deliveries({ tenant: 'default', webhook: watcher.id }, null, 9)
        assert.deepEqual(
          told.map(({ event }) => [event.type, event.data['webhook_id'], event.data['percent'] ?? event.data['reason']]),
          [
            ['endpoint.disabled', id, 'failing'],
            ['endpoint.failing', id, 90],
            ['endpoint.failing', id, 70],
            ['endpoint.failing', id, 50],
          ],
        )
        assert.equal((await store.webhooks.deliveries({ tenant: 'default', webhook: id, status: 'pending' }, null, 9)).length, 0)
      }),
    )

    test(
      'are disabled at once by a receiver that is gone, and take singles even then, which count for nothing',
      use(async ({ store }) => {
        const { id } = await webhook(store)
        await emitted(store, 1)
        const [delivery] = await dueAt(store, T)
        assert.ok(delivery)
        assert.deepEqual(await ended(store, delivery, { is: 'gone' }), [{ webhook: id, is: 'disabled', reason: 'gone' }])
        const again = await store.webhooks.redeliver('default', delivery.id, T)
        assert.ok(again)
        assert.notEqual(again.id, delivery.id)
        assert.equal(again.event.id, delivery.event.id)
        const [single] = await dueAt(store, T)
        assert.ok(single)
        assert.deepEqual(await ended(store, single, { is: 'failed' }), [])
        assert.equal((await store.webhooks.get('default', id))?.failures, 0)
        assert.equal(await store.webhooks.redeliver('default', asWebhookDeliveryId('wdl-none'), T), null)
      }),
    )

    test(
      'that are removed, skipped or recovered while something is on its way take no harm from how it ended',
      use(async ({ store }) => {
        const { id } = await webhook(store)
        const other = await webhook(store)
        await emitted(store, 1)
        const [mine, theirs] = await dueAt(store, T)
        assert.ok(mine && theirs)
        await store.webhooks.change('default', id, { status: 'disabled' }, any)
        assert.deepEqual(await ended(store, mine, { is: 'again', at: T + 1 }), [])
        assert.equal((await store.webhooks.delivery('default', mine.id))?.delivery.status, 'skipped')
        await ended(store, mine, { is: 'ok' })
        assert.equal((await store.webhooks.delivery('default', mine.id))?.delivery.status, 'ok')
        await store.webhooks.remove('default', other.id, T)
        assert.deepEqual(await ended(store, theirs, { is: 'dead', deadLetter: newDeadLetterId(T) }), [])
        assert.equal((await store.deadLetters.open()).count, 0)
      }),
    )

    test(
      'leave events to retention when they are over, and no sooner',
      use(async ({ store }) => {
        await webhook(store)
        for (let n = 1; n <= 3; n++) await emitted(store, n)
        const [ok, dead] = await dueAt(store, T)
        assert.ok(ok && dead)
        await ended(store, ok, { is: 'ok' })
        const deadLetter = newDeadLetterId(T)
        await ended(store, dead, { is: 'dead', deadLetter })
        assert.equal(await store.prune(T, 9), 0)
        assert.equal(await store.prune(T + 1, 9), 1)
        assert.equal(await store.webhooks.delivery('default', ok.id), null)
        await store.deadLetters.discard('default', deadLetter, T)
        assert.equal(await store.prune(T + 1, 9), 1)
        assert.equal(await store.deadLetters.get('default', deadLetter), null)
        assert.equal(await store.webhooks.pending(), 1)
      }),
    )

    test(
      'hear of nothing that was not committed, and nothing is written where nobody subscribes',
      use(async ({ store }) => {
        let heard = 0
        const stop = store.webhooks.onEvents(() => heard++)
        await accepted(store, 'ann', 'hello')
        assert.equal(heard, 0)
        const { id } = await webhook(store, { events: ['session.*'] })
        await accepted(store, 'ann', 'hello again')
        assert.equal(heard, 0)
        await accepted(store, 'bob', 'hello')
        assert.equal(heard, 1)
        await store.webhooks.change('default', id, { events: ['channel.connected'] }, any)
        await accepted(store, 'eve', 'hello')
        assert.equal(heard, 1)
        stop()
        await store.webhooks.emit({ tenant: 'default', type: 'channel.connected', data: {}, now: T })
        assert.equal(heard, 1)
        assert.equal(await store.webhooks.pending(), 2)
      }),
    )
  })
}
