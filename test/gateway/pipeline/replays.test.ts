/** Letters that are brought back together: in their order, each at its time, and none held up by another. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_TENANT, InvalidError } from '#contract'
import type { DeadLetterId } from '#contract'
import { reply, startHub, textOf } from '../../support/hub.ts'
import type { Hub } from '../../support/hub.ts'

/** A hub whose agent gives up whatever it is asked, until it is mended. */
async function broken(): Promise<{ hub: Hub; heard: string[]; mend: () => void }> {
  const heard: string[] = []
  let isBroken = true
  const hub = await startHub({
    think: async (turn) => {
      if (isBroken) throw new InvalidError('It is broken.', { code: 'BROKEN' })
      heard.push(textOf(turn))
      return reply('ok')
    },
  })
  return { hub, heard, mend: () => void (isBroken = false) }
}

async function givenUp(hub: Hub, texts: readonly string[]): Promise<void> {
  for (const text of texts) await hub.became(await hub.say(text), 'dead')
}

const openIn = (hub: Hub): Promise<readonly { readonly id: DeadLetterId; readonly replayAt: number | null }[]> =>
  hub.store.deadLetters.list({ tenant: DEFAULT_TENANT, status: 'open' }, null, 99)

const all = { filter: { tenant: DEFAULT_TENANT }, limit: 100, everyMs: 0, isDry: false }

test('all go out in the order in which they were given up', async () => {
  const { hub, heard, mend } = await broken()
  try {
    await givenUp(hub, ['one', 'two', 'three'])
    mend()
    const dry = await hub.deadLetters.plan({ ...all, isDry: true, limit: 2 })
    assert.deepEqual([dry.matched, dry.letters.length, (await openIn(hub)).length], [3, 2, 3])
    const plan = await hub.deadLetters.plan(all)
    assert.deepEqual([plan.matched, plan.letters.length], [3, 3])
    await hub.delivered(3)
    assert.deepEqual(heard, ['one', 'two', 'three'])
    assert.deepEqual(await openIn(hub), [])
    assert.deepEqual(await hub.deadLetters.plan(all), { matched: 0, letters: [] })
  } finally {
    await hub.stop()
  }
})

test('so many a second, and what is asked for next begins without waiting for the rest', async () => {
  const { hub, heard, mend } = await broken()
  try {
    await givenUp(hub, ['one', 'two', 'three'])
    mend()
    const from = hub.clock.now()
    const plan = await hub.deadLetters.plan({ ...all, everyMs: 60_000, limit: 2 })
    assert.deepEqual(
      plan.letters.map(({ at }) => at - from),
      [0, 60_000],
    )
    await hub.delivered(1)
    await hub.clock.timerAt(from + 60_000)
    await hub.deadLetters.plan(all)
    await hub.delivered(2)
    assert.deepEqual(heard, ['one', 'three'])
    await hub.clock.timerAt(from + 60_000)
    hub.clock.advance(60_000)
    await hub.delivered(3)
    assert.deepEqual(heard, ['one', 'three', 'two'])
  } finally {
    await hub.stop()
  }
})

test('one that has nowhere to go stays open, as if nobody had asked, and holds up no other', async () => {
  const { hub, heard, mend } = await broken()
  try {
    hub.reroute([], null)
    await givenUp(hub, ['lost'])
    hub.reroute([], 'main')
    await givenUp(hub, ['found'])
    hub.reroute([], null)
    mend()
    await hub.deadLetters.plan(all)
    await hub.delivered(1)
    assert.deepEqual(heard, ['found'])
    const [left, ...more] = await openIn(hub)
    assert.deepEqual([left?.replayAt, more], [null, []])
  } finally {
    await hub.stop()
  }
})
