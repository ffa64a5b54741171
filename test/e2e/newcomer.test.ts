/**
 * What the README promises to somebody who has just started it, against the real gateway and the real command: its own examples are taken out of
 * it and run as they stand, but for the port.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readEvents } from '../gateway/http/events.ts'
import { startChild } from '../support/child.ts'
import { answerTo, ended, metric, post, say } from '../support/conversation.ts'
import type { MessageDocument } from '../support/conversation.ts'
import { startGateway, temporaryFolder } from '../support/gateway-process.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { SocketClient } from '../support/socket-client.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const HERE = 'http://127.0.0.1:8400'

/** The fenced example that holds these words. */
function example(words: string): string {
  const blocks = [...README.matchAll(/^```\w*\n([^]*?)^```$/gm)].map(([, block = '']) => block)
  return blocks.find((block) => block.includes(words)) ?? assert.fail(`the README has no example with ${words}`)
}

const endings: (() => Promise<void>)[] = []
let gateway: GatewayProcess
before(async () => {
  gateway = await startGateway({ after: (run) => void endings.push(run) })
})
after(async () => {
  for (const end of endings) await end()
})

interface Run {
  readonly code: number | null
  readonly output: string
}

async function openclaw(args: readonly string[], { dir = gateway.dir, input }: { dir?: string; input?: string } = {}): Promise<Run> {
  const env = { PATH: process.env['PATH'], OPENCLAW_DIR: dir }
  const child = startChild([join(ROOT, 'cli', 'openclaw.ts'), ...args], { env, cwd: dir, ...(input !== undefined && { input }) })
  const { code } = await child.ended
  return { code, output: child.output() }
}

async function openclawJson<Document>(args: readonly string[], dir?: string): Promise<Document> {
  const { code, output } = await openclaw([...args, '--json'], dir === undefined ? {} : { dir })
  assert.equal(code, 0, `${args.join(' ')}: ${output}`)
  return JSON.parse(output) as Document
}

describe('the first start', () => {
  test('says in one block where it listens, where the data is, who answers and how to chat', () => {
    const block = gateway.output()
    assert.ok(block.includes(gateway.url) && block.includes(join(gateway.dir, 'sessions.db')), block)
    assert.match(block, /builtin/)
    assert.match(block, /#code=/)
    assert.ok(gateway.readyAt - gateway.spawnedAt < 10_000)
  })

  test('makes a key for this user alone and shows it nowhere', async () => {
    assert.equal(statSync(join(gateway.dir, '.openclaw', 'admin.key')).mode & 0o777, 0o600)
    assert.equal(statSync(join(gateway.dir, '.openclaw')).mode & 0o777, 0o700)
    assert.equal(statSync(join(gateway.dir, 'sessions.db')).mode & 0o777, 0o600)
    assert.equal((await fetch(`${gateway.url}/v1/messages`)).status, 401)
    assert.equal((await gateway.fetch('/v1/whoami')).status, 200)
    assert.ok(!gateway.output().includes(gateway.key))
  })

  test('prints a link whose code signs one page in, once', async () => {
    const [, code] = /#code=([\w-]+)/.exec(gateway.output()) ?? []
    const signIn = (): Promise<Response> =>
      fetch(`${gateway.url}/v1/console/session`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: gateway.url },
        body: JSON.stringify({ code }),
      })
    const first = await signIn()
    assert.equal(first.status, 204)
    assert.match(first.headers.get('set-cookie') ?? '', /HttpOnly/i)
    assert.equal((await signIn()).status, 401)
    const page = await (await fetch(gateway.url)).text()
    assert.match(page, /<!doctype html>/i)
  })
})

