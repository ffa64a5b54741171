/**
 * Two tenants at one front door, each with every right. Generated from the route table as the gateway tells it: whoever names what is
 * another's is answered, byte for byte, as if it were not there; lists show one's own; and nothing of the other's changes.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { JsonObject, JsonValue } from '#contract'
import { SocketClient } from '../support/socket-client.ts'
import { startWorld } from './tenant-world.ts'
import type { Things, World } from './tenant-world.ts'

/** How a route with parameters names a thing of somebody's, and one that nobody has; and what it is sent. */
interface Row {
  readonly at: (things: Things) => string
  readonly absent: string
  readonly body?: JsonValue
}

const NONE = '00000000000000000000000000'
const letter = (pick: keyof Things['letters']): Pick<Row, 'at' | 'absent'> => ({ at: ({ letters }) => letters[pick], absent: `dl-${NONE}` })
const message = { at: ({ message: id }: Things) => id, absent: `msg-${NONE}` }
const session = { at: ({ session: key }: Things) => key, absent: 'agent%3Anone%3Ahttp%3Anone%3Adirect%3Anone' }
const channel = { at: ({ channel: name }: Things) => name, absent: 'nobodys' }
const runOf = { at: ({ run }: Things) => run, absent: `run-${NONE}` }
const key = { at: ({ key: id }: Things) => id, absent: `key-${NONE}` }
const webhook = { at: ({ webhook: id }: Things) => id, absent: `whk-${NONE}` }
const webhookDelivery = { at: ({ webhookDelivery: id }: Things) => id, absent: `wdl-${NONE}` }
const code = (pick: keyof Things['codes']): Pick<Row, 'at' | 'absent'> => ({
  at: ({ channel: name, codes }) => `${name}/${codes[pick]}`,
  absent: 'nobodys/ABCDEFGH',
})

/** In the order in which they are called by the owner in the end: what removes comes last. */
const ROWS: { readonly [route: string]: Row } = {
  'GET /v1/messages/{id}': message,
  'GET /v1/messages/{id}/stream': message,
  'POST /v1/messages/{id}/cancel': message,
  'GET /v1/messages/{id}/media/{index}': { at: ({ message: id }) => `${id}/0`, absent: `${message.absent}/0` },
  'GET /v1/sessions/{id}': session,
  'GET /v1/sessions/{id}/messages': session,
  'POST /v1/sessions/{id}/reset': session,
  'GET /v1/models/{publisher}/{name}': { at: ({ declared }) => `openclaw/${declared}`, absent: 'openclaw/nobodys' },
  'GET /v1/agents/{id}': { at: ({ agent }) => agent, absent: `agent-${NONE}` },
  'PATCH /v1/agents/{id}': { at: ({ agent }) => agent, absent: `agent-${NONE}`, body: { description: 'other words' } },
  'POST /v1/agents/{id}/invoke': { at: ({ agent }) => agent, absent: `agent-${NONE}`, body: { input: 'hello' } },
  'GET /v1/channels/{name}': channel,
  'PATCH /v1/channels/{name}': { ...channel, body: { allow: ['eve'] } },
  'DELETE /v1/channels/{name}': channel,
  'POST /v1/channels/{name}/pause': channel,
  'POST /v1/channels/{name}/resume': channel,
  'POST /v1/channels/{name}/send': { ...channel, body: { to: { chat: 'ann' }, text: 'spam' } },
  'POST /v1/channels/{name}/link': { ...channel, body: {} },
  'GET /v1/channels/{name}/pairings': channel,
  'GET /v1/channels/{name}/grants': channel,
  'POST /v1/channels/{name}/pairings/{code}/approve': code('toApprove'),
  'DELETE /v1/channels/{name}/pairings/{code}': code('toDeny'),
  'DELETE /v1/channels/{name}/grants/{sender}': { at: ({ channel: name, grant }) => `${name}/${grant}`, absent: 'nobodys/nobody' },
  'GET /v1/deliveries/{id}': { at: ({ delivery }) => delivery, absent: `dlv-${NONE}` },
  'GET /v1/dead-letters/{id}': letter('toReplay'),
  'POST /v1/dead-letters/{id}/replay': { ...letter('toReplay'), body: { payload: 'other words' } },
  'DELETE /v1/dead-letters/{id}': letter('toDiscard'),
  'GET /v1/runs/{id}': runOf,
  'GET /v1/runs/{id}/logs': runOf,
  'GET /v1/runs/{id}/events': runOf,
  'POST /v1/runs/{id}/cancel': runOf,
  'GET /v1/webhooks/{id}': webhook,
  'PATCH /v1/webhooks/{id}': { ...webhook, body: { events: ['*'] } },
  'POST /v1/webhooks/{id}/rotate-secret': { ...webhook, body: {} },
  'GET /v1/webhooks/{id}/deliveries': webhook,
  'POST /v1/webhooks/{id}/recover': { ...webhook, body: { since: '2020-01-01T00:00:00Z' } },
  'POST /v1/webhooks/{id}/test': { ...webhook, body: {} },
  'GET /v1/webhook-deliveries/{id}': webhookDelivery,
  'POST /v1/webhook-deliveries/{id}/redeliver': webhookDelivery,
  'DELETE /v1/webhooks/{id}': webhook,
  'GET /v1/roles/{name}': { at: ({ role }) => role, absent: 'nobodys-role' },
  'PUT /v1/roles/{name}': { at: ({ role }) => role, absent: 'nobodys-role', body: { permissions: ['agents:read'] } },
  'DELETE /v1/roles/{name}': { at: ({ role }) => role, absent: 'nobodys-role' },
  'GET /v1/keys/{id}': key,
  'POST /v1/keys/{id}/rotate': { ...key, body: {} },
  'DELETE /v1/keys/{id}': key,
  'DELETE /v1/sessions/{id}': session,
  'DELETE /v1/agents/{id}': { at: ({ agent }) => agent, absent: `agent-${NONE}` },
}

