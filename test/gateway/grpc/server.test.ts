/** The gRPC server over a hub of doubles: skills, errors of every kind, calls that are given up, readers that do not read, and the end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { ConflictError, UnavailableError, asRunId } from '#contract'
import type { DialogueLine, Route, SkillErrorCode, SkillOutcome } from '#contract'
import { GrpcServer } from '../../../gateway/grpc/server.ts'
import type { GrpcServerOptions } from '../../../gateway/grpc/server.ts'
import { Hub, echoRoute, startServer } from '../http/double.ts'
import { clientOf, endOf, readAll, refusalOf, refused, struct, value } from './client.ts'
import type { Client, Message } from './client.ts'
import { GrpcReflection } from './reflection.ts'
import { eventually } from '../../support/eventually.ts'

interface World {
  readonly hub: Hub
  readonly client: Client
  readonly grpc: GrpcServer
  readonly stopHttp: () => Promise<void>
}

async function start(
  t: TestContext,
  { hub = new Hub(), routes, ...change }: Partial<GrpcServerOptions> & { readonly hub?: Hub; readonly routes?: readonly Route[] } = {},
): Promise<World> {
  const { server, key } = await startServer(t, { hub, ...(routes !== undefined && { routes }) })
  const grpc = new GrpcServer({
    host: '127.0.0.1',
    port: 0,
    insecure: false,
    maxMessageBytes: 1_048_576,
    calls: server.calls,
    dialogue: null,
    clock: hub.clock,
    log: hub.log,
    metrics: hub.metrics,
    ...change,
  })
  await grpc.start()
  const client = clientOf(grpc.address, key)
  t.after(async () => {
    client.service.close()
    const stopped = grpc.stop()
    hub.clock.advance(60_000)
    await stopped
  })
  return { hub, client, grpc, stopHttp: () => server.stop() }
}

/** A row of the table whose handler a test holds. */
const rowWith = (handle: Route['handle']): readonly Route[] => [echoRoute({ handle })]

function skills(outcome: SkillOutcome): Hub {
  const hub = new Hub()
  hub.skills.runs = { ...hub.skills.runs, invoke: async () => ({ id: asRunId('run-1'), outcome, version: '1.2.0' }) }
  return hub
}

test('a skill is run, and its answer comes as it is', async (t) => {
  const outcome = { status: 'ok', output: { sum: [1, null, 'x'] }, times: { queueMs: 1, startMs: 2, runMs: 3 } } as const
  const { client } = await start(t, { hub: skills(outcome) })
  const { reply } = await client.ask('InvokeSkill', { skill: 'adder', input: value({ a: 1 }), version: '^1', timeout_ms: 50 })
  assert.deepEqual([reply['run_id'], reply['skill'], reply['version']], ['run-1', 'adder', '1.2.0'])
  assert.deepEqual(unlisted(reply['output']), unlisted(struct({ sum: [1, null, 'x'] })))
})

test('how a skill failed is told by status, code and problem', async (t) => {
  const expected: readonly (readonly [SkillErrorCode, string])[] = [
    ['timeout', 'DEADLINE_EXCEEDED'],
    ['not_found', 'NOT_FOUND'],
    ['invalid_input', 'INVALID_ARGUMENT'],
  ]
  for (const [code, status] of expected) {
    const { client } = await start(t, { hub: skills({ status: 'error', code, message: 'It went wrong.' }) })
    const refusal = await refused(client.ask('InvokeSkill', { skill: 'adder', input: value({}) }))
    assert.equal(refusal.status, status, code)
    assert.equal(refusal.problem['detail'], refusal.details)
    assert.equal(refusal.problem['code'], refusal.code)
  }
})

test('a skill is asked once by its key, from the metadata or from the message, and not by two', async (t) => {
  const keys: unknown[] = []
  const hub = skills({ status: 'ok', output: null, times: { queueMs: 0, startMs: 0, runMs: 0 } })
  const { runs } = hub.skills
  hub.skills.runs = {
    ...runs,
    invoke: (invocation, options) => {
      keys.push(invocation.key)
      return runs.invoke(invocation, options)
    },
  }
  const { client } = await start(t, { hub })
  const metadata = client.meta({ 'idempotency-key': 'a' })
  await client.ask('InvokeSkill', { skill: 'adder' }, { metadata })
  await client.ask('InvokeSkill', { skill: 'adder', idempotency_key: 'b' })
  assert.deepEqual(keys, ['a', 'b'])
  const both = await refused(client.ask('InvokeSkill', { skill: 'adder', idempotency_key: 'b' }, { metadata }))
  assert.equal(both.code, 'IDEMPOTENCY_KEY_MISMATCH')
})

