/** Who is listened to, what is passed over, what is never told. */
import assert from 'node:assert/strict'
import type { GivenWorld } from './given.ts'

export function guardSuite({ test }: GivenWorld): void {
  test('C16 in a group only what is addressed to us is taken in', ['groups'], async (stage) => {
    await stage.start()
    await stage.world.says('among ourselves', { group: 'team', from: 'ann' })
    await stage.world.says('you there', { group: 'team', from: 'ann', mention: true })
    await stage.until(() => stage.world.arrived().length > 0, 'an answer')
    assert.equal(stage.world.arrived()[0]?.chat, 'team')
    const texts = await stage.texts()
    assert.equal(texts.length, 1)
    assert.ok(texts[0]?.includes('you there'), texts[0])
    await stage.until(() => stage.world.unacknowledged().length === 0, 'the acknowledgement of both')
  })

  test('C17 what we said ourselves is never taken in', ['echo'], async (stage) => {
    await stage.start()
    const answer = await stage.ask('say it back')
    await stage.world.echo(answer)
    await stage.ask('afterwards')
    assert.deepEqual(await stage.texts(), ['say it back', 'afterwards'])
  })

  test('C18 an edit is kept and makes no second answer', ['edits'], async (stage) => {
    await stage.start()
    const key = await stage.world.says('wrods')
    await stage.answered('wrods')
    await stage.world.edit(key, 'words')
    await stage.until(async () => (await stage.inbox()).length === 2, 'the edit')
    const [, edit] = await stage.inbox()
    assert.deepEqual([edit?.status, edit?.metadata['event'], edit?.payload.text], ['done', 'edit', 'words'])
    await stage.ask('afterwards')
    assert.equal(stage.world.arrived().length, 2)
  })

  test('a stranger is not listened to where nobody is allowed in', [], async (stage) => {
    if (!stage.world.strangers) return
    await stage.start(undefined, { access: 'allowlist' })
    await stage.world.says('let me in')
    await stage.until(() => stage.world.unacknowledged().length === 0, 'the acknowledgement')
    await stage.never(async () => (await stage.texts()).length > 0 || stage.world.arrived().length > 0, 'it was answered')
  })

  test('C21 no secret stands in the output', [], async (stage) => {
    await stage.start()
    await stage.ask('anything')
    await stage.gateway.stop()
    for (const secret of stage.world.secrets) assert.ok(!stage.gateway.output().includes(secret), 'a secret stands in the output')
  })
}
