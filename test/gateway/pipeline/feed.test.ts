import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT, asMessageId } from '#contract'
import type { FlowEvent } from '#contract'
import { Feed } from '../../../gateway/pipeline/feed.ts'

const id = asMessageId('msg-1')
const base = { tenant: DEFAULT_TENANT, messageId: id, channel: 'http', lane: 'l', session: null, agent: null }
const status: FlowEvent = { ...base, type: 'message', status: 'queued', reason: null }
const delta: FlowEvent = { ...base, type: 'delta', text: 'x' }

test('hands an event to those who watch its message, its lane or everything, until they leave', () => {
  const feed = new Feed()
  const seen: string[] = []
  const leave = [
    feed.onMessage(id, () => seen.push('message')),
    feed.onMessage(id, () => seen.push('message2')),
    feed.onLane('http', 'l', () => seen.push('lane')),
    feed.onLane('http', 'other', () => seen.push('other')),
    feed.onTenant(DEFAULT_TENANT, (_event, seq) => seen.push(`all${seq}`)),
  ]
  feed.emit(status)
  feed.emit({ type: 'event', tenant: DEFAULT_TENANT, name: 'x', data: {} })
  assert.deepEqual(seen, ['all1', 'message', 'message2', 'lane', 'all2'])
  for (const off of leave) off()
  for (const off of leave) off()
  feed.emit(status)
  assert.equal(seen.length, 5)
  assert.equal(feed.watchers, 0)
})

test('says whether anybody would see a delta, and remembers none', () => {
  const feed = new Feed()
  assert.equal(feed.isWatched(id, 'http', 'l'), false)
  const off = feed.onLane('http', 'l', () => undefined)
  assert.equal(feed.isWatched(id, 'http', 'l'), true)
  off()
  feed.onMessage(id, () => undefined)
  assert.equal(feed.isWatched(id, 'http', 'l'), true)
  feed.emit(delta)
  assert.deepEqual(feed.since(DEFAULT_TENANT, 0), { gap: false, events: [] })
})

test('catches a watcher up from the ring and owns up to gaps', () => {
  const feed = new Feed()
  for (let i = 0; i < 10_002; i++) feed.emit({ type: 'event', tenant: DEFAULT_TENANT, name: `e${i}`, data: {} })
  const late = feed.since(DEFAULT_TENANT, 10_000)
  assert.equal(late.gap, false)
  assert.deepEqual(
    late.events.map(({ seq }) => seq),
    [10_001, 10_002],
  )
  const lost = feed.since(DEFAULT_TENANT, 1)
  assert.equal(lost.gap, true)
  assert.equal(lost.events.length, 10_000)
  assert.equal(lost.events[0]?.seq, 3)
  assert.equal(feed.since(DEFAULT_TENANT, 99_999).gap, true)
})

const happened = (tenant: string, name = 'x'): FlowEvent => ({ type: 'event', tenant, name, data: {} })

test('tells each tenant its own, and counts for each by itself', () => {
  const feed = new Feed()
  const seen: string[] = []
  feed.onTenant('acme', (event, seq) => seen.push(`${event.tenant} ${seq}`))
  for (const tenant of ['acme', DEFAULT_TENANT, DEFAULT_TENANT, 'acme']) feed.emit(happened(tenant))
  assert.deepEqual(seen, ['acme 1', 'acme 2'])
  assert.equal(feed.since('acme', 0).events.length, 2)
  assert.deepEqual(feed.since('nobody', 0), { gap: false, events: [] })
  for (let i = 0; i < 10_001; i++) feed.emit(happened(DEFAULT_TENANT))
  assert.equal(feed.since('acme', 0).gap, false, "another's flood pushes nothing out")
})

test('remembers so many tenants, and owns up to what it forgot of the others', () => {
  const feed = new Feed()
  for (let i = 0; i < 5; i++) feed.emit(happened('first'))
  for (let i = 0; i < 63; i++) feed.emit(happened(`t${i}`))
  feed.emit(happened('second'))
  assert.equal(feed.since('first', 5).gap, false, 'who saw all missed nothing')
  assert.equal(feed.since('first', 3).gap, true)
  assert.equal(feed.since('second', 0).gap, true, 'its numbers go on after those that were given out')
  for (let i = 0; i < 3; i++) feed.emit(happened('first'))
  assert.deepEqual(
    feed.since('first', 5).events.map(({ seq }) => seq),
    [6, 7, 8],
  )
  assert.equal(feed.since('first', 4).gap, true)
  assert.equal(feed.since('t62', 0).gap, false)
})