test('errors of the table are statuses of the same meaning, and say when to come back', async (t) => {
  let thrown: Error = new Error('a bug with a secret in it')
  const { client } = await start(t, { routes: rowWith(() => Promise.reject(thrown)) })
  const publish = (): ReturnType<typeof refused> => refused(client.ask('Publish', { payload: { text: 'x' } }))
  const bug = await publish()
  assert.deepEqual([bug.status, bug.code], ['INTERNAL', 'INTERNAL'])
  assert.ok(!JSON.stringify([bug.details, bug.problem]).includes('secret'))
  thrown = new ConflictError('It is there already.', { code: 'STEP_OVER' })
  assert.equal((await publish()).status, 'ALREADY_EXISTS')
  thrown = new UnavailableError('Not now.', { code: 'STORE_LOCKED', retryAfterMs: 7_000 })
  const late = await publish()
  assert.equal(late.status, 'UNAVAILABLE')
  assert.deepEqual(late.metadata.get('retry-after'), ['7'])
  thrown = new ConflictError('The platform said hunter22.', { code: 'STEP_OVER' })
  const telling = await publish()
  assert.equal(telling.details, 'The platform said ***.')
  assert.doesNotMatch(JSON.stringify([telling.problem, telling.metadata.toJSON()]), /hunter22/)
})

