/** What a hook takes, what it refuses, and what becomes of it, over a real socket. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { TestContext } from 'node:test'
import { UnavailableError, asEventId } from '#contract'
import type { Channel, JsonObject } from '#contract'
import { hook } from '../../../channels/hook/hook.ts'
import { signedRequest } from '../../../gateway/webhooks/sign.ts'
import { asGitHub, asOpenClaw, asStandard, asStripe } from '../../fakes/hook-sender.ts'
import type { SenderHeaders } from '../../fakes/hook-sender.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { RouteServer } from '../../support/route-server.ts'
import { vectors } from '../../sdk/webhooks/vectors.ts'

const OLD = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

interface Bench {
  readonly host: MemoryHost
  readonly channel: Channel
  readonly post: (headers: SenderHeaders, body: string | Uint8Array, query?: string) => Promise<{ status: number; body: JsonObject }>
  /** Epoch seconds, by the hub's clock. */
  readonly now: () => number
}

class HostAt extends MemoryHost {
  override readonly clock: FakeClock
  constructor(at: number | undefined) {
    super('ci')
    this.clock = new FakeClock(at)
  }
}

async function given(context: TestContext, settings: JsonObject = {}, at?: number): Promise<Bench> {
  const host = new HostAt(at)
  const channel = hook.create('ci', { secret: SECRET, scheme: 'standard', ...settings })
  await channel.start(host, new AbortController().signal)
  const server = await RouteServer.open(channel)
  context.after(async () => {
    await channel.stop()
    await server.close()
  })
  const post: Bench['post'] = async (headers, body, query = '') => {
    const url = `http://${server.origin}/hooks/ci${query}`
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: Buffer.from(body),
    })
    return { status: answer.status, body: (await answer.json()) as JsonObject }
  }
  return { host, channel, post, now: () => Math.floor(host.clock.now() / 1_000) }
}

describe('vectors', () => {
  for (const { name, scheme, secret, now, headers, body, accepted, reason } of vectors.requests) {
    // The configuration's faults: settings.test.ts.
    if (reason === 'secret_missing') continue
    // A hook shares a secret with its sender.
    if (scheme === 'ed25519') continue
    // A hook takes words too; the helpers promise JSON.
    const isTaken = accepted || reason === 'body_unreadable'
    test(`${name}: ${isTaken ? 'is taken' : 'is refused'}`, async (context) => {
      const { host, post } = await given(context, { scheme, secret }, now * 1_000)
      // HTTP carries bytes; digits of other scripts arrive as their UTF-8.
      const carried = Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, Buffer.from(value).toString('latin1')]))
      const { status } = await post(carried, body)
      assert.equal(status, isTaken ? 202 : 403)
      assert.equal(host.handed.length, isTaken ? 1 : 0)
    })
  }
})

describe('an event that comes again', () => {
  test('is answered with the message that it is, however often, and also in a later attempt', async (context) => {
    const { host, post, now } = await given(context)
    const [body, other] = ['{"n":1}', '{"n":1,"attempt":2}']
    const first = await post(asStandard({ secret: SECRET, body, at: now(), id: 'evt_1' }), body)
    assert.deepEqual([first.status, first.body['status']], [202, 'queued'])
    const replay = await post(asStandard({ secret: SECRET, body, at: now(), id: 'evt_1' }), body)
    host.clock.advance(5_000)
    const retry = await post(asStandard({ secret: SECRET, body: other, at: now(), id: 'evt_1' }), other)
    for (const again of [replay, retry]) {
      assert.deepEqual([again.status, again.body], [200, { message_id: first.body['message_id'], status: 'duplicate' }])
    }
    assert.equal((await post(asStandard({ secret: SECRET, body, at: now(), id: 'evt_2' }), body)).status, 202)
  })

  test('is known by what is signed, not by what anybody can change', async (context) => {
    const secret = 'a secret of GitHub, long enough'
    const { host, post } = await given(context, { scheme: 'github', secret })
    const body = '{"action":"opened"}'
    const first = await post(asGitHub({ secret, body, id: 'one' }), body)
    const replayed = await post(asGitHub({ secret, body, id: 'another' }), body)
    assert.deepEqual([replayed.status, replayed.body['message_id']], [200, first.body['message_id']])
    assert.equal(host.handed[0]?.key, host.handed[1]?.key)
    assert.deepEqual(host.handed[0]?.metadata.headers, { 'x-github-event': 'issues', 'x-github-delivery': 'one' })
  })

  test("is known by its id in the body where that is signed, else by its nonce or the body's digest", async (context) => {
    const openclaw = await given(context, { scheme: 'openclaw' })
    const at = openclaw.now()
    const nonce = 'ab'.repeat(16)
    for (const [body, which] of [
      ['{"id":"evt_1"}', nonce],
      ['{"id":"evt_1"}', 'cd'.repeat(16)],
      ['{}', nonce],
      ['{"id":7}', 'ef'.repeat(16)],
    ] as const)
      await openclaw.post(asOpenClaw({ secret: SECRET, body, at, nonce: which }), body)
    assert.deepEqual(
      openclaw.host.handed.map(({ key }) => key),
      ['evt_1', 'evt_1', `nonce:${nonce}`, `nonce:${'ef'.repeat(16)}`],
    )
    const stripe = await given(context, { scheme: 'stripe' })
    for (const body of ['{"id":"evt_1"}', '{"a":1}', '{"a":1}']) {
      await stripe.post(asStripe({ secret: SECRET, body, at }), body)
      stripe.host.clock.advance(1_000)
    }
    const [byId, byDigest, again] = stripe.host.handed.map(({ key }) => key)
    assert.equal(byId, 'evt_1')
    assert.match(byDigest ?? '', /^sha256:/)
    assert.equal(again, byDigest)
  })

  test('after its time is refused, whatever came of it', async (context) => {
    const { host, post, now } = await given(context)
    const headers = asStandard({ secret: SECRET, body: '{}', at: now() })
    assert.equal((await post(headers, '{}')).status, 202)
    host.clock.advance(300_999)
    assert.equal((await post(headers, '{}')).status, 200)
    host.clock.advance(1)
    assert.equal((await post(headers, '{}')).status, 403)
  })
})