/** Once more, of what stands in the configuration. */
const DECLARED: readonly (readonly [route: string, Row])[] = ['GET', 'PATCH', 'DELETE'].map((method) => {
  const body = method === 'PATCH' ? { body: { description: 'other words' } } : {}
  return [`${method} /v1/agents/{id}`, { at: ({ declared }) => declared, absent: 'nobodys', ...body }]
})

/** Names that a tenant chooses for itself: the same one is each tenant's own, so there is nothing foreign to name. */
const OWN_NAMES = '/v1/skills/{id}'

/** Lists, and what each must have of its owner. */
const LISTS: { readonly [path: string]: (things: Things) => string } = {
  '/v1/messages': ({ message: id }) => id,
  '/v1/sessions': ({ session: key }) => decodeURIComponent(key),
  '/v1/agents': ({ agent }) => agent,
  '/v1/channels': ({ channel: name }) => `"${name}"`,
  '/v1/dead-letters': ({ letters }) => letters.toReplay,
  '/v1/runs': ({ run }) => run,
  '/v1/skills': ({ mark }) => mark,
  '/v1/keys': ({ key: id }) => id,
  '/v1/roles': ({ role }) => role,
  '/v1/revocations': ({ mark }) => mark,
  '/v1/models': ({ declared }) => `openclaw/${declared}`,
  '/v1/webhooks': ({ webhook: id }) => id,
  '/v1/audit': ({ key }) => key,
  '/v1/audit/export': ({ key }) => key,
}

/** Without parameters: about the caller, about nobody, or tested by its own name below. */
const OTHERS: ReadonlySet<string> = new Set([
  'DELETE /v1/console/session',
  'DELETE /v1/limits',
  'DELETE /v1/routes',
  'GET /api/health',
  'GET /api/metrics',
  'GET /healthz',
  'GET /readyz',
  'GET /startupz',
  'GET /version',
  'GET /v1/audit/stream',
  'GET /v1/audit/verify',
  'GET /v1/config',
  'GET /v1/events/stream',
  'GET /v1/limits',
  'GET /v1/openapi.json',
  'GET /v1/routes',
  'GET /v1/skills/runtime',
  'GET /v1/whoami',
  'GET /v1/ws',
  'POST /v1/agents',
  'POST /v1/chat/completions',
  'POST /v1/console/session',
  'POST /v1/dead-letters/replay',
  'POST /v1/keys',
  'POST /v1/messages',
  'POST /v1/responses',
  'POST /v1/revocations',
  'POST /v1/roles',
  'POST /v1/routes/test',
  'POST /v1/skills',
  'POST /v1/skills/validate',
  'POST /v1/webhooks',
  'PUT /v1/limits',
  'PUT /v1/routes',
])

