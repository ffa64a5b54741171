/** What frames need: each is held against the scopes of whoever sends it, beside what the connection was let in for. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChannelHost } from '#contract'
import { Dialogue } from '../../../channels/websocket/dialogue.ts'
import type { ClientFrame, ServerFrame } from '../../../channels/websocket/frame.ts'
import { MemoryHost } from '../../support/channel-host.ts'

const FRAMES: { readonly [Type in ClientFrame['type']]: ClientFrame & { readonly type: Type } } = {
  auth: { type: 'auth', token: 'x' },
  ping: { type: 'ping' },
  message: { type: 'message', id: '1', conversation: 'a', payload: { text: 'hello' }, metadata: {} },
  subscribe: { type: 'subscribe', conversation: 'a', since: null },
}

test('without messages:write nothing is handed in and nothing is heard, and the answer names the scope', () => {
  const told: ServerFrame[] = []
  const line = {
    isOpen: true,
    isFull: false,
    send: (frame: ServerFrame) => void told.push(frame),
    sendOut: async () => undefined,
    close: assert.fail,
    answered: assert.fail,
  }
  // Whatever it asked of the hub would fail the test.
  const host = new Proxy({}, { get: (_, name) => assert.fail(`asked for ${String(name)}`) }) as ChannelHost
  const dialogue = new Dialogue(
    host,
    { id: 'reader', credential: 'k', tenant: 'default', scopes: new Set(['messages:read', 'agent:execute']) },
    line,
  )
  for (const frame of Object.values(FRAMES)) dialogue.obey(frame)
  const codes = told.map((frame) => (frame.type === 'error' ? frame.code : frame.type))
  assert.deepEqual(codes, ['ALREADY_AUTHENTICATED', 'pong', 'INSUFFICIENT_SCOPE', 'INSUFFICIENT_SCOPE'])
})

test('replays that wait are bounded: no more is taken in until one is over', async () => {
  const goOn = Promise.withResolvers<void>()
  const room = Promise.withResolvers<void>()
  const host = new MemoryHost('ws')
  host.store('reader/a', 'x')
  let isFull = true
  const line = {
    isOpen: true,
    get isFull() {
      return isFull
    },
    send: () => undefined,
    // The client does not read.
    sendOut: () => goOn.promise,
    close: assert.fail,
    answered: () => void (dialogue.isBusy || room.resolve()),
  }
  const dialogue = new Dialogue(host, { id: 'reader', credential: 'k', tenant: 'default', scopes: new Set(['*']) }, line)
  let taken = 0
  for (; taken < 1_000 && !dialogue.isBusy; taken++) dialogue.obey({ type: 'subscribe', conversation: 'a', since: 0 })
  assert.equal(taken, 100)
  isFull = false
  goOn.resolve()
  await room.promise
  dialogue.end()
})
