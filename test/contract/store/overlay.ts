/** What was changed over the API of the configuration: rows by path, in the order of writing, with their entry of the audit or not at all. */
import type { OverlayRow } from '#contract'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { UseStore } from './given.ts'
import { T } from './given.ts'

const ROUTES: OverlayRow = { path: '/routes', value: { routes: [{ match: { channel: 'http' }, agent: 'first' }] }, by: 'ops', at: T }
const AGENT: OverlayRow = { path: '/agents/first', value: { limits: { max_steps: 3, turn_timeout: null } }, by: 'ann', at: T + 1 }

export function overlaySuite(use: UseStore): void {
  describe('overlay', () => {
    test(
      'keeps rows whole and in the order of writing, over a crash',
      use(async ({ store, crash }) => {
        assert.deepEqual(await store.overlay.list(), [])
        await store.overlay.put(ROUTES)
        await store.overlay.put(AGENT)
        assert.deepEqual(await (await crash()).overlay.list(), [ROUTES, AGENT])
      }),
    )

    test(
      'has one row a path: what is written again replaces it and is the newest',
      use(async ({ store }) => {
        await store.overlay.put(ROUTES)
        await store.overlay.put(AGENT)
        const again = { ...ROUTES, value: { routes: [], fallback: 'first' }, by: 'eve', at: T + 2 }
        await store.overlay.put(again)
        assert.deepEqual(await store.overlay.list(), [AGENT, again])
      }),
    )

    test(
      'takes a row away once, and no other',
      use(async ({ store, crash }) => {
        const channel: OverlayRow = { path: '/channels/phone', value: { access: 'open' }, by: 'ops', at: T + 2 }
        for (const row of [ROUTES, AGENT, channel]) await store.overlay.put(row)
        assert.equal(await store.overlay.remove(channel.path), true)
        assert.equal(await store.overlay.remove(channel.path), false)
        assert.equal(await store.overlay.remove('/agents/second'), false)
        assert.deepEqual(await (await crash()).overlay.list(), [ROUTES, AGENT])
      }),
    )
  })
}
