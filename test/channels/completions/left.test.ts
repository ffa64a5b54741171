/** Clients that go away before their answer: what they could never be told is not thought any more. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import OpenAI, { APIUserAbortError } from 'openai'
import type { HttpRequest, Principal, Route } from '#contract'
import { completions } from '../../../channels/completions/completions.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { eventually } from '../../support/eventually.ts'
import { startWorld } from './world.ts'
import type { Json, World } from './world.ts'

describe('a client that leaves', { timeout: 60_000 }, () => {
  let world: World
  let client: OpenAI
  before(async () => {
    world = await startWorld()
    client = new OpenAI({ apiKey: world.key, baseURL: `${world.url}/v1`, maxRetries: 0 })
  })
  after(() => world.stop())

  const messageOf = async (id: string): Promise<Json> => (await (await world.fetch(`/v1/messages/${id}`)).json()) as Json
  const newest = async (): Promise<string> => {
    const list = (await (await world.fetch('/v1/messages?limit=1')).json()) as { data: { id?: string; message_id?: string }[] }
    return list.data[0]?.message_id ?? list.data[0]?.id ?? ''
  }
  const ended = (id: string): Promise<void> => eventually(async () => (await messageOf(id))['status'] === 'done', 'its end')
  /** Asks, and leaves once the model was asked. */
  async function askAndLeave(headers: { readonly [name: string]: string } = {}): Promise<string> {
    const gone = new AbortController()
    const options = { signal: gone.signal, headers }
    const body = { model: 'openclaw/main', messages: [{ role: 'user' as const, content: 'slow' }] }
    const asking = client.chat.completions.create(body, options)
    await world.model.received(world.model.requests.length + 1)
    const id = await newest()
    gone.abort()
    await assert.rejects(asking, APIUserAbortError)
    return id
  }

  test('before its answer ends the turn: the model is let go, the record says so, and nothing is asked any more', async () => {
    world.model.add({ do: 'hang' })
    const [cut, asked] = [world.model.cutByClient, world.model.requests.length]
    const id = await askAndLeave()
    await ended(id)
    const { reason, replies } = await messageOf(id)
    assert.equal((reason as Json)['code'], 'CANCELLED')
    assert.deepEqual(replies ?? [], [])
    await eventually(() => world.model.cutByClient === cut + 1, 'the model to be let go')
    assert.equal(world.model.requests.length, asked + 1)
  })

  test('in the middle of a stream ends it too, in both forms', async () => {
    world.model.add({ do: 'stall', text: 'once upon a time' }, { do: 'stall', text: 'once upon a time' })
    const chat = await client.chat.completions.create({
      model: 'openclaw/main',
      messages: [{ role: 'user', content: 'tell' }],
      stream: true,
    })
    let id = ''
    for await (const chunk of chat) {
      id = chunk.id.replace('chatcmpl-', 'msg-')
      if ((chunk.choices[0]?.delta.content ?? '') !== '') break
    }
    await ended(id)
    assert.equal(((await messageOf(id))['reason'] as Json)['code'], 'CANCELLED')
    const response = await client.responses.create({ model: 'openclaw/main', input: 'tell', stream: true })
    for await (const event of response) {
      if (event.type === 'response.created') id = event.response.id.replace('resp_', 'msg-')
      if (event.type === 'response.output_text.delta') break
    }
    await ended(id)
    assert.equal(((await messageOf(id))['reason'] as Json)['code'], 'CANCELLED')
  })

  test('while somebody else waits for the message leaves it to them', async () => {
    world.model.add({ do: 'hold', line: { do: 'text', text: 'for the other' } })
    const gone = new AbortController()
    const asked = world.model.requests.length
    const asking = client.chat.completions.create(
      { model: 'openclaw/main', messages: [{ role: 'user', content: 'both' }] },
      { signal: gone.signal },
    )
    await world.model.received(asked + 1)
    const id = await newest()
    const stream = await world.fetch(`/v1/messages/${id}/stream`)
    gone.abort()
    await assert.rejects(asking, APIUserAbortError)
    const waiting = async (): Promise<boolean> =>
      /openclaw_completions_waiting\{[^}]*\} 0/.test(await (await world.fetch('/api/metrics')).text())
    await eventually(waiting, 'the gateway to see it')
    world.model.release()
    assert.match(await stream.text(), /for the other/)
    assert.equal((await messageOf(id))['reason'] ?? null, null)
  })

  test('before its turn has begun is never asked of a model', async () => {
    world.model.add({ do: 'hold', line: { do: 'text', text: 'first' } })
    const asked = world.model.requests.length
    const say = (content: string, signal?: AbortSignal): Promise<unknown> =>
      client.responses.create({ model: 'openclaw/main', input: content, conversation: 'queue' }, signal === undefined ? {} : { signal })
    const first = say('first')
    await world.model.received(asked + 1)
    const gone = new AbortController()
    const before = await newest()
    const second = say('second', gone.signal)
    await eventually(async () => (await newest()) !== before, 'the second to be stored')
    const id = await newest()
    gone.abort()
    await assert.rejects(second, APIUserAbortError)
    const waiting = async (): Promise<boolean> =>
      /openclaw_completions_waiting\{[^}]*\} 1/.test(await (await world.fetch('/api/metrics')).text())
    await eventually(waiting, 'the gateway to see it')
    world.model.release()
    await first
    await ended(id)
    assert.equal(((await messageOf(id))['reason'] as Json)['code'], 'CANCELLED')
    assert.equal(world.model.requests.length, asked + 1)
  })
})

const PRINCIPAL: Principal = { id: 'ann', credential: 'key', tenant: 'default', scopes: new Set(['*']) }
const requestOf = (signal: AbortSignal, headers: HttpRequest['headers'] = {}): HttpRequest => ({
  id: 'req-1',
  params: {},
  query: {},
  headers,
  body: { model: 'openclaw/main', messages: [{ role: 'user', content: 'x' }] },
  raw: new Uint8Array(0),
  ip: '127.0.0.1',
  principal: PRINCIPAL,
  signal,
})

async function asked(
  headers: HttpRequest['headers'] = {},
): Promise<{ host: MemoryHost; gone: AbortController; answer: Promise<unknown>; stop: () => Promise<void> }> {
  const host = new MemoryHost()
  const channel = completions.create('completions', {})
  await channel.start(host, new AbortController().signal)
  const route = channel.routes?.find(({ path }: Route) => path === '/v1/chat/completions')
  const gone = new AbortController()
  const answer = Promise.resolve(route?.handle(requestOf(gone.signal, headers)))
  answer.catch(() => undefined)
  await host.handedIn(1)
  // Stored, and waited for.
  await host.clock.nextTimer()
  return { host, gone, answer, stop: () => channel.stop() }
}

test('a gateway that stops is no client that leaves: what waits is answered by the next', async () => {
  const { host, answer, stop } = await asked()
  await stop()
  await assert.rejects(answer, { code: 'CHANNEL_CLOSED' })
  assert.deepEqual(host.cancelled, [])
})

test('who gave a key may come back for the answer, and so the turn goes on', async () => {
  const keyed = await asked({ 'idempotency-key': 'k' })
  keyed.gone.abort()
  await assert.rejects(keyed.answer)
  assert.deepEqual(keyed.host.cancelled, [])
  const keyless = await asked()
  keyless.gone.abort()
  await assert.rejects(keyless.answer)
  assert.equal(keyless.host.cancelled.length, 1)
})
