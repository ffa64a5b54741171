import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnavailableError } from '#contract'
import type { Accepted, Inbound } from '#contract'
import { newPairingCode, readPairingCode } from '../../../gateway/pipeline/pairing-code.ts'
import { inbound, startHub } from '../../support/hub.ts'
import type { Hub, HubOptions } from '../../support/hub.ts'

const HOUR_MS = 3_600_000
const strangers = { capabilities: { strangers: true } }

const withHub = (name: string, options: HubOptions, run: (hub: Hub) => Promise<void>): void => {
  test(name, async () => {
    const hub = await startHub({ ...strangers, ...options })
    try {
      await run(hub)
    } finally {
      await hub.stop()
    }
  })
}

const from = (sender: string, over: Partial<Inbound> = {}): Inbound => inbound('hello', { lane: sender, sender, ...over })
const say = (hub: Hub, message: Inbound): Promise<Accepted> => hub.ingress.accept('wire', message, {})
const isIn = async (hub: Hub, message: Inbound): Promise<boolean> => (await say(hub, message)).status !== 'refused'
function codeOf(hub: Hub, sender: string): string {
  const pairing = hub.pairings.open('wire').find((each) => each.sender === sender)
  return pairing?.code ?? assert.fail(`no code for ${sender}`)
}

withHub('a stranger is told a code and what to do with it, by the way of the message, and nothing is stored', {}, async (hub) => {
  const reply = { chat: 'eve', thread: 't' }
  assert.deepEqual(await say(hub, from('eve', { reply })), { status: 'refused', reason: 'stranger' })
  const code = codeOf(hub, 'eve')
  assert.match(code, /^[2-9A-HJKMNP-Z]{8}$/)
  const [notice = assert.fail()] = hub.notices
  assert.deepEqual({ ...notice, text: '' }, { id: notice.id, channel: 'wire', lane: 'eve', to: reply, text: '' })
  assert.ok(notice.text.includes(`openclaw channels pairings approve wire ${code}`))
  const [part = assert.fail()] = await hub.delivered(1)
  assert.deepEqual([part.id, part.messageId, part.to], [notice.id, null, reply], 'through the outbox')
  assert.equal((await hub.store.inbox.ledger()).accepted, 0)
  const told = hub.events.filter((event) => event.type === 'event' && event.name === 'channel.pairings')
  assert.ok(told.length > 0 && !JSON.stringify(told).includes(code), 'who watches events learns no code')
})

withHub('the same stranger gets one code and one notice an hour, also when all comes at once or again', {}, async (hub) => {
  const again = from('eve', { key: 'k' })
  await Promise.all([say(hub, again), say(hub, again), say(hub, from('eve'))])
  await say(hub, again)
  await say(hub, from('eve@lid', { aliases: ['eve'] }))
  assert.equal(hub.pairings.open('wire').length, 1)
  assert.equal(hub.notices.length, 1)
  hub.clock.advance(HOUR_MS - 1)
  await say(hub, again)
  assert.equal(hub.notices.length, 1)
  const first = codeOf(hub, 'eve')
  hub.clock.advance(1)
  await say(hub, again)
  assert.equal(hub.notices.length, 2)
  assert.notEqual(codeOf(hub, 'eve'), first, 'the old one has expired')
  await assert.rejects(hub.pairings.approve('wire', first, 'ops'), { code: 'PAIRING_NOT_FOUND' })
})

withHub('at most three strangers at a time have a code in a channel', {}, async (hub) => {
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map((sender) => say(hub, from(sender))))
  assert.deepEqual(
    hub.pairings.open('wire').map(({ sender }) => sender),
    ['a', 'b', 'c'],
  )
  assert.equal(hub.notices.length, 3)
  await hub.pairings.deny('wire', codeOf(hub, 'b'))
  await say(hub, from('d'))
  assert.equal(hub.notices.length, 4)
  await say(hub, from('b'))
  assert.equal(hub.notices.length, 4, 'who was denied is not told again within the hour')
  assert.equal(hub.pairings.open('wire').length, 3)
})

