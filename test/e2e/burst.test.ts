/**
 * Burst and kill: 2,000 messages from 50 senders at full speed, SIGKILL in the middle, restart. Every message that was
 * acknowledged is answered exactly once, and each sender's answers keep the order of the questions.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const SENDERS = 50
const EACH = 40
const KILL_AFTER = 900

interface Document {
  readonly message_id: string
  readonly status: string
  readonly sender_id: string
  readonly payload: { readonly text: string }
  readonly replies: readonly { readonly seq: number; readonly text: string }[]
}

/** All messages of the gateway with their replies, by the API, page by page. */
async function everything(gateway: GatewayProcess): Promise<readonly Document[]> {
  const found: Document[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await gateway.fetch(`/v1/messages?limit=200${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`)
    const body = (await page.json()) as { readonly data: readonly Document[]; readonly cursor: string | null }
    found.push(...body.data)
    cursor = body.cursor
  }
  return found.toReversed()
}

async function settled(gateway: GatewayProcess, expected: number): Promise<readonly Document[]> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const metrics = await (await gateway.fetch('/api/metrics')).text()
    const pending = Number(/^queue_depth (\d+)$/m.exec(metrics)?.[1] ?? Number.NaN)
    if (pending === 0) return everything(gateway)
    assert.ok(Date.now() < deadline, `${pending} of ${expected} messages still wait`)
    // Waits for the next end of a message, whichever it is, without asking all the time.
    const [oldest] = ((await (await gateway.fetch('/v1/messages?status=queued&limit=1')).json()) as { data: readonly Document[] }).data
    if (oldest !== undefined) await gateway.fetch(`/v1/messages/${oldest.message_id}?wait=1`)
  }
}

function judge(documents: readonly Document[], acknowledged: ReadonlyMap<string, string>): void {
  const byId = new Map(documents.map((document) => [document.message_id, document]))
  for (const [id, text] of acknowledged) {
    const document = byId.get(id)
    assert.ok(document, `${text} was acknowledged as ${id} and is gone`)
    assert.equal(document.status, 'done', text)
    assert.equal(document.replies.length, 1, `${text} has ${document.replies.length} replies`)
    assert.ok(document.replies[0]?.text.includes(text), `${text} was answered with ${document.replies[0]?.text}`)
  }
  assert.equal(new Set(documents.map((document) => document.payload.text)).size, documents.length, 'a message was taken twice')
  const bySender = Map.groupBy(documents, (document) => document.sender_id)
  for (const [sender, said] of bySender) {
    const numbers = said.map((document) => Number(document.payload.text.split('#')[1]))
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
      `${sender}: order of acceptance`,
    )
    const seqs = said.map((document) => document.replies[0]?.seq ?? 0)
    assert.deepEqual(
      seqs,
      seqs.toSorted((a, b) => a - b),
      `${sender}: order of replies`,
    )
  }
}

test('over HTTP nothing that was acknowledged is lost, repeated or out of order after SIGKILL', async (context) => {
  let gateway = await startGateway(context)
  const acknowledged = new Map<string, string>()
  let down: (() => void) | null = null
  const died = new Promise<void>((resolve) => (down = resolve))
  let killing: Promise<unknown> | null = null
  const firstLife = gateway

  /** One sender: the next message when the last was acknowledged; what was not is sent again with its key. */
  const sender = async (number: number): Promise<void> => {
    const name = `sender-${number}`
    for (let at = 0; at < EACH;) {
      const text = `${name}#${at}`
      const body = JSON.stringify({ payload: text, metadata: { user_id: name }, idempotency_key: text })
      const current = gateway
      try {
        const answer = await current.fetch('/v1/messages', { method: 'POST', body, headers: { 'content-type': 'application/json' } })
        assert.equal(answer.status, 202)
        const { message_id } = (await answer.json()) as { message_id: string }
        acknowledged.set(message_id, text)
        at += 1
        if (acknowledged.size === KILL_AFTER && killing === null) killing = firstLife.kill9().then(() => down?.())
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        await restarted
      }
    }
  }
  const restart = async (): Promise<void> => {
    await died
    gateway = await startGateway(context, { dir: firstLife.dir })
  }
  const restarted = restart()
  await Promise.all(Array.from({ length: SENDERS }, (_, number) => sender(number)))
  await restarted
  const documents = await settled(gateway, SENDERS * EACH)
  assert.equal(documents.length, SENDERS * EACH)
  judge(documents, acknowledged)
  // The first life's acknowledgements are among them: the kill hit a burst, not silence.
  assert.ok(acknowledged.size >= SENDERS * EACH)
})

test('over WebSocket the same, with the replies themselves: each once, in order, across the cut', async (context) => {
  let gateway = await startGateway(context)
  const firstLife = gateway
  let replies = 0
  let restarting: Promise<void> | null = null
  const restart = (): Promise<void> =>
    (restarting ??= (async () => {
      await firstLife.kill9()
      gateway = await startGateway(context, { dir: firstLife.dir })
    })())

  const sender = async (number: number): Promise<void> => {
    const conversation = `talk-${number}`
    const unacknowledged = new Map(Array.from({ length: EACH }, (_, at) => [`${conversation}#${at}`, at]))
    const answered: string[] = []
    let lastSeq = 0
    for (let life = 0; answered.length < EACH; life++) {
      assert.ok(life < 20, `${conversation} got ${answered.length} answers`)
      const token = Buffer.from(gateway.key).toString('base64url')
      const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/ws`, [
        'openclaw.v1',
        `base64url.bearer.authorization.openclaw.${token}`,
      ])
      await new Promise<void>((resolve) => {
        socket.addEventListener('close', () => resolve())
        socket.addEventListener('message', ({ data }) => {
          const frame = JSON.parse(String(data)) as { type: string; id?: string; seq?: number; text?: string }
          if (frame.type === 'ready') socket.send(JSON.stringify({ type: 'subscribe', conversation, since: lastSeq }))
          if (frame.type === 'subscribed')
            for (const id of unacknowledged.keys()) socket.send(JSON.stringify({ type: 'message', id, conversation, payload: id }))
          if (frame.type === 'ack' && frame.id !== undefined) unacknowledged.delete(frame.id)
          if (frame.type === 'reply' && frame.seq !== undefined && frame.text !== undefined) {
            assert.ok(frame.seq > lastSeq, `${conversation}: reply ${frame.seq} after ${lastSeq}`)
            lastSeq = frame.seq
            answered.push(frame.text)
            replies += 1
            if (replies === KILL_AFTER) void restart()
            if (answered.length === EACH) socket.close()
          }
        })
      })
      if (restarting !== null) await restarting
    }
    answered.forEach((text, at) => assert.ok(text.includes(`${conversation}#${at}`), `${conversation}: answer ${at} is ${text}`))
  }
  await Promise.all(Array.from({ length: SENDERS }, (_, number) => sender(number)))
  assert.equal(replies, SENDERS * EACH)
  assert.ok(restarting !== null, 'the gateway was killed in the middle')
  const documents = await settled(gateway, SENDERS * EACH)
  assert.equal(documents.length, SENDERS * EACH)
})
