import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccessPolicy, Accepted, Inbound, Refusal } from '#contract'
import { defaultPolicy } from '../../../gateway/config/access.ts'
import { LoopGuard } from '../../../gateway/pipeline/loop-guard.ts'
import { nameKey } from '../../../gateway/pipeline/sender-name.ts'
import { inbound, startHub } from '../../support/hub.ts'
import type { Hub, HubOptions } from '../../support/hub.ts'

const withHub = (name: string, options: HubOptions, run: (hub: Hub) => Promise<void>): void => {
  test(name, async () => {
    const hub = await startHub({ capabilities: { strangers: true }, ...options })
    try {
      await run(hub)
    } finally {
      await hub.stop()
    }
  })
}

const policy = (over: Partial<AccessPolicy>): AccessPolicy => ({ ...defaultPolicy, ...over })
const of = (over: Partial<Inbound>): Inbound => inbound('hello', over)
const from = (sender: string, over: Partial<Inbound> = {}): Inbound => of({ lane: sender, sender, ...over })
const inGroup = (sender: string, id: string, over: Partial<Inbound> = {}): Inbound =>
  from(sender, { lane: id, peer: { kind: 'group', id, thread: null }, ...over })

const said = (hub: Hub, message: Inbound): Promise<Accepted> => hub.ingress.accept('wire', message, {})
async function outcome(hub: Hub, message: Inbound): Promise<Refusal | null> {
  const accepted = await said(hub, message)
  return accepted.status === 'refused' ? accepted.reason : null
}
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const metric = async (hub: Hub, line: string): Promise<boolean> => (await hub.metrics.text()).split('\n').includes(line)

withHub('what the account said itself is never taken in, also where no stranger comes', { capabilities: {} }, async (hub) => {
  assert.equal(await outcome(hub, from('me', { author: 'self' })), 'self')
  assert.equal(await outcome(hub, from('robot', { author: 'bot' })), null)
  assert.equal(await outcome(hub, from('anybody')), null, 'and no list is asked there')
})

withHub('a refused message leaves nothing but the values of the channel, and is counted with its reason', {}, async (hub) => {
  hub.allow(policy({ direct: 'allowlist' }))
  assert.deepEqual(await hub.ingress.accept('wire', from('eve', { key: 'k' }), { offset: bytes('7') }), {
    status: 'refused',
    reason: 'stranger',
  })
  assert.deepEqual(await hub.store.channelState.read('wire', 'offset'), bytes('7'))
  assert.equal((await hub.store.inbox.ledger()).accepted, 0)
  assert.ok(hub.events.every(({ type }) => type === 'event'))
  assert.deepEqual(hub.notices, [], 'and strangers get no answer')
  assert.ok(await metric(hub, 'openclaw_messages_total{channel="wire",direction="in",status="refused"} 1'))
  assert.ok(await metric(hub, 'openclaw_refused_total{channel="wire",reason="stranger"} 1'))
  hub.allow(policy({ direct: 'open' }))
  assert.equal(await outcome(hub, from('eve', { key: 'k' })), null, 'its key is free')
})

withHub('direct messages come from those on the list, by any of their names', {}, async (hub) => {
  hub.allow(policy({ direct: 'allowlist', allow: ['Ann', '+49 (151) 123-4567', 'U01AB'] }))
  for (const [sender, aliases] of [
    ['ann', []],
    ['4911', ['ANN']],
    ['491511234567', []],
    ['x@lid', ['+49 151 1234567']],
    ['u01ab', []],
  ] as const)
    assert.equal(await outcome(hub, from(sender, { aliases })), null, sender)
  for (const sender of ['anna', '49151123456', '1234567', 'x491511234567', ''])
    assert.equal(await outcome(hub, from(sender)), 'stranger', sender)
})

withHub('off lets nobody write, open everybody', {}, async (hub) => {
  hub.allow(policy({ direct: 'off', allow: ['ann'], group: 'off', groupAllow: ['g'] }))
  assert.equal(await outcome(hub, from('ann')), 'off')
  assert.equal(await outcome(hub, inGroup('ann', 'g')), 'off')
  hub.allow(policy({ direct: 'open', group: 'open' }))
  assert.equal(await outcome(hub, from('eve')), null)
  assert.equal(await outcome(hub, inGroup('eve', 'any')), null)
})

withHub('in a listed group everybody may speak, in any other those who are allowed', {}, async (hub) => {
  hub.allow(policy({ direct: 'allowlist', allow: ['ann'], groupAllow: ['-100A'] }))
  assert.equal(await outcome(hub, inGroup('eve', '-100a')), null)
  assert.equal(await outcome(hub, inGroup('eve', '-200')), 'stranger')
  assert.equal(await outcome(hub, inGroup('ann', '-200')), null)
  assert.equal(await outcome(hub, from('eve', { peer: { kind: 'channel', id: '-200', thread: null } })), 'stranger')
  assert.equal(await outcome(hub, from('eve')), 'stranger', 'the group opens no direct messages')
})