describe('over HTTP', () => {
  const forms: readonly (readonly [name: string, body: { readonly [member: string]: unknown }])[] = [
    ['channel, payload and metadata', { channel_id: 'whatsapp', payload: 'Hello agent', metadata: { user_id: '123', session_id: 'abc' } }],
    ['topic, payload and key', { topic: 'events', payload: { data: 'hello' } }],
    ['the other names', { channel: 'telegram', content: 'Hello agent' }],
    ['text as an object', { payload: { text: 'Hello agent' } }],
    ['bytes', { payload: { binary: Buffer.from('hello').toString('base64'), media_type: 'text/plain' } }],
  ]
  for (const path of ['/v1/messages', '/api/v1/messages', '/messages']) {
    test(`POST ${path} takes every form, and waits if it is asked to`, async () => {
      for (const [name, form] of forms) {
        const body = { ...form, idempotency_key: `${path} ${name}` }
        const accepted = await post(gateway, path, body)
        assert.equal(accepted.status, 202, `${name}: ${await accepted.clone().text()}`)
        const { message_id: id, status } = (await accepted.json()) as MessageDocument
        assert.match(id, /^msg-/)
        assert.equal(status, 'queued')
        const again = await post(gateway, `${path}?wait=10`, body)
        assert.deepEqual([again.status, again.headers.get('idempotency-replayed')], [200, 'true'], name)
        const document = (await again.json()) as MessageDocument
        assert.deepEqual([document.message_id, document.status, document.replies.length], [id, 'done', 1], name)
      }
    })
  }

  test('unknown members are refused with their place and the name that was meant', async () => {
    const refused = await post(gateway, '/v1/messages', { paylod: 'x' })
    assert.equal(refused.status, 422)
    assert.match(await refused.text(), /#\/paylod.*Did you mean \\"payload\\"/)
  })

  test('a message can be followed as it is answered, also when it is over', async () => {
    const id = await say(gateway, 'follow me')
    for (let time = 0; time < 2; time++) {
      const events = []
      for await (const event of readEvents(await gateway.fetch(`/v1/messages/${id}/stream`))) events.push(event)
      assert.deepEqual(
        events.slice(-2).map(({ event, data }) => [event, (data as { text?: string; status?: string }).text ?? 'done']),
        [
          ['reply', 'You said: follow me'],
          ['end', 'done'],
        ],
      )
    }
  })

  test('an agent can be asked directly', async () => {
    const answer = await post(gateway, '/v1/agents/assistant/invoke', { input: 'directly', context: {} })
    assert.equal(((await answer.json()) as { output: string }).output, 'You said: directly')
  })

  test('the example for curl works', { skip: spawnSync('curl', ['--version']).status === 0 ? false : 'there is no curl' }, () => {
    const script = example('curl').replaceAll(HERE, gateway.url)
    const { stdout } = spawnSync('sh', ['-ec', script], { cwd: gateway.dir, encoding: 'utf8', timeout: 20_000 })
    const document = JSON.parse(stdout) as MessageDocument & { channel_id: string; sender_id: string }
    assert.deepEqual([document.status, document.channel_id, document.sender_id], ['done', 'demo', 'ann'])
    assert.match(document.replies[0]?.text ?? '', /^Hello!.*Hello agent$/)
  })

  test('every route of the example addresses is in the published description', async () => {
    const api = (await (await gateway.fetch('/v1/openapi.json')).json()) as { readonly openapi: string; readonly paths: object }
    assert.match(api.openapi, /^3\.1\./)
    for (const path of ['/v1/messages', '/v1/messages/{id}', '/v1/messages/{id}/stream', '/v1/dead-letters/{id}/replay', '/healthz']) {
      assert.ok(path in api.paths, path)
    }
  })
})

describe('over WebSocket', () => {
  test('the example works', async (context) => {
    const script = example('new WebSocket').replaceAll(HERE.replace('http', 'ws'), gateway.url.replace('http', 'ws'))
    const child = startChild(['--input-type=module', '--eval', script], { cwd: gateway.dir })
    context.after(async () => void (await child.kill9()))
    const [, text] = await child.said(/^\d+ (.+)$/m, 15_000)
    assert.match(text ?? '', /Hello agent/)
  })

  test('the same id is the same message, and a reply is replayed to whoever was away', async () => {
    const { host } = new URL(gateway.url)
    const first = await SocketClient.open(host, gateway.key)
    first.send({ type: 'message', id: 'one', conversation: 'away', payload: 'hello there' })
    const ack = await first.next('ack')
    const reply = await first.next('reply')
    await first.close()
    const second = await SocketClient.open(host, gateway.key)
    second.send({ type: 'subscribe', conversation: 'away', since: 0 })
    assert.deepEqual(await second.next('reply'), reply)
    second.send({ type: 'message', id: 'one', conversation: 'away', payload: 'hello there' })
    const again = await second.next('ack')
    assert.deepEqual([again['message_id'], again['duplicate']], [ack['message_id'], true])
    await second.close()
  })
})

test('the builtin model greets, echoes, and obeys commands', async () => {
  const asked: readonly (readonly [said: string, answer: RegExp])[] = [
    ['hello', /^Hello!/],
    ['what is up', /what is up/],
    ['/help', /\/help[^]*\/status[^]*\/reset[^]*\/skills[^]*\/skill NAME/],
    ['/status', /^Agent assistant .*builtin\/echo/],
    ['/skills', /clock[^]*echo/],
    ['/skill echo {"text":"x"}', /"text": ?"x"|^x$/],
    ['/skill echo {"txt":"x"}', /invalid_input/],
    ['/skill nothing', /not_found/],
    ['/skill clock', /\d{4}-\d\d-\d\d/],
    ['/reset', /anew/],
    ['/status', /remembers [0-2] messages/],
  ]
  for (const [said, answer] of asked) assert.match(await answerTo(gateway, said, 'commander'), answer, said)
})

describe('dead letters', () => {
  test(
    'what no route leads to is kept, and replayed over the API and the command once there is one',
    { timeout: 60_000 },
    async (context) => {
      const config = 'agents: { assistant: {} }\nfallback: '
      const lost = await startGateway(context, { config: `${config}null\n` })
      const ids = [await say(lost, 'first'), await say(lost, 'second'), await say(lost, 'third'), await say(lost, 'fourth')]
      for (const id of ids) assert.equal((await ended(lost, id)).reason?.code, 'UNROUTABLE')
      assert.equal(await metric(lost, 'openclaw_dead_letters'), 4)
      type Letters = { readonly data: readonly { readonly id: string; readonly ref: string; readonly reason: { readonly code: string } }[] }
      const listed = (await (await lost.fetch('/v1/dead-letters')).json()) as Letters
      assert.deepEqual(await openclawJson<Letters>(['dead-letters', 'list'], lost.dir), listed)
      const letterOf = (at: number): string => listed.data.find(({ ref }) => ref === ids[at])?.id ?? assert.fail()
      const shown = await openclawJson<{ readonly content: { readonly payload: unknown } }>(['dead-letters', 'show', letterOf(1)], lost.dir)
      assert.deepEqual(shown.content.payload, { text: 'second' })
      assert.equal((await openclaw(['dead-letters', 'replay', letterOf(0)], { dir: lost.dir })).code, 1, 'there is still no route')

      writeFileSync(join(lost.dir, 'openclaw.yaml'), `${config}assistant\n`)
      await lost.told(/The configuration was read again/, 10_000)
      assert.equal((await post(lost, `/v1/dead-letters/${letterOf(0)}/replay`, {})).status, 202)
      assert.equal((await post(lost, `/v1/dead-letters/${letterOf(1)}/replay`, { payload: 'second, mended' })).status, 202)
      await openclawJson(['dead-letters', 'replay', letterOf(2)], lost.dir)
      await openclawJson(['dead-letters', 'discard', letterOf(3)], lost.dir)
      const answers = await Promise.all(ids.slice(0, 3).map((id) => ended(lost, id)))
      assert.deepEqual(
        answers.map(({ replies }) => replies.map(({ text }) => text)),
        [['You said: first'], ['You said: second, mended'], ['You said: third']],
      )
      const twice = await openclaw(['dead-letters', 'replay', letterOf(2)], { dir: lost.dir })
      assert.equal(twice.code, 1)
      assert.match(twice.output, /replayed before/)
      assert.equal(await metric(lost, 'openclaw_dead_letters'), 0)
    },
  )
})

describe('the command', () => {
  test('chats through a pipe, a line a message, and ends when all are answered', async () => {
    const { code, output } = await openclaw(['chat'], { input: 'one thing\n/skills\nanother\n' })
    assert.equal(code, 0, output)
    assert.match(output, /^You said: one thing\n(?:.+\n)*clock [^]*You said: another\n$/)
  })

  test('shows what the gateway does', async () => {
    const id = await say(gateway, 'for the command', 'cli')
    await ended(gateway, id)
    const status = await openclawJson<{ readonly ready: boolean; readonly url: string }>(['status'])
    assert.deepEqual([status.ready, status.url], [true, gateway.url])
    assert.equal((await openclawJson<MessageDocument>(['messages', 'show', id])).replies[0]?.text, 'You said: for the command')
    const { data } = await openclawJson<{ readonly data: readonly { readonly message_id: string }[] }>(['messages', 'list'])
    assert.equal(data[0]?.message_id, id)
    assert.match((await openclaw(['messages', 'send', 'by hand', '--wait'])).output, /You said: by hand/)
    assert.ok((await openclawJson<{ readonly data: readonly unknown[] }>(['sessions', 'list'])).data.length > 0)
    for (const args of [
      ['agents'],
      ['channels'],
      ['version'],
      ['config', 'print'],
      ['config', 'check'],
      ['config', 'schema'],
      ['doctor'],
    ]) {
      await openclawJson(args)
    }
  })

  test('makes keys that may only what they were made for, and takes them back', async () => {
    type Key = { readonly id: string; readonly key?: string; readonly secret?: string }
    const made = await openclawJson<Key>(['keys', 'create', 'reader', '--scope', 'messages:read'])
    const secret = made.key ?? made.secret ?? assert.fail(JSON.stringify(made))
    const as = (path: string, init: RequestInit = {}): Promise<Response> =>
      fetch(gateway.url + path, { ...init, headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' } })
    assert.equal((await as('/v1/messages')).status, 200)
    assert.equal((await as('/v1/messages', { method: 'POST', body: '{"payload":"x"}' })).status, 403)
    assert.doesNotMatch((await openclaw(['keys', 'list', '--json'])).output, new RegExp(secret))
    await openclawJson(['keys', 'revoke', made.id])
    assert.equal((await as('/v1/messages')).status, 401)
  })

  test('ends with a code that says what was wrong', async (context) => {
    const typo = await openclaw(['mesages'])
    assert.equal(typo.code, 2)
    assert.match(typo.output, /Did you mean "?messages/)
    assert.equal((await openclaw(['messages', 'show', 'msg-nothing'])).code, 5)
    assert.equal((await openclaw(['status'], { dir: temporaryFolder(context) })).code, 3)
  })
})

test('the example configuration works as it stands', { timeout: 30_000 }, async (context) => {
  const configured = await startGateway(context, { config: example('fallback: support') })
  const toBilling = await post(configured, '/v1/messages?wait=10', { payload: 'about my invoice', metadata: { department: 'billing' } })
  const { agent, status } = (await toBilling.json()) as MessageDocument
  assert.deepEqual([agent, status], ['billing', 'done'])
})