test('a request that does not verify uses up no id', async (context) => {
  const { post, now } = await given(context)
  const forged = asStandard({ secret: 'another secret, long enough', body: '{}', at: now(), id: 'evt_1' })
  assert.equal((await post(forged, '{}')).status, 403)
  assert.equal((await post(asStandard({ secret: SECRET, body: '{}', at: now(), id: 'evt_1' }), '{}')).status, 202)
})

test('neither the query nor forwarded headers have a say (CVE-2026-28465, CVE-2026-28461)', async (context) => {
  const { post, now, host } = await given(context)
  const forwarded = { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-host': 'elsewhere', 'x-forwarded-proto': 'https', forwarded: 'for=::1' }
  assert.equal((await post(forwarded, '{}', '?secret=1&signature=2')).status, 403)
  assert.equal((await post({ ...forwarded, ...asStandard({ secret: SECRET, body: '{}', at: now() }) }, '{}', '?a=1')).status, 202)
  assert.deepEqual(host.handed[0]?.metadata, { headers: { 'webhook-id': 'msg_1' } })
})

test('nothing is acknowledged that could not be stored, and nothing taken in while paused or stopped', async (context) => {
  const { host, channel, post, now } = await given(context)
  const headers = asStandard({ secret: SECRET, body: '{}', at: now() })
  host.failure = new UnavailableError('locked', { code: 'STORE_LOCKED' })
  assert.equal((await post(headers, '{}')).status, 503)
  host.failure = null
  channel.pause()
  assert.equal((await post(headers, '{}')).status, 503)
  assert.equal((await post({}, '{}')).status, 403, 'a stranger is not told')
  assert.equal(host.handed.length, 1)
  channel.resume()
  assert.equal((await post(headers, '{}')).status, 202)
  await channel.stop()
  assert.equal((await post(headers, '{}')).status, 503)
})

test('stops only when what it takes in is taken in', async (context) => {
  const { host, channel, post, now } = await given(context)
  host.hold()
  const answer = post(asStandard({ secret: SECRET, body: '{}', at: now() }), '{}')
  await host.handedIn(1)
  let hasStopped = false
  const stopped = channel.stop().then(() => (hasStopped = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(hasStopped, false)
  host.release()
  await stopped
  assert.equal((await answer).status, 202)
})

for (const scheme of ['standard', 'openclaw']) {
  test(`the webhook of another gateway is taken by ${scheme}, and its later attempts are the same message`, async (context) => {
    const { host, post } = await given(context, { scheme })
    const event = { id: asEventId('evt_1'), type: 'message.processed', createdAt: host.clock.now(), data: { message_id: 'msg-1' } }
    const attempt = (number: number): ReturnType<typeof signedRequest> =>
      signedRequest({
        event,
        number,
        at: host.clock.now(),
        nonce: String(number).repeat(32),
        secrets: [SECRET, OLD],
        userAgent: 'OpenClaw-Webhooks/1',
      })
    const first = attempt(1)
    assert.equal((await post(first.headers, first.body)).status, 202)
    host.clock.advance(1_800_000)
    const second = attempt(2)
    assert.equal((await post(first.headers, first.body)).status, 403, 'its time is over')
    assert.equal((await post(second.headers, second.body)).status, 200)
    assert.deepEqual(new Set(host.handed.map(({ key }) => key)), new Set(['evt_1']))
  })
}

describe('what it becomes', () => {
  const map = {
    sender: '/user/id',
    text: '{/user/name}: {/message/text}',
    lane: '/thread',
    agent: 'support',
    metadata: { repo: '/repository/name', labels: '/labels', kind: 'issue {header:x-kind}', session_id: '/thread' },
  }

  async function become(
    context: TestContext,
    settings: JsonObject,
    body: string | Uint8Array,
    headers: SenderHeaders = {},
  ): Promise<Bench> {
    const bench = await given(context, settings)
    const { status } = await bench.post({ ...asStandard({ secret: SECRET, body, at: bench.now() - 60 }), ...headers }, body)
    assert.equal(status, 202)
    return bench
  }

  test('without a map: the body, from the hook, at the time of signing', async (context) => {
    const { host, now } = await become(context, {}, '{"payload":"x","metadata":{"agent_id":"admin"}}')
    const [message] = host.handed
    assert.deepEqual(message, {
      key: 'msg_1',
      fingerprint: null,
      lane: 'ci',
      account: 'ci',
      peer: { kind: 'direct', id: 'ci', thread: null },
      sender: 'ci',
      at: (now() - 60) * 1_000,
      payload: { json: { payload: 'x', metadata: { agent_id: 'admin' } } },
      metadata: { headers: { 'webhook-id': 'msg_1' } },
      agent: null,
      reply: { chat: 'ci' },
    })
  })

  test('with a map: what stands where it says', async (context) => {
    const body = JSON.stringify({
      user: { id: 42, name: 'Ann' },
      message: { text: 'it is broken' },
      thread: 't-1',
      repository: { name: 'web' },
      labels: ['bug', { a: 1 }],
    })
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const { host } = await become(context, { map }, body, { 'x-kind': 'new', traceparent })
    const [message] = host.handed
    assert.deepEqual(
      [message?.sender, message?.lane, message?.agent, message?.payload, message?.reply],
      ['42', 't-1', 'support', { text: 'Ann: it is broken' }, { chat: 't-1' }],
    )
    assert.deepEqual(message?.metadata, {
      user_id: '42',
      repo: 'web',
      labels: ['bug', { a: 1 }],
      kind: 'issue new',
      session_id: 't-1',
      headers: { 'webhook-id': 'msg_1' },
      traceparent,
    })
  })

  test('an event without what the map names is the body as it is', async (context) => {
    const { host } = await become(
      context,
      { map: { ...map, text: '/message/text', metadata: { session_id: '/other' } } },
      '{"other":["x"]}',
    )
    const [message] = host.handed
    assert.deepEqual([message?.sender, message?.lane, message?.payload], ['ci', 'ci', { json: { other: ['x'] } }])
    assert.equal(message?.metadata.session_id, undefined, 'a list is no session')
  })

  test('a part of the body may be the payload', async (context) => {
    const { host } = await become(context, { map: { json: '/data' } }, '{"data":{"a":[1]},"rest":true}')
    assert.deepEqual(host.handed[0]?.payload, { json: { a: [1] } })
  })

  test('words, bytes, and JSON beyond the bounds are taken as they are; an empty body is a dead letter', async (context) => {
    const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 1_200 }, (_, n) => [`m${n}`, n])))
    const poisoned = '{"__proto__":{"polluted":true}}'
    const deep = '['.repeat(10_000) + ']'.repeat(10_000)
    for (const body of ['hello', '"hello"', wide, poisoned, deep]) {
      const { host } = await become(context, {}, body)
      assert.deepEqual(host.handed[0]?.payload, { text: body }, body.slice(0, 40))
    }
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
    const bytes = await become(context, {}, Uint8Array.of(0xff, 0xfe, 0))
    assert.deepEqual(bytes.host.handed[0]?.payload, { binary: '//4A', media_type: 'application/octet-stream' })
    const empty = await become(context, {}, '')
    assert.equal(empty.host.handed[0]?.dead?.code, 'MESSAGE_EMPTY')
    const trigger = await become(context, { map: { text: 'Write the report.' } }, '')
    assert.deepEqual([trigger.host.handed[0]?.payload, trigger.host.handed[0]?.dead], [{ text: 'Write the report.' }, undefined])
  })

  test('a map that says a place two hundred times makes no more of a body than is taken in one piece', async (context) => {
    const a = 'x'.repeat(500_000)
    const body = JSON.stringify({ a })
    const { host } = await become(context, { map: { text: '{/a}'.repeat(200) } }, body)
    assert.deepEqual(host.handed[0]?.payload, { json: JSON.parse(body) as unknown })
    const twice = await become(context, { map: { text: '{/a} {/a}' } }, body)
    assert.deepEqual(twice.host.handed[0]?.payload, { text: `${a} ${a}` })
  })

  test('what is named like a part of every object is only ever what the sender wrote', async (context) => {
    const map = {
      text: '/constructor/name',
      agent: '/who',
      metadata: { own: '/__proto__/polluted', length: '/list/length', nested: '/nested' },
    }
    const body = '{"__proto__":{"polluted":true},"who":"__proto__","list":[1],"nested":{"__proto__":{"polluted":true}}}'
    const { host } = await become(context, { map }, body)
    const [message] = host.handed
    assert.deepEqual([message?.agent, message?.payload], ['__proto__', { text: body }])
    assert.deepEqual(message?.metadata, { own: true, headers: { 'webhook-id': 'msg_1' } })
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
  })

  test('two names that are too long are still two conversations', async (context) => {
    const lanes = await Promise.all(
      ['a', 'b'].map(
        async (end) => (await become(context, { map }, JSON.stringify({ thread: 'x'.repeat(300) + end }))).host.handed[0]?.lane,
      ),
    )
    assert.match(lanes[0] ?? '', /^sha256:/)
    assert.notEqual(lanes[0], lanes[1])
  })
})
