/** Killed at the points that matter: nothing acknowledged is lost, nothing is said twice. */
import assert from 'node:assert/strict'
import type { GivenWorld } from './given.ts'

export function crashSuite({ test }: GivenWorld): void {
  for (const [name, point] of [
    ['C3 killed before a message is stored, it comes again and is answered once', 'before accept'],
    ['C4 killed after it is stored and before it is acknowledged, it is one message and one answer', 'after accept'],
  ] as const) {
    test(name, [], async (stage) => {
      await stage.start(point)
      const key = await stage.world.says('in the middle')
      await stage.died()
      assert.ok(stage.world.unacknowledged().includes(key), 'it was acknowledged')
      await stage.start(point)
      await stage.answered('in the middle')
      await stage.until(() => stage.world.unacknowledged().length === 0, 'the acknowledgement')
      await stage.ask('afterwards')
      assert.deepEqual(await stage.texts(), ['in the middle', 'afterwards'])
      assert.equal(stage.answers('in the middle').length, 1)
    })
  }

  for (const [name, point] of [
    ['killed before a part is marked as being sent, it is sent once', 'before sending'],
    ['killed after it is marked and before it is sent, nobody gets it twice', 'after sending'],
    ['killed after it is sent and before that is noted, nobody gets it twice', 'before sent'],
    ['killed after it is noted, it is over', 'after sent'],
  ] as const) {
    test(name, ['push'], async (stage) => {
      await stage.start(point)
      await stage.world.says('on its way')
      await stage.died()
      await stage.start(point)
      await stage.ask('the next')
      const count = stage.answers('on its way').length
      const letters = (await stage.deadLetters()).length
      const { resend } = stage.world
      const isUnknown = resend !== 'id' && point !== 'before sending' && point !== 'after sent'
      // A platform that can be asked may still not be able to tell that it does not have it.
      const isSettled = resend === 'confirm' && letters === 0
      if (!isUnknown || isSettled) assert.equal(count, 1)
      else {
        assert.equal(count, point === 'before sent' ? 1 : 0)
        assert.deepEqual(
          (await stage.deadLetters()).map(({ reason }) => reason.code),
          ['DELIVERY_UNKNOWN'],
        )
      }
    })
  }
}
