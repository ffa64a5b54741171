/** The way in: once, in order, acknowledged when it is durable and not before. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { GivenWorld } from './given.ts'

const numbers = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `number ${at}.`)

export function inboundSuite({ test }: GivenWorld): void {
  test('C1 a text comes in, is answered, and is acknowledged', [], async (stage) => {
    await stage.start()
    const answer = await stage.ask('what is this')
    assert.equal(answer.chat, 'ann')
    await stage.until(() => stage.world.unacknowledged().length === 0, 'the acknowledgement')
    const [message] = await stage.inbox()
    assert.deepEqual([message?.payload.text, message?.status], ['what is this', 'done'])
  })

  test('C2 the same message given again is one message and one answer', ['redelivery'], async (stage) => {
    await stage.start()
    const key = await stage.world.says('only once')
    await stage.answered('only once')
    await stage.world.redeliver(key)
    await stage.ask('after it')
    await stage.until(() => stage.world.unacknowledged().length === 0, 'the acknowledgement of both')
    assert.deepEqual(await stage.texts(), ['only once', 'after it'])
    assert.equal(stage.answers('only once').length, 1)
  })

  test('C5 while the store is locked nothing is acknowledged, and it is taken in when the lock is gone', [], async (stage) => {
    await stage.start()
    await stage.ask('before')
    const other = new DatabaseSync(join(stage.gateway.dir, 'sessions.db'), { timeout: 5_000 })
    other.exec('BEGIN IMMEDIATE')
    const key = await stage.world.says('while locked')
    // Longer than the gateway's patience, so that accept rejects at least once.
    await stage.never(() => !stage.world.unacknowledged().includes(key), 'it was acknowledged and not stored', 3_000)
    other.exec('ROLLBACK')
    other.close()
    await stage.answered('while locked')
    await stage.until(() => stage.world.unacknowledged().length === 0, 'the acknowledgement')
    assert.deepEqual(await stage.texts(), ['before', 'while locked'])
    assert.equal(stage.answers('while locked').length, 1)
  })

  test('C6 the messages of one conversation are taken in and answered in their order', [], async (stage) => {
    await stage.start()
    const said = numbers(stage.world.most ?? 50)
    for (const text of said) await stage.world.says(text)
    await stage.until(() => said.every((text) => stage.answers(text).length > 0), 'all answers', 60_000)
    assert.deepEqual(await stage.texts(), said)
    assert.deepEqual(
      stage.world.arrived().map(({ text }) => text.trimEnd()),
      said.map((text) => `You said: ${text}`),
    )
  })

  test('C7 a gateway that is told to stop in mid-flood has lost nothing when it is started again', [], async (stage) => {
    await stage.start()
    const said = numbers(Math.min(20, stage.world.most ?? 20))
    const saying = (async () => {
      for (const text of said) await stage.world.says(text)
    })()
    await stage.until(async () => stage.world.arrived().length > 0, 'the first answer')
    await stage.gateway.stop()
    await stage.start()
    await saying
    await stage.until(() => said.every((text) => stage.answers(text).length > 0), 'all answers', 60_000)
    assert.deepEqual(await stage.texts(), said)
    for (const text of said) assert.equal(stage.answers(text).length, 1, text)
  })

  test('C8 a paused channel takes in nothing, and what was said meanwhile when it is resumed', ['pause'], async (stage) => {
    await stage.start()
    await stage.ask('before')
    const path = `/v1/channels/${stage.channel}`
    assert.equal((await stage.gateway.fetch(`${path}/pause`, { method: 'POST' })).status, 200)
    // It may take a second until the platform's side of it is quiet.
    await stage.never(() => false, '', 1_000)
    await stage.world.says('while paused')
    await stage.never(async () => (await stage.texts()).length > 1, 'it was taken in')
    assert.equal((await stage.gateway.fetch(`${path}/resume`, { method: 'POST' })).status, 200)
    await stage.answered('while paused')
    assert.deepEqual(await stage.texts(), ['before', 'while paused'])
  })

  test('two people are two conversations', [], async (stage) => {
    await stage.start()
    await Promise.all([stage.world.says('I am ann', { from: 'ann' }), stage.world.says('I am bob', { from: 'bob' })])
    assert.equal((await stage.answered('I am ann')).chat, 'ann')
    assert.equal((await stage.answered('I am bob')).chat, 'bob')
    const sessions = (await stage.inbox()) as readonly { readonly session?: string }[]
    assert.equal(new Set(sessions.map(({ session }) => session)).size, 2)
  })

  test(
    'C19 what can never be understood becomes a dead letter or is put aside, and does not stop the next',
    ['undecodable'],
    async (stage) => {
      await stage.start()
      await stage.world.garbage()
      await stage.ask('after garbage')
      await stage.until(() => stage.world.unacknowledged().length === 0, 'the acknowledgement')
      const texts = await stage.texts()
      assert.equal(texts.filter((text) => text === 'after garbage').length, 1)
    },
  )
}
