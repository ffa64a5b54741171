/**
 * The real gateway with models that misbehave in every way we know: each message ends done with the right words, or dead with a reason that
 * says why and a letter that keeps it. One gateway, one agent and one provider a case, so that no case disturbs another.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { FakeOpenAI } from '../fakes/openai.ts'
import type { Line } from '../fakes/openai.ts'
import { readEvents } from '../gateway/http/events.ts'
import type { ReadEvent } from '../gateway/http/events.ts'
import { ended, everyMessage, metric, post } from '../support/conversation.ts'
import type { MessageDocument } from '../support/conversation.ts'
import { startGateway } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'

const KEY = 'sk-model-key-for-faults'
const ALWAYS = /(?:)/
const AT_ONCE = { concurrency: true, timeout: 60_000 }
/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:1/v1'

/** One agent a name; the script of its model, and of the model it falls back to. */
const SCRIPTS = {
  hangs: [],
  'hangs once': [{ do: 'hang' }],
  'asks for patience': [{ do: 'status', status: 429, headers: { 'retry-after': '1' } }],
  'asks for much patience': [{ do: 'status', status: 429, headers: { 'retry-after': '3' } }],
  'fails thrice': [500, 503, 500].map((status) => ({ do: 'status', status }) as const),
  'sends garbage': [{ do: 'malformed' }, { do: 'status', status: 200, body: { hello: 1 } }],
  'sends a page': [{ do: 'status', status: 200, body: '<html>', headers: { 'content-type': 'text/html' } }],
  'breaks off': [{ do: 'hold', line: { do: 'truncate', text: 'wrong beginning', hard: true } }],
  'ends too early': [{ do: 'hold', line: { do: 'truncate', text: 'wrong beginning' } }],
  stalls: [{ do: 'hold', line: { do: 'stall', text: 'wrong beginning' } }],
  'reports an error': [{ do: 'hold', line: { do: 'break', text: 'wrong beginning', error: { type: 'server_error' } } }],
  'writes wrong arguments': [
    {
      do: 'calls',
      calls: [
        { name: 'echo', arguments: '{"text": ' },
        { name: 'echo', arguments: '{"text": 1}' },
        { name: 'nothing', arguments: '{}' },
        { name: 'echo', arguments: '{"text": "heard"}' },
      ],
    },
    { do: 'text', text: 'mended' },
  ],
  'never stops calling': [],
  'refuses the key': [],
  'refuses the request': [],
  'is down': [],
  'has a second': [],
  'has a second for the rest': [],
} satisfies { readonly [name: string]: readonly Line[] }
type Name = keyof typeof SCRIPTS

const models = new Map<string, FakeOpenAI>()
const endings: (() => Promise<void>)[] = []
let gateway: GatewayProcess

const idOf = (name: string): string => name.replaceAll(' ', '-')
const modelOf = (name: string): FakeOpenAI => models.get(name) ?? assert.fail(name)

before(async () => {
  const providers: { [name: string]: object } = {}
  const agents: { [name: string]: object } = {}
  for (const [name, script] of Object.entries({ ...SCRIPTS, second: [] })) {
    const model = new FakeOpenAI(...script)
    models.set(name, model)
    const baseUrl = await model.start()
    providers[idOf(name)] = { base_url: name === 'is down' ? NOWHERE : baseUrl, api: 'chat', api_key: KEY }
    const fallback = name.startsWith('has a second') ? ['second/m'] : []
    if (name !== 'second') agents[idOf(name)] = { model: `${idOf(name)}/m`, fallback, limits: { max_steps: 3 } }
  }
  const status = (code: number): Line => ({ do: 'status', status: code, body: { error: { message: `about ${KEY}`, type: 'told' } } })
  modelOf('hangs').when(ALWAYS, { do: 'hang' })
  modelOf('never stops calling').when(ALWAYS, { do: 'calls', calls: [{ name: 'echo', arguments: '{"text":"again"}' }] })
  modelOf('refuses the key').when(ALWAYS, status(401))
  modelOf('refuses the request').when(ALWAYS, status(400))
  modelOf('has a second').when(ALWAYS, status(500))
  modelOf('has a second for the rest').when(/rest/, { do: 'hold', line: { do: 'truncate', text: 'wrong beginning', hard: true } })
  const llm = { providers, defaults: { timeout: '700ms', total_timeout: '2500ms', max_retries: 1 } }
  const turns = { attempts: 2, base: '100ms', cap: '200ms' }
  gateway = await startGateway({ after: (run) => void endings.push(run) }, { config: { llm, agents, turns } })
})
after(async () => {
  for (const end of endings) await end()
  for (const model of models.values()) await model.stop()
})

