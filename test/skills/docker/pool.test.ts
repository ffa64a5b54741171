/** Who gets which sandbox, with members that are nothing but promises and a clock that stands still. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { maxCallsOf } from '../../../skills/sandbox/docker/parking.ts'
import { Pool, type Claimed, type Member } from '../../../skills/sandbox/docker/pool.ts'
import type { Profile } from '../../../skills/sandbox/docker/profile.ts'
import { FakeClock } from '../../support/fake-clock.ts'

class Piece implements Member {
  readonly profile: Profile
  readonly slot: number
  readonly breaking: PromiseWithResolvers<void> = Promise.withResolvers()
  readonly destroying: PromiseWithResolvers<void> = Promise.withResolvers()
  isDestroyed = false
  lives = true
  pings = 0
  constructor(profile: Profile, slot: number, isHeld: boolean) {
    this.profile = profile
    this.slot = slot
    if (!isHeld) this.destroying.resolve()
  }
  get broken(): Promise<void> {
    return this.breaking.promise
  }
  ping(): Promise<boolean> {
    this.pings += 1
    return Promise.resolve(this.lives)
  }
  destroy(): Promise<void> {
    this.isDestroyed = true
    return this.destroying.promise
  }
}

const profile = (key: string): Profile => ({
  key,
  language: 'python',
  memoryMb: 1,
  cpus: 1,
  pids: 1,
  tmpMb: 1,
  deps: null,
  hasEgress: false,
})
const A = profile('a')
const B = profile('b')
const never = new AbortController().signal

interface Setup {
  readonly max?: number
  readonly parked?: number
  readonly starters?: number
  readonly maxQueued?: number
  /** Members take until `destroying` to go. */
  readonly isHeld?: boolean
  /** Makings wait until `let`. */
  readonly isSlow?: boolean
}

function setUp({ max = 4, parked = 0, starters = 4, maxQueued = 100, isHeld = false, isSlow = false }: Setup = {}) {
  const clock = new FakeClock()
  const made: Piece[] = []
  const makings: PromiseWithResolvers<void>[] = []
  const state = { fails: false, atOnce: 0, most: 0 }
  const pool = new Pool<Piece>({
    clock,
    max,
    starters,
    parked,
    maxQueued,
    queueMs: 1_000,
    make: async (wanted, slot) => {
      state.atOnce += 1
      state.most = Math.max(state.most, state.atOnce)
      const making = Promise.withResolvers<void>()
      makings.push(making)
      if (!isSlow) making.resolve()
      await making.promise
      state.atOnce -= 1
      if (state.fails) throw new Error('the engine is away')
      const piece = new Piece(wanted, slot, isHeld)
      made.push(piece)
      return piece
    },
  })
  const claim = (lease: string | null, { group = lease ?? 'g', of = A, signal = never, maxCalls = 100 } = {}): Promise<Claimed<Piece>> =>
    pool.claim({ profile: of, lease, maxCalls, group, signal })
  const given = async (lease: string | null, more?: Parameters<typeof claim>[1]): Promise<Claimed<Piece> & { readonly is: 'given' }> => {
    const claimed = await claim(lease, more)
    assert.ok(claimed.is === 'given', JSON.stringify(claimed))
    return claimed
  }
  return { pool, clock, made, makings, state, claim, given }
}