test('a call that is given up, or too late, is told to whoever works on it', async (t) => {
  const begun: (() => void)[] = []
  const gone: (() => void)[] = []
  const { client } = await start(t, {
    routes: rowWith(async ({ signal }) => {
      begun.shift()?.()
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      gone.shift()?.()
      return { status: 202, body: {} }
    }),
  })
  const [isBegun, isGone, isLate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  begun.push(isBegun.resolve)
  gone.push(isGone.resolve, isLate.resolve)
  let cancel = (): void => undefined
  const asking = refused(client.ask('Publish', { payload: { text: 'x' } }, { began: (call) => (cancel = () => call.cancel()) }))
  await isBegun.promise
  cancel()
  await isGone.promise
  assert.equal((await asking).status, 'CANCELLED')
  const late = await refused(client.ask('Publish', { payload: { text: 'x' } }, { deadline: 300 }))
  assert.equal(late.status, 'DEADLINE_EXCEEDED')
  await isLate.promise
})

test('a request is counted and logged as its row', async (t) => {
  const { hub, client } = await start(t)
  await client.ask('Publish', { payload: { text: 'x' } })
  assert.equal(hub.metrics.value('http_requests_total GRPC 202'), 1)
})

test('a subscriber who does not read is dropped, and nobody else', async (t) => {
  const { hub, client } = await start(t)
  const slow = client.service.Subscribe({}, client.meta())
  await new Promise<void>((resolve) => slow.once('metadata', () => resolve()))
  assert.equal(hub.feed.listeners, 1)
  const name = 'x'.repeat(10_000)
  const over = new Promise<ReturnType<typeof refusalOf>>((resolve) => slow.once('error', (error: unknown) => resolve(refusalOf(error))))
  for (let n = 0; n < 400; n++) hub.feed.publish({ type: 'event', tenant: 'default', name, data: {} })
  await until(() => hub.feed.listeners === 0)
  slow.resume()
  const end = await over
  assert.deepEqual([end.status, end.code], ['UNAVAILABLE', 'READER_TOO_SLOW'])
})

test('no more conversations are read than may be handed in, and what the channel ends is ended', async (t) => {
  const heard: unknown[] = []
  const held = { isBusy: false }
  let line: DialogueLine | null = null
  const { client } = await start(t, {
    dialogue: {
      permission: 'messages:write',
      open: (_principal, given) => {
        line = given
        return {
          get isBusy() {
            return held.isBusy
          },
          hear: (frame) => {
            heard.push(frame)
            held.isBusy = true
            given.send({ type: 'pong' })
          },
          settle: async () => undefined,
          end: () => undefined,
        }
      },
    },
  })
  const stream = client.service.Chat(client.meta())
  const frames = readAll(stream)
  await frames.next()
  for (let n = 0; n < 50; n++) stream.write({ subscribe: { conversation: `c${n}`, since: n } })
  await frames.next()
  await client.ask('Publish', { payload: { text: 'a round trip' } })
  const before = heard.length
  assert.ok(before < 50, `${before} were read`)
  assert.deepEqual(heard[0], { type: 'subscribe', conversation: 'c0', since: 0 })
  const open = line as DialogueLine | null
  held.isBusy = false
  open?.answered()
  await frames.next()
  assert.ok(heard.length > before)
  open?.close('enough')
  const end = await endOf(stream)
  assert.deepEqual([end.status, end.code], ['UNAVAILABLE', 'CHANNEL_CLOSED'])
})

test('without a channel that holds conversations there is no chat', async (t) => {
  const { client } = await start(t)
  assert.equal((await endOf(client.service.Chat(client.meta()))).status, 'NOT_FOUND')
})

test('an end: what is answered is answered, streams are told, health says so first', async (t) => {
  const answer = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const { hub, client, grpc, stopHttp } = await start(t, {
    routes: rowWith(async () => {
      begun.resolve()
      await answer.promise
      return { status: 202, body: { message_id: 'msg-1', status: 'queued' } }
    }),
  })
  const reflection = new GrpcReflection(grpc.address)
  t.after(() => reflection.close())
  assert.equal(await reflection.health(''), 'SERVING')
  const stream = client.service.Subscribe({}, client.meta())
  await new Promise<void>((resolve) => stream.once('metadata', () => resolve()))
  const asking = client.ask('Publish', { payload: { text: 'x' } })
  await begun.promise
  const stopped = grpc.stop()
  const http = stopHttp()
  const end = await endOf(stream)
  assert.deepEqual([end.status, end.code], ['UNAVAILABLE', 'DRAINING'])
  answer.resolve()
  assert.equal((await asking).reply['message_id'], 'msg-1')
  hub.clock.advance(10_000)
  await Promise.all([stopped, http])
})

test('what hangs at the end is cut when the time is up', async (t) => {
  const begun = Promise.withResolvers<void>()
  const { hub, client, grpc } = await start(t, {
    routes: rowWith(async () => {
      begun.resolve()
      return new Promise(() => undefined)
    }),
  })
  const asking = refused(client.ask('Publish', { payload: { text: 'x' } }))
  await begun.promise
  const stopped = grpc.stop()
  hub.clock.advance(5_000)
  await stopped
  assert.match((await asking).status, /UNAVAILABLE|CANCELLED|INTERNAL/)
})

test('beyond loopback it does not listen unencrypted unless somebody said so', async () => {
  const hub = new Hub()
  const grpc = new GrpcServer({
    host: '0.0.0.0',
    port: 0,
    insecure: false,
    maxMessageBytes: 1_000,
    // Nothing is called before it listens.
    calls: null as never,
    dialogue: null,
    clock: hub.clock,
    log: hub.log,
    metrics: hub.metrics,
  })
  await assert.rejects(grpc.start(), { code: 'LISTEN_INSECURE' })
})

test('a port that is taken is told by name', async (t) => {
  const { grpc, hub } = await start(t)
  const options = { host: '127.0.0.1', insecure: false, maxMessageBytes: 1_000, calls: null as never, dialogue: null }
  const second = new GrpcServer({
    ...options,
    port: Number(grpc.address.split(':')[1]),
    clock: hub.clock,
    log: hub.log,
    metrics: hub.metrics,
  })
  await assert.rejects(second.start(), { code: 'LISTEN_FAILED', message: /grpc\.port/ })
})

const until = (claim: () => boolean): Promise<void> => eventually(claim, 'what is waited for')

/** Values without the names of their kinds, which one side adds and the other does not. */
function unlisted(given: unknown): unknown {
  const text = JSON.stringify(given, (name, member: Message) => (name === 'kind' || name === 'nullValue' ? undefined : member))
  return JSON.parse(text.replaceAll('"structValue":', '"s":').replace(/^\{"s":(.*)\}$/, '$1')) as unknown
}
