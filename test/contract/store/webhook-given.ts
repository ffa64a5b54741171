/** Webhooks for the store's suite: made with defaults, and their deliveries settled. */
import type { DueDelivery, NewWebhook, Settlement, Store, WebhookNotice } from '#contract'
import { newWebhookId } from '#contract'
import assert from 'node:assert/strict'
import { T } from './given.ts'

export async function webhook(store: Store, change: Partial<NewWebhook> = {}): Promise<NewWebhook> {
  const made: NewWebhook = {
    id: newWebhookId(T),
    tenant: 'default',
    url: 'https://hooks.example/in',
    description: null,
    events: ['*'],
    ordering: 'none',
    maxPerSecond: null,
    secrets: [{ sealed: 'sealed', expiresAt: null }],
    createdAt: T,
    ...change,
  }
  assert.equal(await store.webhooks.add(made, 100), true)
  return made
}

export const emitted = (store: Store, n: number, now: number = T): Promise<void> =>
  store.webhooks.emit({ tenant: 'default', type: 'agent.registered', data: { n }, now })

export async function dueAt(store: Store, now: number, holds: readonly number[] = [], limit = 100): Promise<readonly DueDelivery[]> {
  return (await store.webhooks.due(now, holds, limit)).deliveries
}

export const numbers = (deliveries: readonly DueDelivery[]): readonly unknown[] => deliveries.map(({ event }) => event.data['n'])

/** One attempt, ended at `at`. */
export function ended(
  store: Store,
  { seq }: { readonly seq: number },
  next: Settlement['next'],
  at: number = T,
): Promise<readonly WebhookNotice[]> {
  const isOk = next.is === 'ok'
  return store.webhooks.settle([
    {
      delivery: seq,
      attempt: {
        at,
        latencyMs: 0,
        status: isOk ? 200 : 500,
        error: isOk ? null : { code: 'WEBHOOK_REFUSED', message: 'It answered 500.' },
        requestHeaders: { 'webhook-id': 'evt' },
        response: 'body',
        isCut: false,
      },
      next,
    },
  ])
}
