import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { RawData, WebSocket } from 'ws'
import { bench } from './cli.ts'
import { FakeGateway } from './fake-gateway.ts'

const BOUND = { timeout: 30_000 }

interface Frame {
  readonly type: string
  readonly id: string
  readonly conversation: string
  readonly payload: string
  readonly since?: number
}

const parse = (data: RawData): Frame => JSON.parse(Buffer.isBuffer(data) ? data.toString() : '{}')

/** Texts of the reply frames that --json printed. */
const repliesIn = (out: string): readonly string[] =>
  out
    .trim()
    .split('\n')
    .map((line): { type: string; text: string } => JSON.parse(line))
    .filter(({ type }) => type === 'reply')
    .map(({ text }) => text)

/** An agent behind the fake gateway that says each message back; keeps what it accepted over connections, as the real one does. */
class EchoAgent {
  readonly frames: Frame[] = []
  readonly replies: object[] = []
  readonly #accepted = new Map<string, string>()
  readonly gateway: FakeGateway
  /** Instead of the reply. */
  handle: (frame: Frame, messageId: string, send: (frame: object) => void, socket: WebSocket) => void = (frame, messageId, send) =>
    this.reply(messageId, `echo ${frame.payload}`, send)

  constructor(gateway: FakeGateway) {
    this.gateway = gateway
    gateway.onSocket = (socket, send) => socket.on('message', (data) => this.#obey(parse(data), send, socket))
  }

  reply(messageId: string, text: string, send: (frame: object) => void): void {
    const reply = { type: 'reply', seq: this.replies.length + 100, message_id: messageId, conversation: 'main', index: 0, of: 1, text }
    this.replies.push(reply)
    send(reply)
    send({ type: 'status', message_id: messageId, conversation: 'main', status: 'done', reason: null })
  }

  #obey(frame: Frame, send: (frame: object) => void, socket: WebSocket): void {
    this.frames.push(frame)
    if (frame.type === 'ping') return send({ type: 'pong' })
    if (frame.type === 'subscribe') {
      const { since } = frame
      if (since !== undefined) for (const reply of this.replies) if ((reply as { seq: number }).seq > since) send(reply)
      return send({ type: 'subscribed', conversation: frame.conversation, last_seq: 0 })
    }
    const known = this.#accepted.get(frame.id)
    const messageId = known ?? `msg-${this.#accepted.size + 1}`
    this.#accepted.set(frame.id, messageId)
    send({ type: 'ack', id: frame.id, message_id: messageId, conversation: 'main', status: 'queued', duplicate: known !== undefined })
    if (known === undefined) this.handle(frame, messageId, send, socket)
  }
}

async function chatBench(t: TestContext): Promise<Awaited<ReturnType<typeof bench>> & { agent: EchoAgent }> {
  const all = await bench(t)
  return { ...all, agent: new EchoAgent(all.gateway) }
}

test('each line of a pipe is a message, its replies are printed, and the end comes when all are answered', BOUND, async (t) => {
  const { run, agent } = await chatBench(t)
  const { code, out, err } = await run(['chat'], { stdin: 'one\n\ntwo\nthree' })
  assert.deepEqual([code, out, err], [0, 'echo one\necho two\necho three\n', ''])
  assert.deepEqual(
    agent.frames.filter(({ type }) => type === 'message').map(({ conversation, payload }) => [conversation, payload]),
    [
      ['main', 'one'],
      ['main', 'two'],
      ['main', 'three'],
    ],
  )
})

test('a pipe of many lines is told in order, not all at once', BOUND, async (t) => {
  const { run, agent } = await chatBench(t)
  let open = 0
  let most = 0
  agent.handle = (frame, messageId, send) => {
    most = Math.max(most, ++open)
    setImmediate(() => {
      open--
      agent.reply(messageId, frame.payload, send)
    })
  }
  const lines = Array.from({ length: 200 }, (_, i) => `line ${i}`)
  const { out } = await run(['chat', '--conversation', 'main'], { stdin: lines.join('\n') })
  assert.deepEqual(out.trim().split('\n'), lines)
  assert.ok(most <= 32, String(most))
})