let world: World
before(async () => {
  world = await startWorld()
})
after(async () => world.stop())

const split = (route: string): readonly [method: string, path: string] => {
  const at = route.indexOf(' ')
  return [route.slice(0, at), route.slice(at + 1)]
}

/** The template with its parameters filled in, in their order. */
function pathOf(template: string, at: string): string {
  const values = at.split('/')
  return template.replaceAll(/\{\w+\}/g, () => values.shift() ?? assert.fail(`${template} has more parameters than ${at}`))
}

interface Fields {
  readonly [name: string]: string
}
/** What a request may be made conditional by, or repeated by: none of them tells more. */
const FIELDS: readonly Fields[] = [{}, { 'if-match': '*' }, { 'if-match': '"1"' }, { 'if-none-match': '*' }, { 'idempotency-key': 'one' }]

/** Status, header fields and body, without what differs from one request to the next, and without the names that were asked for. */
async function answerTo(
  who: Things,
  route: string,
  at: string,
  { body, headers }: { readonly body?: JsonValue | undefined; readonly headers?: Fields } = {},
): Promise<string> {
  const [method, template] = split(route)
  const response = await world.call(who, method, pathOf(template, at), body, headers)
  const changing = /^(date|x-request-id|content-length|ratelimit|x-ratelimit-)/
  const fields = [...response.headers].filter(([name]) => !changing.test(name))
  const id = response.headers.get('x-request-id') ?? ''
  let text = `${response.status} ${JSON.stringify(fields)} ${(await response.text()).replaceAll(id, '<request>')}`
  for (const part of at.split('/').filter((name) => name.length > 2)) text = text.replaceAll(decodeURIComponent(part), '<name>')
  return text
}