withHub('in groups only what is addressed to us is heard, unless all of it is wanted', {}, async (hub) => {
  hub.allow(policy({ direct: 'open', group: 'open' }))
  assert.equal(await outcome(hub, inGroup('eve', 'g', { isAddressed: false })), 'unaddressed')
  assert.equal(await outcome(hub, inGroup('eve', 'g', { isAddressed: true })), null)
  assert.equal(await outcome(hub, from('eve', { isAddressed: false })), null, 'a direct message always is')
  hub.allow(policy({ direct: 'open', group: 'open', isMentionRequired: false }))
  assert.equal(await outcome(hub, inGroup('eve', 'g', { isAddressed: false })), null)
})

withHub('bots are ignored, or bound by the rules like everybody', {}, async (hub) => {
  hub.allow(policy({ direct: 'open' }))
  assert.equal(await outcome(hub, from('robot', { author: 'bot' })), 'bot')
  hub.allow(policy({ direct: 'allowlist', allow: ['robot'], bots: 'allow' }))
  assert.equal(await outcome(hub, from('robot', { author: 'bot' })), null)
  assert.equal(await outcome(hub, from('other', { author: 'bot' })), 'stranger')
})

withHub('two bots cannot talk for ever: ten messages a minute in one lane, and people are not counted', {}, async (hub) => {
  hub.allow(policy({ direct: 'open', group: 'open', bots: 'allow' }))
  const robot = inGroup('robot', 'g', { author: 'bot' })
  for (let i = 0; i < 10; i++) assert.equal(await outcome(hub, robot), null)
  assert.equal(await outcome(hub, robot), 'bot')
  assert.equal(await outcome(hub, inGroup('ann', 'g')), null)
  assert.equal(await outcome(hub, inGroup('robot', 'elsewhere', { author: 'bot' })), null)
  hub.clock.advance(59_999)
  assert.equal(await outcome(hub, robot), 'bot')
  hub.clock.advance(1)
  assert.equal(await outcome(hub, robot), null)
})

test('the guard against loops forgets the lanes that were quiet longest', () => {
  const guard = new LoopGuard()
  for (let i = 0; i < 10; i++) guard.takes('c', 'first', 0)
  assert.equal(guard.takes('c', 'first', 0), false)
  for (let lane = 0; lane < 10_000; lane++) guard.takes('c', String(lane), 0)
  assert.equal(guard.takes('c', 'first', 0), true)
})

test('names are compared as people write them', () => {
  assert.equal(nameKey(' +49 151/123-45.67 '), nameKey('491511234567'))
  assert.equal(nameKey('Ann'), nameKey('aNN'))
  for (const [one, other] of [
    ['-1001234567', '1001234567'],
    ['123456', '+123456'],
    ['12345678@x', '12345678'],
    ['1234567890123456', '+1234567890123456'],
  ] as const)
    assert.notEqual(nameKey(one), nameKey(other))
})

withHub('new rules are in force at once', {}, async (hub) => {
  hub.allow(policy({ direct: 'allowlist' }))
  assert.equal(await outcome(hub, from('ann')), 'stranger')
  hub.allow(policy({ direct: 'allowlist', allow: ['ann'] }))
  assert.equal(await outcome(hub, from('ann')), null)
})

withHub('a mixed batch keeps its order and commits the values once, with those that came in', {}, async (hub) => {
  hub.allow(policy({ direct: 'allowlist', allow: ['ann', 'bob'] }))
  const batch = [from('eve'), from('ann', { key: 'a' }), from('me', { author: 'self' }), from('bob'), from('mallory')]
  const written: unknown[] = []
  const write = hub.store.channelState.write.bind(hub.store.channelState)
  hub.store.channelState.write = (...args) => {
    written.push(args)
    return write(...args)
  }
  const results = await hub.ingress.acceptAll('wire', batch, { offset: bytes('9') })
  assert.deepEqual(
    results.map((result) => (result.status === 'refused' ? result.reason : result.status)),
    ['stranger', 'new', 'self', 'new', 'stranger'],
  )
  assert.deepEqual(
    results.flatMap((result) => (result.status === 'new' ? result.envelope.sender_id : [])),
    ['ann', 'bob'],
  )
  assert.deepEqual(await hub.store.channelState.read('wire', 'offset'), bytes('9'))
  assert.deepEqual(written, [], 'in the transaction of the messages')
  assert.equal((await hub.store.inbox.ledger()).accepted, 2)

  const none = await hub.ingress.acceptAll('wire', [from('eve'), from('mallory')], { offset: bytes('10') })
  assert.deepEqual(
    none.map(({ status }) => status),
    ['refused', 'refused'],
  )
  assert.deepEqual(await hub.store.channelState.read('wire', 'offset'), bytes('10'))
  assert.equal(written.length, 1)
})

withHub('what can never be handled makes no dead letter when a stranger said it', {}, async (hub) => {
  hub.allow(policy({ direct: 'allowlist' }))
  assert.equal(await outcome(hub, from('eve', { dead: { code: 'UNREADABLE', message: 'It cannot be read.' } })), 'stranger')
  assert.equal((await hub.store.deadLetters.open()).count, 0)
})
