/** A message with its steps and replies, read from the store: what `GET /v1/messages/{id}` answers. */
import { messageDocument as documentOf } from '#contract'
import type { Clock, FlowFeed, JsonObject, MessageId, MessageStatus, MessageView, Store } from '#contract'

export async function messageDocument(store: Store, view: MessageView): Promise<JsonObject> {
  if (view.turn === null) return documentOf(view, [], [])
  const [steps, replies] = await Promise.all([store.inbox.steps(view.turn), store.inbox.repliesOfTurn(view.turn)])
  return documentOf(view, steps, replies)
}

export const isFinal = (status: MessageStatus): boolean => status === 'done' || status === 'dead'

/** The tenant's message when it has ended, or as it stands when the time is up or the asker gone; null: there is none. */
export async function messageAfter(
  tenant: string,
  id: MessageId,
  options: { readonly store: Store; readonly feed: FlowFeed; readonly clock: Clock; readonly waitMs: number; readonly signal: AbortSignal },
): Promise<MessageView | null> {
  const { store, feed, clock, waitMs, signal } = options
  const ended = Promise.withResolvers<void>()
  // Before the store is read: what ends in between must not be missed.
  const unlisten = feed.onMessage(id, (event) => {
    if (event.type === 'message' && isFinal(event.status)) ended.resolve()
  })
  const cancelTimer = clock.after(waitMs, ended.resolve)
  signal.addEventListener('abort', () => ended.resolve(), { once: true })
  try {
    const view = await store.inbox.get(tenant, id)
    if (view === null || isFinal(view.status)) return view
    await ended.promise
    return await store.inbox.get(tenant, id)
  } finally {
    cancelTimer()
    unlisten()
  }
}