/** Everything that a tenant can read of its own. */
async function readAll(who: Things): Promise<string> {
  const routes = Object.keys(ROWS).filter((route) => route.startsWith('GET') && !/\/(stream|events)$/.test(route))
  const documents = await Promise.all(routes.map(async (route) => `${route} ${await answerTo(who, route, ROWS[route]?.at(who) ?? '')}`))
  documents.push(await answerTo(who, 'GET /v1/agents/{id}', who.declared))
  const lists = Object.keys(LISTS).filter((path) => !path.startsWith('/v1/audit'))
  const pages = await Promise.all(lists.map(async (path) => (await world.call(who, 'GET', path)).text()))
  // When something was last done by a channel changes with what the gateway does by itself.
  return [...documents, ...pages].join('\n').replaceAll(/"last_(sent|inbound|used)_at":("[^"]*"|null)/g, '')
}

async function routesOf(): Promise<readonly string[]> {
  const document = (await (await world.call(world.operator, 'GET', '/v1/openapi.json')).json()) as { paths: { [path: string]: JsonObject } }
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
}

describe('two tenants of one gateway', () => {
  test('there is no route that this test does not know', async () => {
    const known = (route: string): boolean =>
      Object.hasOwn(ROWS, route) ||
      OTHERS.has(route) ||
      split(route)[1].startsWith(OWN_NAMES) ||
      (route.startsWith('GET') && Object.hasOwn(LISTS, split(route)[1]))
    const routes = await routesOf()
    assert.deepEqual(
      routes.filter((route) => !known(route)),
      [],
      'Say in this file how it names what it is about, so that it is tried with what is another tenant’s.',
    )
    assert.deepEqual(
      Object.keys(ROWS).filter((route) => !routes.includes(route)),
      [],
    )
  })

  // First: the audit of who asks in vain has what they asked for.
  test('every list has all of one’s own and nothing of another’s', async () => {
    for (const [one, other] of [
      [world.acme, world.operator],
      [world.operator, world.acme],
    ] as const) {
      for (const [path, own] of Object.entries(LISTS)) {
        const response = await world.call(one, 'GET', path)
        const text = await response.text()
        assert.equal(response.status, 200, text)
        assert.ok(text.includes(own(one)), `${path} of ${one.tenant} lacks its own`)
        assert.ok(!text.includes(other.mark), `${path} of ${one.tenant} shows words of ${other.tenant}`)
        if (own(one) !== own(other)) assert.ok(!text.includes(own(other)), `${path} of ${one.tenant} shows what is ${other.tenant}'s`)
      }
    }
  })

  test("what is another's is answered as what is not there, and stays as it is", async () => {
    const { operator, acme } = world
    const untouched = [await readAll(operator), await readAll(acme)]
    for (const [route, { at, absent, body }] of [...Object.entries(ROWS), ...DECLARED]) {
      for (const [one, other] of [
        [acme, operator],
        [operator, acme],
      ] as const) {
        for (const headers of FIELDS) {
          const foreign = await answerTo(one, route, at(other), { body, headers })
          const what = `${route} of ${other.tenant}, asked by ${one.tenant} with ${JSON.stringify(headers)}`
          assert.equal(foreign, await answerTo(one, route, absent, { body, headers }), what)
          assert.match(foreign, /^404 /, what)
        }
      }
    }
    assert.deepEqual([await readAll(operator), await readAll(acme)], untouched)
  })

  test('whoever asks for many dead letters gets their own, whatever they name', async () => {
    const { operator, acme } = world
    const open = async (who: Things): Promise<string> => (await world.call(who, 'GET', '/v1/dead-letters?status=open')).text()
    const before = await open(operator)
    assert.match(before, /"id":"dl-/)
    const named = Object.values(operator.letters)
    const foreign = await world.call(acme, 'POST', '/v1/dead-letters/replay', { filter: { ids: named } })
    const { count, matched } = (await foreign.json()) as JsonObject
    assert.deepEqual([foreign.status, count, matched], [202, 0, 0])
    const all = await (await world.call(acme, 'POST', '/v1/dead-letters/replay', { dry_run: true })).text()
    assert.ok(acme.letters.toReplay !== '' && all.includes(acme.letters.toReplay))
    assert.ok(named.every((id) => !all.includes(id)))
    assert.equal(await open(operator), before)
  })

  test('what each names by itself is its own: skills of one id, agents of one name', async () => {
    const { operator, acme } = world
    for (const who of [operator, acme]) {
      const skill = await (await world.call(who, 'GET', '/v1/skills/greet')).text()
      assert.ok(skill.includes(who.mark))
      const agent = (await (await world.call(who, 'GET', '/v1/agents/helper')).json()) as JsonObject
      assert.deepEqual([agent['id'], agent['description']], [who.agent, who.mark])
    }
    assert.equal((await world.call(acme, 'GET', '/v1/agents/main')).status, 404)
    assert.equal((await world.call(operator, 'GET', '/v1/agents/seller')).status, 404)
    const named = await world.call(acme, 'POST', '/v1/messages', { payload: 'x', metadata: { agent_id: 'main' } })
    assert.equal(named.status, 404)
    // Taken away by one, it is still the other's.
    assert.equal((await world.call(acme, 'DELETE', '/v1/skills/greet')).status, 204)
    assert.equal((await world.call(acme, 'GET', '/v1/skills/greet')).status, 404)
    assert.equal((await world.call(operator, 'POST', '/v1/skills/greet/invoke', { input: {} })).status, 200)
  })

  test('principals of one name are two: neither keys, nor conversations, nor answers are shared', async () => {
    const { operator, acme } = world
    const [ours, theirs] = [
      { secret: await world.keyFor(operator, { name: 'ann', scopes: ['*'] }) },
      { secret: await world.keyFor(acme, { name: 'ann', scopes: ['*'] }) },
    ]
    const say = async (who: { readonly secret: string }, payload: string): Promise<JsonObject> => {
      const response = await world.call(who, 'POST', '/v1/messages?wait=20', { payload, idempotency_key: 'same' })
      assert.equal(response.status, 200)
      return (await response.json()) as JsonObject
    }
    const [first, second] = [await say(ours, 'of ours'), await say(theirs, 'of theirs')]
    assert.notEqual(first['message_id'], second['message_id'])
    assert.deepEqual([first['agent'], second['agent']], ['main', 'seller'])
    assert.notEqual(first['session'], second['session'])
    assert.equal((await say(ours, 'of ours'))['message_id'], first['message_id'])

    for (const [who, tenant] of [
      [ours, 'default'],
      [theirs, 'acme'],
    ] as const) {
      const kept = await world.call(who, 'POST', '/v1/keys', { name: 'ann', scopes: ['logs:read'] }, { 'idempotency-key': 'same' })
      assert.equal(kept.headers.get('idempotency-replayed'), null)
      assert.equal(((await kept.json()) as JsonObject)['tenant'], tenant)
    }

    const { host } = new URL(world.url)
    const sockets = [await SocketClient.open(host, ours.secret), await SocketClient.open(host, theirs.secret)] as const
    for (const socket of sockets) {
      socket.send({ type: 'subscribe', conversation: 'talk', since: 0 })
      await socket.next('subscribed')
    }
    sockets[0].send({ type: 'message', id: 'same', conversation: 'talk', payload: 'secret of ours' })
    assert.match(JSON.stringify(await sockets[0].next('reply')), /secret of ours/)
    sockets[1].send({ type: 'message', id: 'same', conversation: 'talk', payload: 'of theirs' })
    assert.equal((await sockets[1].next('ack'))['duplicate'], false)
    assert.match(JSON.stringify(await sockets[1].next('reply')), /of theirs/)
    const late = await SocketClient.open(host, theirs.secret)
    late.send({ type: 'subscribe', conversation: 'talk', since: 0 })
    await late.next('subscribed')
    for (const socket of [sockets[1], late]) {
      assert.equal(socket.of('reply').length, 1)
      assert.doesNotMatch(JSON.stringify(socket.frames), /secret of ours/)
    }
    for (const socket of [...sockets, late]) socket.socket.terminate()
  })

  test('events are told to those whom they concern, numbered by what these can see', async () => {
    for (const [one, other] of [
      [world.acme, world.operator],
      [world.operator, world.acme],
    ] as const) {
      const gone = new AbortController()
      const response = await fetch(`${world.url}/v1/events/stream`, {
        signal: AbortSignal.any([gone.signal, AbortSignal.timeout(20_000)]),
        headers: { authorization: `Bearer ${one.secret}`, 'last-event-id': '0' },
      })
      const said = `the last of ${one.tenant}`
      await world.call(other, 'POST', '/v1/messages?wait=20', { payload: `${other.mark} while ${one.tenant} listens` })
      await world.call(one, 'POST', '/v1/messages', { payload: said })
      let text = ''
      for await (const chunk of response.body ?? assert.fail()) {
        text += Buffer.from(chunk).toString()
        if (text.includes(`You said: ${said}`)) break
      }
      gone.abort()
      assert.ok(text.includes(one.message) && text.includes(one.mark))
      assert.ok(!text.includes(other.mark) && !text.includes(other.message) && !text.includes(`"${other.channel}"`))
      const ids = [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id))
      assert.deepEqual(
        ids,
        Array.from(ids, (_, at) => at + 1),
      )
    }
  })

  test('the audit is followed by whose it is', async () => {
    for (const [one, other] of [
      [world.acme, world.operator],
      [world.operator, world.acme],
    ] as const) {
      const gone = new AbortController()
      const response = await fetch(`${world.url}/v1/audit/stream`, {
        signal: AbortSignal.any([gone.signal, AbortSignal.timeout(20_000)]),
        headers: { authorization: `Bearer ${one.secret}`, 'last-event-id': '0' },
      })
      const last = `last-of-${one.tenant}`
      await world.call(other, 'DELETE', `/v1/roles/unheard-by-${one.tenant}`)
      await world.call(one, 'DELETE', `/v1/roles/${last}`)
      let text = ''
      for await (const chunk of response.body ?? assert.fail()) {
        text += Buffer.from(chunk).toString()
        if (text.includes(last)) break
      }
      gone.abort()
      const entries = [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as JsonObject)
      assert.ok(
        entries.some(({ action, object }) => action === 'keys.delete' && object === other.key),
        'what was asked for in vain',
      )
      assert.deepEqual([...new Set(entries.map(({ tenant }) => tenant))], [one.tenant])
      assert.ok(!text.includes(`unheard-by-${one.tenant}`))
    }
  })

  test('the gateway as a whole is the operator’s: metrics, shared channels, other tenants’ keys, what is wrong with it', async () => {
    const { operator, acme } = world
    const status = async (who: Pick<Things, 'secret'>, method: string, path: string, body?: JsonValue): Promise<[number, JsonValue]> => {
      const response = await world.call(who, method, path, body)
      const problem = response.headers.get('content-type') === 'application/problem+json' ? ((await response.json()) as JsonObject) : {}
      return [response.status, problem['code'] ?? null]
    }
    assert.deepEqual(await status(acme, 'GET', '/api/metrics'), [403, 'OPERATOR_ONLY'])
    assert.deepEqual(await status(operator, 'GET', '/api/metrics'), [200, null])
    const ofAll: readonly (readonly [string, string, JsonValue?])[] = [
      ['GET', '/v1/config'],
      ['GET', '/v1/routes'],
      ['PUT', '/v1/routes', { rules: [] }],
      ['DELETE', '/v1/routes'],
      ['POST', '/v1/routes/test', { channel: 'http' }],
      ['GET', '/v1/limits'],
      ['PUT', '/v1/limits', { per_ip: 1 }],
      ['DELETE', '/v1/limits'],
    ]
    for (const [method, path, body] of ofAll) assert.deepEqual(await status(acme, method, path, body), [403, 'OPERATOR_ONLY'], path)
    assert.deepEqual(await status(operator, 'GET', '/v1/config'), [200, null])
    for (const verb of ['pause', 'resume'])
      assert.deepEqual(await status(acme, 'POST', `/v1/channels/http/${verb}`), [403, 'OPERATOR_ONLY'], 'all tenants share it')
    const shared = (await (await world.call(acme, 'GET', '/v1/channels/http')).json()) as JsonObject
    assert.deepEqual([shared['state'], shared['last_inbound_at']], ['open', null])

    const key = { name: 'x', scopes: ['channels:read'] }
    for (const tenant of ['default', 'other'])
      assert.deepEqual(await status(acme, 'POST', '/v1/keys', { ...key, tenant }), [403, 'OPERATOR_ONLY'])
    const deputy = { secret: await world.keyFor(operator, { name: 'deputy', scopes: ['keys:write', 'channels:read'] }) }
    assert.deepEqual(await status(deputy, 'POST', '/v1/keys', { ...key, name: 'deputy', tenant: 'acme' }), [403, 'OPERATOR_ONLY'])
    assert.deepEqual(await status(acme, 'POST', '/v1/keys', { ...key, tenant: 'acme' }), [201, null])
    assert.deepEqual(await status(operator, 'POST', '/v1/keys', { ...key, tenant: 'No Tenant' }), [422, 'SCHEMA_VIOLATION'])

    for (const path of ['/healthz', '/readyz', '/api/health']) {
      assert.deepEqual(await (await world.call(acme, 'GET', path)).json(), { status: 'ok' })
      assert.match(await (await world.call(operator, 'GET', path)).text(), /"till"/)
    }
    const reports = async (who: Things): Promise<string> => (await world.call(who, 'GET', '/v1/skills/runtime')).text()
    assert.doesNotMatch((await reports(acme)).replaceAll('"facts":{}', ''), /"facts"/)
    const whose = async (who: Things): Promise<JsonValue> =>
      ((await (await world.call(who, 'GET', '/v1/audit/verify')).json()) as JsonObject)['tenant'] ?? null
    assert.deepEqual([await whose(operator), await whose(acme)], ['default', 'acme'])
  })

  test('each does with its own what the other could not', async () => {
    const { acme } = world
    for (const [route, { at, body }] of Object.entries(ROWS)) {
      const answer = await answerTo(acme, route, at(acme), { body })
      assert.doesNotMatch(answer, /^(404|5\d\d) /, `${route}: ${answer}`)
    }
  })
})