test('a cut connection is resumed: nothing is lost, nothing told twice', BOUND, async (t) => {
  const { run, agent, gateway } = await chatBench(t)
  gateway.routes.set('GET /v1/messages/msg-2', () => [200, { status: 'done', replies: [{ seq: 101 }] }])
  agent.handle = (frame, messageId, send, socket) => {
    if (frame.payload === 'two') {
      // Durable, its reply made while nobody listens.
      agent.reply(messageId, 'echo two', () => undefined)
      return socket.terminate()
    }
    agent.reply(messageId, `echo ${frame.payload}`, send)
  }
  const { code, out, err } = await run(['chat'], { stdin: 'one\ntwo\n' })
  assert.deepEqual([code, out], [0, 'echo one\necho two\n'])
  assert.match(err, /connection lost, trying again\nconnected again/)
  assert.ok(agent.frames.some(({ type, since }) => type === 'subscribe' && since === 100))
})

test('a gateway that comes back at another address is found again', BOUND, async (t) => {
  const { run, agent, gateway, dir } = await chatBench(t)
  const other = await new FakeGateway().start()
  t.after(() => other.stop())
  other.onSocket = gateway.onSocket
  other.on('GET /v1/messages/msg-1', 200, { status: 'done', replies: [{ seq: 100 }] })
  agent.handle = (frame, messageId) => {
    agent.reply(messageId, `echo ${frame.payload}`, () => undefined)
    writeFileSync(join(dir, '.openclaw', 'gateway.json'), JSON.stringify({ pid: 1, url: other.url }))
    void gateway.stop()
  }
  assert.partialDeepStrictEqual(await run(['chat'], { stdin: 'hello\n' }), { code: 0, out: 'echo hello\n' })
})

test('what was not acknowledged is said again with the same id, and old replies are not told on the way', BOUND, async (t) => {
  const { run, agent, gateway } = await chatBench(t)
  const listen = gateway.onSocket
  let connections = 0
  gateway.onSocket = (socket, send) => {
    connections++
    if (connections > 1) return listen(socket, send)
    socket.on('message', (data) => {
      const frame = parse(data)
      agent.frames.push(frame)
      if (frame.type === 'subscribe') send({ type: 'subscribed', conversation: 'main', last_seq: 0 })
      if (frame.type === 'message') socket.terminate()
    })
  }
  agent.replies.push({ type: 'reply', seq: 7, message_id: 'msg-old', conversation: 'main', index: 0, of: 1, text: 'old' })
  const { code, out } = await run(['chat', '--json'], { stdin: 'hello\n' })
  assert.equal(code, 0)
  assert.deepEqual(repliesIn(out), ['echo hello'])
  const ids = agent.frames.filter(({ type }) => type === 'message').map(({ id }) => id)
  assert.equal(ids.length, 2)
  assert.equal(new Set(ids).size, 1)
})

test('a reply that was made before its acknowledgement was lost is told, though the acknowledgement comes late', BOUND, async (t) => {
  const { run, agent, gateway } = await chatBench(t)
  gateway.on('GET /v1/messages/msg-1', 200, { status: 'done', replies: [{ seq: 100 }] })
  const reply = { type: 'reply', seq: 100, message_id: 'msg-1', conversation: 'main', index: 0, of: 1, text: 'echo hello' }
  let connections = 0
  gateway.onSocket = (socket, send) => {
    const isFirst = ++connections === 1
    socket.on('message', (data) => {
      const frame = parse(data)
      if (frame.type === 'message' && isFirst) return socket.terminate()
      if (frame.type === 'message') {
        const ack = { type: 'ack', id: frame.id, message_id: 'msg-1', conversation: 'main', status: 'queued', duplicate: true }
        return setTimeout(send, 50, ack)
      }
      if (frame.since === 0) send(reply)
      return send({ type: 'subscribed', conversation: 'main', last_seq: 0 })
    })
  }
  agent.replies.push(reply)
  assert.partialDeepStrictEqual(await run(['chat'], { stdin: 'hello\n' }), { code: 0, out: 'echo hello\n' })
})

test('a reply that is told twice is printed once', BOUND, async (t) => {
  const { run, agent } = await chatBench(t)
  agent.handle = (_, messageId, send) => {
    const reply = { type: 'reply', seq: 10, message_id: messageId, conversation: 'main', index: 0, of: 2, text: 'first' }
    send(reply)
    send(reply)
    send({ ...reply, seq: 11, index: 1, text: 'second' })
  }
  assert.equal((await run(['chat'], { stdin: 'x\n' })).out, 'first\nsecond\n')
})

