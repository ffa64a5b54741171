/** The line breaks, the platform says no, the gateway is restarted again and again. */
import assert from 'node:assert/strict'
import type { GivenWorld } from './given.ts'

export function disturbanceSuite({ test }: GivenWorld): void {
  test('C9 after a cut it is back by itself, and nothing that was said is lost', ['cut'], async (stage) => {
    await stage.start()
    await stage.ask('before')
    await stage.world.cut()
    await stage.world.says('right after the cut')
    await stage.answered('right after the cut')
    await stage.ask('later')
    assert.deepEqual(await stage.texts(), ['before', 'right after the cut', 'later'])
    assert.equal((await stage.status()).state, 'open')
  })

  test('C6 a cut in the middle of many messages loses none, and none is taken in twice', ['cut'], async (stage) => {
    await stage.start()
    const said = Array.from({ length: stage.world.most ?? 50 }, (_, at) => `number ${at}.`)
    for (const [at, text] of said.entries()) {
      await stage.world.says(text)
      if (at === Math.floor(said.length / 2)) await stage.world.cut()
    }
    await stage.until(async () => (await stage.texts()).length >= said.length, 'all messages', 60_000)
    await stage.until(() => stage.world.unacknowledged().length === 0, 'all acknowledgements')
    const settled = async (): Promise<boolean> => stage.world.arrived().length + (await stage.deadLetters()).length >= said.length
    await stage.until(settled, 'every answer or its dead letter', 60_000)
    assert.deepEqual(await stage.texts(), said)
    for (const text of said) assert.ok(stage.answers(text).length <= 1, text)
    if (stage.world.resend !== 'none') assert.deepEqual(await stage.deadLetters(), [])
  })

  test('C20 refused credentials stop the channel with a reason, without a storm, and leave the rest alone', ['auth'], async (stage) => {
    await stage.world.refuseCredentials()
    await stage.start()
    await stage.until(async () => (await stage.status()).state === 'stopped', 'the stop')
    const { reason } = await stage.status()
    assert.ok(reason)
    const tried = stage.world.refusals()
    await stage.never(() => stage.world.refusals() > tried, 'it was tried again', 1_500)
    assert.ok(tried <= 3, `tried ${tried} times`)
    assert.equal((await stage.gateway.fetch('/readyz')).status, 200)
  })

  test('ten restarts leave one live connection', ['cut'], async (stage) => {
    for (let round = 0; round < 10; round++) {
      await stage.start()
      await (round % 2 === 0 ? stage.gateway.kill9() : stage.gateway.stop())
    }
    await stage.start()
    await stage.ask('still there')
    await stage.until(() => stage.world.connections() === 1, `one connection of ${stage.world.connections()}`)
  })
}