withHub('who was approved may write at once, also in groups, until it is revoked', {}, async (hub) => {
  await say(hub, from('eve', { aliases: ['+4915112345'] }))
  const code = codeOf(hub, 'eve')
  const typed = `${code.slice(0, 4)}-${code.slice(4)} `.toLowerCase()
  const grant = await hub.pairings.approve('wire', typed, 'ops')
  assert.deepEqual(grant, { channel: 'wire', sender: 'eve', aliases: ['+4915112345'], since: hub.clock.now(), by: 'ops' })
  assert.deepEqual(hub.pairings.grants('wire'), [grant])
  assert.ok(await isIn(hub, from('eve')))
  assert.ok(await isIn(hub, from('+4915112345')), 'by another of its names')
  assert.ok(await isIn(hub, from('new-id', { aliases: ['eve'] })))
  assert.ok(!(await isIn(hub, from('mallory', { aliases: ['+4915112345'] }))), 'a second name alone lets nobody in')
  assert.ok(await isIn(hub, from('eve', { peer: { kind: 'group', id: 'g', thread: null } })))
  await assert.rejects(hub.pairings.approve('wire', code, 'ops'), { code: 'PAIRING_NOT_FOUND' }, 'a code is good once')
  await assert.rejects(hub.pairings.deny('wire', code), { code: 'PAIRING_NOT_FOUND' })

  await hub.pairings.revoke('wire', 'eve')
  assert.ok(!(await isIn(hub, from('eve'))))
  await assert.rejects(hub.pairings.revoke('wire', 'eve'), { code: 'GRANT_NOT_FOUND' })
  assert.equal(hub.notices.filter(({ to }) => to.chat === 'eve').length, 1, 'and is not told again within the hour')
})

withHub('who was paired may also write where the rule has become a list', {}, async (hub) => {
  await say(hub, from('eve'))
  await hub.pairings.approve('wire', codeOf(hub, 'eve'), 'ops')
  hub.allow({ direct: 'allowlist', allow: [], group: 'off', groupAllow: [], isMentionRequired: true, bots: 'ignore' })
  assert.ok(await isIn(hub, from('eve')))
  assert.ok(!(await isIn(hub, from('eve', { peer: { kind: 'group', id: 'g', thread: null } }))), 'but no group that is off')
})

withHub('bots, groups and news of refused messages get no code', {}, async (hub) => {
  hub.allow({ direct: 'pairing', allow: [], group: 'allowlist', groupAllow: [], isMentionRequired: true, bots: 'allow' })
  await say(hub, from('robot', { author: 'bot' }))
  await say(hub, from('eve', { peer: { kind: 'group', id: 'g', thread: null } }))
  await say(hub, from('eve', { event: 'reaction' }))
  assert.deepEqual([hub.pairings.open('wire').length, hub.notices.length], [0, 0])
})

{
  let fails = true
  const post = async (): Promise<void> => {
    if (fails) throw new UnavailableError('The disk is full.', { code: 'STORE_FULL' })
  }
  withHub('what cannot be kept is not acknowledged, and coming again it is told the same code', { post }, async (hub) => {
    const state = { offset: new Uint8Array([1]) }
    await assert.rejects(hub.ingress.accept('wire', from('eve'), state), { code: 'STORE_FULL' })
    assert.equal(await hub.store.channelState.read('wire', 'offset'), null)
    const code = codeOf(hub, 'eve')
    assert.deepEqual(
      await hub.ingress.acceptAll('wire', [from('eve'), from('me', { event: 'edit', author: 'self' })], {}).catch(() => 'rejected'),
      'rejected',
    )
    hub.allow({ direct: 'pairing', allow: ['ann'], group: 'off', groupAllow: [], isMentionRequired: true, bots: 'ignore' })
    const mixed = await hub.ingress.acceptAll('wire', [from('eve'), from('ann')], state)
    assert.deepEqual(
      mixed.map(({ status }) => status),
      ['refused', 'new'],
      'but a batch with messages that are stored is',
    )
    fails = false
    await say(hub, from('eve'))
    assert.equal(hub.notices.length, 1)
    assert.ok(hub.notices[0]?.text.includes(code))
  })
}

test('codes and grants outlive the gateway', async () => {
  const first = await startHub(strangers)
  await say(first, from('eve'))
  await say(first, from('ann'))
  await say(first, from('bob'))
  const code = codeOf(first, 'eve')
  await first.pairings.approve('wire', codeOf(first, 'ann'), 'ops')
  await first.pairings.deny('wire', codeOf(first, 'bob'))
  await first.stop(true)
  const second = await startHub({ ...strangers, dir: first.dir, clock: first.clock })
  try {
    assert.ok(await isIn(second, from('ann')))
    for (const sender of ['eve', 'bob']) assert.ok(!(await isIn(second, from(sender))))
    assert.deepEqual(second.notices, [], 'they were told in the life before')
    await second.pairings.approve('wire', code, 'ops')
    assert.ok(await isIn(second, from('eve')))
  } finally {
    await second.stop()
  }
})

test('a code has eight characters that cannot be mistaken, and can be typed with blanks', () => {
  const codes = new Set(Array.from({ length: 500 }, newPairingCode))
  assert.equal(codes.size, 500)
  for (const code of codes) assert.match(code, /^[2-9A-HJKMNP-Z]{8}$/)
  assert.equal(readPairingCode(' abcd-2345\n'), 'ABCD2345')
})
