/** That an answer is being thought about is shown while a turn lasts, and nothing depends on it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Address, Ending } from '#contract'
import { defaultPolicy } from '../../../gateway/config/access.ts'
import { agent, inbound, reply, startHub } from '../../support/hub.ts'
import type { Hub, HubOptions } from '../../support/hub.ts'

const EVERY_MS = 4_000

interface Scene {
  readonly hub: Hub
  /** What the platform was told: `+ann` it is being thought about, `-ann` no more. */
  readonly shown: readonly string[]
  /** The turn under way. */
  readonly answer: (ending: Ending | Error) => void
}

/** An agent that thinks until the test says what came of it. */
async function scene(t: TestContext, options: HubOptions = {}): Promise<Scene> {
  const shown: string[] = []
  let answer: Scene['answer'] = () => undefined
  const hub = await startHub({
    think: () =>
      new Promise((resolve, reject) => {
        answer = (ending) => (ending instanceof Error ? reject(ending) : resolve(ending))
      }),
    ...options,
    typing: async (to: Address, isOn) => {
      shown.push(`${isOn ? '+' : '-'}${to.chat}`)
      await options.typing?.(to, isOn)
    },
    capabilities: { typingMs: EVERY_MS, ...options.capabilities },
  })
  t.after(() => {
    answer(new Error('The test is over.'))
    return hub.stop()
  })
  return { hub, shown, answer: (ending) => answer(ending) }
}

test('is shown at once, again before the platform forgets, and no more when the turn ends', async (t) => {
  const { hub, shown, answer } = await scene(t)
  const id = await hub.say('hello')
  await hub.became(id, 'running')
  assert.deepEqual(shown, ['+ann'])
  hub.clock.advance(EVERY_MS - 1)
  assert.deepEqual(shown, ['+ann'])
  await settled()
  hub.clock.advance(1)
  await settled()
  hub.clock.advance(EVERY_MS)
  assert.deepEqual(shown, ['+ann', '+ann', '+ann'])
  answer(reply('done'))
  await hub.delivered(1)
  await settled()
  assert.deepEqual(shown, ['+ann', '+ann', '+ann', '-ann'])
  hub.clock.advance(10 * EVERY_MS)
  await settled()
  assert.equal(shown.length, 4, 'no timer is left')
})

test('ends with a turn that fails, and is shown again when it is tried again', async (t) => {
  const { hub, shown, answer } = await scene(t)
  const id = await hub.say('hello')
  await hub.became(id, 'running')
  answer(new Error('no luck'))
  await hub.became(id, 'retrying')
  await settled()
  assert.deepEqual(shown, ['+ann', '-ann'])
  hub.events.length = 0
  hub.clock.advance(60_000)
  await hub.became(id, 'running')
  assert.deepEqual(shown, ['+ann', '-ann', '+ann'])
  answer(reply('done'))
  await hub.delivered(1)
})

test('a platform that refuses or throws changes nothing', async (t) => {
  for (const typing of [
    () => Promise.reject(new Error('refused')),
    () => {
      throw new Error('thrown')
    },
  ]) {
    const { hub, shown, answer } = await scene(t, { typing })
    await hub.became(await hub.say('hello'), 'running')
    await settled()
    hub.clock.advance(EVERY_MS)
    answer(reply('done'))
    await hub.delivered(1)
    await settled()
    assert.deepEqual(shown, ['+ann', '+ann', '-ann'])
  }
})

test('a platform that does not answer is not asked again, and nobody waits for it', async (t) => {
  let release = (): void => undefined
  const { hub, shown, answer } = await scene(t, {
    typing: (_, isOn) => (isOn ? new Promise((resolve) => (release = resolve)) : Promise.resolve()),
  })
  await hub.became(await hub.say('hello'), 'running')
  hub.clock.advance(3 * EVERY_MS)
  answer(reply('done'))
  await hub.delivered(1)
  await settled()
  assert.deepEqual(shown, ['+ann'])
  release()
  await settled()
  assert.deepEqual(shown, ['+ann', '-ann'], 'and the end comes after the beginning')
})

test('is shown no longer than a turn may take, even if its end cannot be stored', async (t) => {
  const agents = [agent({ limits: { ...agent().limits, turnTimeoutMs: 2 * EVERY_MS } })]
  const { hub, shown } = await scene(t, { agents })
  await hub.became(await hub.say('hello'), 'running')
  for (let at = 0; at < 6; at += 1) {
    await settled()
    hub.clock.advance(EVERY_MS)
  }
  assert.deepEqual(shown, ['+ann', '+ann'])
})

test('is not shown where replies are collected, where there is none, and while the channel is away', async (t) => {
  const others: readonly HubOptions[] = [
    { capabilities: { delivery: 'collect' } },
    { capabilities: { typingMs: null } },
    { isChannelAway: true },
  ]
  for (const options of others) {
    const { hub, shown, answer } = await scene(t, options)
    const id = await hub.say('hello')
    await hub.became(id, 'running')
    hub.clock.advance(EVERY_MS)
    answer(reply('done'))
    await hub.became(id, 'done')
    await settled()
    assert.deepEqual(shown, [])
  }
})

test('is never shown to who was not let in', async (t) => {
  const { hub, shown } = await scene(t, { capabilities: { strangers: true }, access: { ...defaultPolicy, direct: 'pairing' } })
  assert.deepEqual(await hub.ingress.accept('wire', inbound('hello', { lane: 'eve' }), {}), { status: 'refused', reason: 'stranger' })
  await settled()
  assert.deepEqual(shown, [])
})

/** What was promised has been done, as far as it waits for nothing. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