async function sayTo(name: Name, payload = 'hello'): Promise<string> {
  const answer = await post(gateway, '/v1/messages', { payload, agent_id: idOf(name), metadata: { user_id: idOf(name) } })
  assert.equal(answer.status, 202)
  return ((await answer.json()) as MessageDocument).message_id
}

const outcomeOf = async (name: Name): Promise<MessageDocument> => ended(gateway, await sayTo(name))

async function answered(name: Name, text = 're: hello'): Promise<MessageDocument> {
  const document = await outcomeOf(name)
  assert.deepEqual([document.status, document.replies.map((reply) => reply.text)], ['done', [text]], JSON.stringify(document.reason))
  return document
}

async function died(name: Name, code: string, told: RegExp): Promise<MessageDocument> {
  const document = await outcomeOf(name)
  assert.deepEqual([document.status, document.reason?.code, document.replies.length], ['dead', code, 0])
  assert.match(document.reason?.message ?? '', told)
  assert.doesNotMatch(JSON.stringify(document), new RegExp(KEY), 'no key in what people are told')
  const letters = (await (await gateway.fetch(`/v1/dead-letters?reason=${code}`)).json()) as { data: readonly { ref: string }[] }
  assert.ok(
    letters.data.some(({ ref }) => ref === document.message_id),
    'a letter keeps it',
  )
  return document
}

/** Milliseconds between the first two requests. */
const gapMs = ({ receivedAt: [first = 0, second = 0] }: FakeOpenAI): number => second - first

describe('a model that', AT_ONCE, () => {
  test('hangs is given up by its timeout, and so is the message, with the reason', async () => {
    const { attempts } = await died('hangs', 'MODEL_UNAVAILABLE', /hangs\/m said nothing more within \d+ ms/)
    assert.equal(attempts, 2)
    // Two attempts of the turn, each with one more of the call.
    assert.equal(modelOf('hangs').requests.length, 4)
    assert.equal(modelOf('hangs').cutByClient, 4)
  })

  test('hangs once is asked again, with the same idempotency key', async () => {
    assert.equal((await answered('hangs once')).attempts, 1)
    const keys = modelOf('hangs once').requests.map(({ headers }) => headers['idempotency-key'])
    assert.deepEqual([keys.length, new Set(keys).size], [2, 1])
  })

  test('answers 429 with Retry-After is left alone so long, and asked again', async () => {
    assert.equal((await answered('asks for patience')).attempts, 1)
    const gap = gapMs(modelOf('asks for patience'))
    assert.ok(gap >= 1_000 && gap < 20_000, `${gap} ms`)
  })

  test('asks for more patience than a call may take has the turn wait for it', async () => {
    assert.equal((await answered('asks for much patience')).attempts, 2)
    const gap = gapMs(modelOf('asks for much patience'))
    assert.ok(gap >= 3_000 && gap < 30_000, `${gap} ms`)
  })

  test('answers 500 a few times is asked until it can', async () => {
    assert.equal((await answered('fails thrice')).attempts, 2)
    assert.equal(modelOf('fails thrice').requests.length, 4)
  })

  test('sends what is no answer is asked again', async () => {
    await answered('sends garbage')
    await answered('sends a page')
  })

  test('writes wrong arguments is told so, and what was right is done', async () => {
    await answered('writes wrong arguments', 'mended')
    const [, second] = modelOf('writes wrong arguments').requests
    const messages = (second?.body['messages'] ?? []) as readonly { role: string; content: string; tool_call_id?: string }[]
    const told = messages.filter(({ role }) => role === 'tool')
    const of = (call: string): string => told.find(({ tool_call_id: id }) => id === call)?.content ?? ''
    assert.match(of('call_0'), /invalid_input.*not valid JSON/)
    assert.match(of('call_1'), /invalid_input/)
    assert.match(of('call_2'), /not_found.*nothing/)
    assert.match(of('call_3'), /heard/)
    assert.equal(told.length, 4)
  })

  test('never stops calling is stopped after the steps it may take', async () => {
    const { replies } = await ended(gateway, await sayTo('never stops calling'))
    assert.match(replies[0]?.text ?? '', /more steps than I am allowed/)
    assert.equal(modelOf('never stops calling').requests.length, 3)
  })

  test('refuses for good is not asked again', async () => {
    await died('refuses the key', 'MODEL_AUTH_REJECTED', /refuses-the-key\/m answered 401.*Check the api_key/)
    await died('refuses the request', 'MODEL_REJECTED', /answered 400/)
    assert.equal(modelOf('refuses the key').requests.length + modelOf('refuses the request').requests.length, 2)
  })

  test('is down is named, with what was tried', async () => {
    await died('is down', 'MODEL_UNAVAILABLE', /is-down\/m could not be reached \(ECONNREFUSED\)/)
  })

  test('fails for good has a second that answers, and is told to have done so', async () => {
    const { steps, attempts } = await answered('has a second')
    assert.deepEqual([attempts, steps.map(({ name }) => name)], [1, ['second/m']])
  })
})

