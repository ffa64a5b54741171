/**
 * One message as server-sent events: `status`, `delta` (text as it comes; null: void), `skill.progress`, `reply`, `end`. What was before the stream began is told
 * first, from the store; every reply comes exactly once, and the store has the last word before the end.
 */
import type { EventSink, FlowEvent, FlowFeed, JsonObject, MessageId, MessageStatus, Store } from '#contract'
import { isFinal } from './message-document.ts'

interface Reply {
  readonly id: string
  readonly seq: number
  readonly text: string
  readonly index: number
  readonly of: number
}

/** Resolves when the message has ended or the reader is gone. */
export async function streamMessage(
  tenant: string,
  id: MessageId,
  { store, feed, sink }: { readonly store: Store; readonly feed: FlowFeed; readonly sink: EventSink },
): Promise<void> {
  const over = Promise.withResolvers<void>()
  const told = new Set<string>()
  let last: MessageStatus | null = null
  /** What happens while the store is being read. */
  let early: FlowEvent[] | null = []

  const tellReply = (reply: Reply): void => {
    if (told.has(reply.id)) return
    told.add(reply.id)
    sink.send({ event: 'reply', data: { seq: reply.seq, text: reply.text, index: reply.index, of: reply.of } })
  }
  const tellStatus = (status: MessageStatus): void => {
    if (isFinal(status)) over.resolve()
    else if (status !== last) sink.send({ event: 'status', data: { status } })
    last = status
  }
  const tell = (event: FlowEvent): void => {
    if (event.type === 'message') tellStatus(event.status)
    else if (event.type === 'delta') sink.send({ event: 'delta', data: { text: event.text } })
    else if (event.type === 'skill')
      sink.send({ event: 'skill.progress', data: { skill: event.skill, call: event.call, progress: event.progress } })
    else if (event.type === 'reply') tellReply({ ...event, seq: event.replySeq })
  }

  const unlisten = feed.onMessage(id, (event) => (early === null ? tell(event) : early.push(event)))
  sink.signal.addEventListener('abort', () => over.resolve(), { once: true })
  try {
    const { status, replies } = await read(store, tenant, id)
    tellStatus(status)
    for (const reply of replies) tellReply(reply)
    // Text that was on its way to a reply is void once that is told, and so is all else when it has ended.
    for (const event of isFinal(status) ? [] : early) if (event.type !== 'delta' || replies.length === 0) tell(event)
    early = null
    await over.promise
    if (sink.signal.aborted) return
    const end = await read(store, tenant, id)
    for (const reply of end.replies) tellReply(reply)
    sink.send({ event: 'end', data: { status: end.status } satisfies JsonObject })
  } finally {
    unlisten()
  }
}

async function read(
  store: Store,
  tenant: string,
  id: MessageId,
): Promise<{ readonly status: MessageStatus; readonly replies: readonly Reply[] }> {
  const view = await store.inbox.get(tenant, id)
  if (view === null) return { status: 'dead', replies: [] }
  return { status: view.status, replies: view.turn === null ? [] : await store.inbox.repliesOfTurn(view.turn) }
}