/** What a settled promise sets in motion has happened. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await setImmediate()
}

describe('the pool of sandboxes', () => {
  test('makes nothing until somebody asks', async () => {
    const { made, pool } = setUp({ parked: 3 })
    await settle()
    assert.equal(made.length, 0)
    assert.equal(pool.census().queued, 0)
  })

  test('a lease comes back to its own lease, and to no other', async () => {
    const { pool, given } = setUp()
    const first = await given('x')
    assert.equal(first.isBound, false)
    pool.release(first.member, { isReusable: true })
    const again = await given('x')
    assert.deepEqual([again.member === first.member, again.isBound], [true, true])
    pool.release(again.member, { isReusable: true })
    assert.notEqual((await given('y')).member, first.member)
  })

  test('what is used once is destroyed, and so is what cannot be used again', async () => {
    const { pool, given } = setUp()
    const fresh = await given(null)
    pool.release(fresh.member, { isReusable: true })
    assert.equal(fresh.member.isDestroyed, true)
    const spoiled = await given('x')
    pool.release(spoiled.member, { isReusable: false })
    assert.equal(spoiled.member.isDestroyed, true)
    assert.notEqual((await given('x')).member, spoiled.member)
  })

  test('one that was given back and need not be kept goes, unless it serves again', async () => {
    const { pool, given } = setUp()
    const { member } = await given('x')
    pool.retire(member)
    assert.equal(member.isDestroyed, false)
    pool.release(member, { isReusable: true })
    pool.retire(member)
    assert.equal(member.isDestroyed, true)
  })

  test('a lease is recycled after as many calls as it may have, ten minutes of rest, and an hour', async () => {
    const { pool, given, clock } = setUp()
    let last = await given('x', { maxCalls: 7 })
    for (let call = 1; call < 7; call++) {
      pool.release(last.member, { isReusable: true })
      const next = await given('x', { maxCalls: 7 })
      assert.equal(next.member, last.member)
      last = next
    }
    pool.release(last.member, { isReusable: true })
    assert.equal(last.member.isDestroyed, true)

    const rested = await given('x')
    pool.release(rested.member, { isReusable: true })
    clock.advance(599_000)
    await settle()
    assert.equal(rested.member.isDestroyed, false)
    clock.advance(60_000)
    await settle()
    assert.equal(rested.member.isDestroyed, true)

    const old = await given('x')
    clock.advance(3_601_000)
    pool.release(old.member, { isReusable: true })
    assert.equal(old.member.isDestroyed, true)
  })

  test('a hundred calls share a container, and many more a process that stays', () => {
    assert.equal(maxCallsOf('lease', { language: 'python' }), 100)
    assert.equal(maxCallsOf('fresh', { language: 'node' }), 100)
    assert.equal(maxCallsOf('resident', { language: 'shell' }), 100)
    assert.equal(maxCallsOf('resident', { language: 'node' }), 100_000)
  })

  test('one that breaks while it serves nobody goes', async () => {
    const { pool, given } = setUp()
    const { member } = await given('x')
    pool.release(member, { isReusable: true })
    member.breaking.resolve()
    await settle()
    assert.equal(member.isDestroyed, true)
    assert.equal(pool.census().leased, 0)
  })

  test('those that serve nobody are asked whether they live, and go when they do not answer', async () => {
    const { pool, given, clock } = setUp()
    const { member } = await given('x')
    pool.release(member, { isReusable: true })
    clock.advance(240_000)
    await settle()
    assert.equal(member.pings, 1)
    assert.equal(member.isDestroyed, false)
    member.lives = false
    clock.advance(240_000)
    await settle()
    assert.equal(member.isDestroyed, true)
  })

  test('the budget counts those that are just going', async () => {
    const { pool, given, claim, made } = setUp({ max: 1, isHeld: true })
    const { member } = await given(null)
    const next = claim(null)
    pool.release(member, { isReusable: false })
    await settle()
    assert.equal(made.length, 1)
    member.destroying.resolve()
    assert.equal((await next).is, 'given')
  })

  test('what serves nobody makes room, the longest unused first', async () => {
    const { pool, given, clock } = setUp({ max: 2 })
    const x = await given('x')
    const y = await given('y')
    pool.release(y.member, { isReusable: true })
    clock.advance(1)
    pool.release(x.member, { isReusable: true })
    await given('z', { of: B })
    assert.deepEqual([x.member.isDestroyed, y.member.isDestroyed], [false, true])
  })

  test('slots are never shared', async () => {
    const { given } = setUp({ max: 4 })
    const all = await Promise.all(['a', 'b', 'c', 'd'].map((lease) => given(lease)))
    assert.deepEqual(new Set(all.map(({ member }) => member.slot)), new Set([0, 1, 2, 3]))
  })

  test('groups take turns, however many wait in one', async () => {
    const { pool, given, claim } = setUp({ max: 1 })
    const first = await given('crowd')
    const order: string[] = []
    const note = (name: string) => (claimed: Claimed<Piece>) => {
      order.push(name)
      if (claimed.is === 'given') pool.release(claimed.member, { isReusable: true })
    }
    const crowd = Array.from({ length: 10 }, () => claim('crowd').then(note('crowd')))
    const single = claim('single').then(note('single'))
    pool.release(first.member, { isReusable: true })
    await Promise.all([...crowd, single])
    assert.ok(order.indexOf('single') <= 1, order.join(' '))
  })

  test('a lease that is at work grows only when its calls have waited a while, one at a time', async () => {
    const { pool, given, claim, clock, made } = setUp({ max: 8, isSlow: false })
    await given('x')
    void claim('x')
    void claim('x')
    await settle()
    assert.equal(made.length, 1)
    clock.advance(150)
    await settle()
    assert.equal(made.length, 3)
    assert.equal(pool.census().queued, 0)
  })

  test('no more are made at once than there are starters', async () => {
    const { claim, makings, state } = setUp({ max: 8, starters: 2, isSlow: true })
    const all = Array.from({ length: 6 }, (_, at) => claim(`l${at}`))
    for (let at = 0; at < 6; at++) {
      await settle()
      makings[at]?.resolve()
    }
    await Promise.all(all)
    assert.equal(state.most, 2)
  })

  test('the queue is bounded in number and in time, and left when its caller goes', async () => {
    const { given, claim, clock } = setUp({ max: 1, maxQueued: 2 })
    await given('x')
    const gone = new AbortController()
    const [left, late] = [claim('y', { signal: gone.signal }), claim('z')]
    const full = await claim('w')
    assert.deepEqual([full.is, full.queueMs], ['busy', 0])
    gone.abort()
    assert.equal((await left).is, 'cancelled')
    clock.advance(1_000)
    const busy = await late
    assert.deepEqual([busy.is, busy.queueMs], ['busy', 1_000])
  })

  test('who waits for what cannot be made learns why, unless its lease is at work', async () => {
    const { pool, given, claim, state, clock } = setUp()
    const x = await given('x')
    state.fails = true
    const other = await claim('y')
    assert.deepEqual([other.is, other.is !== 'given' && other.message], ['unavailable', 'the engine is away'])
    const patient = claim('x')
    clock.advance(200)
    await settle()
    pool.release(x.member, { isReusable: true })
    assert.equal((await patient).is, 'given')
  })

  test('some are kept ahead once a profile is in use, and none when it was not for ten minutes', async () => {
    const { pool, given, clock, made } = setUp({ max: 8, parked: 2 })
    const first = await given('x')
    clock.advance(100)
    await settle()
    assert.equal(pool.census().parked, 2)
    const ahead = await given('y')
    assert.deepEqual([ahead.startMs, ahead.isBound], [0, false])
    pool.release(first.member, { isReusable: false })
    pool.release(ahead.member, { isReusable: false })
    for (let minute = 0; minute < 12; minute++) {
      clock.advance(60_000)
      await settle()
    }
    assert.equal(pool.census().parked, 0)
    assert.ok(made.every(({ isDestroyed }) => isDestroyed))
  })

  test('of those kept ahead, the oldest is given first: what was started in it had the most time to come up', async () => {
    const { given, clock, made } = setUp({ max: 6, parked: 2 })
    await given('x')
    clock.advance(100)
    await settle()
    const { member } = await given('y')
    assert.equal(made.indexOf(member), 1)
  })

  test('stop refuses those who wait and destroys what there is, also what is still being made', async () => {
    const { pool, given, claim, makings, made } = setUp({ max: 3, isSlow: true })
    const coming = claim('x')
    await settle()
    makings[0]?.resolve()
    await coming
    const waiting = claim('y')
    await settle()
    const stopped = pool.stop()
    assert.equal((await waiting).is, 'unavailable')
    makings[1]?.resolve()
    await stopped
    assert.equal(made.length, 2)
    assert.ok(made.every(({ isDestroyed }) => isDestroyed))
    assert.equal((await claim('z')).is, 'unavailable')
    void given
  })
})