/** Watches a message whose model holds its first answer until it is watched. */
async function watched(name: Name, payload?: string): Promise<readonly ReadEvent[]> {
  const model = modelOf(name)
  const id = await sayTo(name, payload)
  await model.received(1)
  const events: ReadEvent[] = []
  for await (const event of readEvents(await gateway.fetch(`/v1/messages/${id}/stream`))) {
    if (events.length === 0) model.release()
    events.push(event)
    // The second of a chain is tried after one more held answer.
    if (event.event === 'delta' && (event.data as { text: string | null }).text === null) void model.received(2).then(() => model.release())
  }
  return events
}

describe('whoever watches sees the wrong beginning taken back, and then the right words, when the model', AT_ONCE, () => {
  const cases: readonly (readonly [Name, string])[] = [
    ['breaks off', 'hello'],
    ['ends too early', 'hello'],
    ['stalls', 'hello'],
    ['reports an error', 'hello'],
    ['has a second for the rest', 'the rest'],
  ]
  for (const [name, payload] of cases) {
    test(name, async () => {
      const events = await watched(name, payload)
      const told = events.flatMap(({ event, data }) => (event === 'delta' ? [(data as { text: string | null }).text] : []))
      const voidAt = told.lastIndexOf(null)
      assert.ok(told.slice(0, voidAt).join('').startsWith('wrong beginning'), JSON.stringify(told))
      assert.equal(told.slice(voidAt + 1).join(''), `re: ${payload}`)
      const replies = events.filter(({ event }) => event === 'reply').map(({ data }) => (data as { text: string }).text)
      assert.deepEqual(replies, [`re: ${payload}`])
      assert.deepEqual(events.at(-1), { event: 'end', data: { status: 'done' } })
    })
  }
})

test('afterwards every message has ended, and the ledger and the letters agree', async () => {
  const all = await everyMessage(gateway)
  const dead = all.filter(({ status }) => status === 'dead').length
  assert.ok(all.every(({ status, reason }) => status === 'done' || (status === 'dead' && reason !== null)))
  assert.equal(await metric(gateway, 'queue_depth'), 0)
  assert.equal(await metric(gateway, 'openclaw_dead_letters'), dead)
  assert.doesNotMatch(gateway.output(), new RegExp(KEY), 'no key in the log')
})