test('why a message is not answered is told, and the end is a failure', BOUND, async (t) => {
  const { run, agent } = await chatBench(t)
  agent.handle = (frame, messageId, send) => {
    const status = { type: 'status', message_id: messageId, conversation: 'main' }
    if (frame.payload === 'die') {
      send({ ...status, status: 'retrying', reason: 'MODEL_TIMEOUT' })
      send({ ...status, status: 'dead', reason: 'MODEL_REFUSED' })
    } else agent.reply(messageId, 'fine', send)
  }
  const { code, out, err } = await run(['chat'], { stdin: 'die\nlive\n' })
  assert.deepEqual([code, out], [1, 'fine\n'])
  assert.match(err, /"die" is retrying: MODEL_TIMEOUT\n"die" was not answered: MODEL_REFUSED/)
})

test('an error frame ends its message, or has it said again when that helps', BOUND, async (t) => {
  const { run, gateway } = await bench(t)
  let tries = 0
  gateway.onSocket = (socket, send) =>
    socket.on('message', (data) => {
      const frame: Frame = parse(data)
      if (frame.type === 'subscribe') return send({ type: 'subscribed', conversation: 'main', last_seq: 0 })
      if (frame.payload === 'bad')
        return send({ type: 'error', id: frame.id, code: 'PAYLOAD_TOO_LARGE', detail: 'too long', retryable: false })
      if (++tries === 1) return send({ type: 'error', id: frame.id, code: 'BUSY', detail: 'later', retryable: true, retry_after_ms: 10 })
      send({ type: 'ack', id: frame.id, message_id: 'msg-1', conversation: 'main', status: 'queued', duplicate: false })
      return send({ type: 'reply', seq: 5, message_id: 'msg-1', conversation: 'main', index: 0, of: 1, text: 'got it' })
    })
  const { code, out, err } = await run(['chat'], { stdin: 'bad\ngood\n' })
  assert.deepEqual([code, out, tries], [1, 'got it\n', 2])
  assert.match(err, /"bad" was not answered: PAYLOAD_TOO_LARGE: too long/)
})

test('a message that ends in silence is answered too', BOUND, async (t) => {
  const { run, agent, gateway } = await chatBench(t)
  gateway.on('GET /v1/messages/msg-1', 200, { status: 'done', replies: [] })
  agent.handle = (_, messageId, send) => send({ type: 'status', message_id: messageId, conversation: 'main', status: 'done', reason: null })
  assert.deepEqual(await run(['chat'], { stdin: 'psst\n' }), { code: 0, out: '', err: '' })
})

test('replies of several parts are all printed, without what would steer the terminal', BOUND, async (t) => {
  const { run, agent } = await chatBench(t)
  agent.handle = (_, messageId, send) => {
    for (const [index, text] of ['part one\u001b[2J', 'part two'].entries()) {
      send({ type: 'reply', seq: 10 + index, message_id: messageId, conversation: 'main', index, of: 2, text })
    }
  }
  assert.equal((await run(['chat'], { stdin: 'x\n' })).out, 'part one\npart two\n')
})

test('--json prints the frames, one a line', BOUND, async (t) => {
  const { run, agent } = await chatBench(t)
  agent.handle = (frame, messageId, send) => {
    send({ type: 'delta', message_id: messageId, conversation: 'main', text: 'ec' })
    agent.reply(messageId, `echo ${frame.payload}`, send)
  }
  const { out } = await run(['chat', '--json'], { stdin: 'x\n' })
  const frames: { type: string }[] = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(frames.map(({ type }) => type).slice(0, 3), ['ack', 'delta', 'reply'])
})

test('a key that is not accepted, a gateway that is not there, and one that speaks otherwise are told apart', BOUND, async (t) => {
  const { run, gateway } = await chatBench(t)
  assert.equal((await run(['chat'], { stdin: 'x\n', env: { OPENCLAW_TOKEN: 'other' } })).code, 4)
  gateway.onSocket = (socket) => socket.close(4403)
  assert.equal((await run(['chat'], { stdin: 'x\n' })).code, 4)
  await gateway.stop()
  assert.equal((await run(['chat'], { stdin: 'x\n' })).code, 3)
})

test('Ctrl-C ends a chat that waits', BOUND, async (t) => {
  const { spawn, agent } = await chatBench(t)
  const said = Promise.withResolvers<void>()
  agent.handle = () => said.resolve()
  const child = spawn(['chat'])
  child.stdin.write('wait\n')
  await said.promise
  child.kill('SIGINT')
  assert.equal((await child.done).code, 1)
})
