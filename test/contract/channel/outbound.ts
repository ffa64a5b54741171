/** The way out: each part once, in order, whole; a fault does what its kind says. */
import assert from 'node:assert/strict'
import type { GivenWorld, Stage } from './given.ts'

/** No white space: where a text may be cut is the renderer's business. */
const dense = (text: string): string => text.replaceAll(/\s+/g, '')
const joined = (stage: Stage): string =>
  dense(
    stage.world
      .arrived()
      .map(({ text }) => text)
      .join(''),
  )

export function outboundSuite({ test }: GivenWorld): void {
  test('C10 what the platform refuses for good is a dead letter, and the next goes out', ['permanent'], async (stage) => {
    await stage.start()
    stage.world.mishap('permanent')
    await stage.world.says('refused')
    await stage.until(async () => (await stage.deadLetters()).length === 1, 'the dead letter')
    const [letter] = await stage.deadLetters()
    assert.equal(letter?.kind, 'delivery')
    await stage.ask('next')
    assert.equal(stage.answers('refused').length, 0)
    assert.equal((await stage.status()).state, 'open')
  })

  test('C10 what fails for the moment is tried again', ['transient'], async (stage) => {
    await stage.start()
    stage.world.mishap('transient', 2)
    await stage.ask('in spite of it')
    assert.equal(stage.answers('in spite of it').length, 1)
    assert.deepEqual(await stage.deadLetters(), [])
  })

  test('C11 a rate limit is waited for, neither less nor much longer', ['rate'], async (stage) => {
    await stage.start()
    await stage.ask('before')
    const waitMs = stage.world.rateMs ?? 1_000
    stage.world.mishap('rate')
    const from = Date.now()
    const { at } = await stage.ask('slowly')
    assert.ok(at - from >= waitMs * 0.9, `${at - from} ms is too soon`)
    assert.ok(at - from <= waitMs * 1.1 + 1_500, `${at - from} ms is too late`)
    assert.equal(stage.answers('slowly').length, 1)
  })

  test('C12 a long text arrives in parts that fit, whole and in order', ['split'], async (stage) => {
    await stage.start()
    const { maxText } = stage.world
    assert.ok(maxText !== null)
    const lines = Array.from({ length: Math.ceil((maxText * 2.5) / 40) }, (_, at) => `const line${at} = 'what ${at} says'`)
    const long = `first\n\n\`\`\`ts\n${lines.join('\n')}\n\`\`\`\n\nlast`
    // It comes in by pieces where the platform does not take so long a text from people either.
    for (const piece of [long.slice(0, maxText - 100)]) await stage.world.says(piece)
    await stage.until(() => stage.world.arrived().length > 0, 'the parts')
    for (const part of stage.world.arrived()) assert.ok(part.raw.length <= maxText, `${part.raw.length} is longer than ${maxText}`)
    const expected = dense(long.slice(0, maxText - 100))
      .replaceAll('```ts', '')
      .replaceAll('```', '')
    await stage.until(() => joined(stage).replaceAll('```ts', '').replaceAll('```', '').includes(expected), 'the whole text')
  })

  test('C13 what looks like markup, mentions or tricks arrives literally', [], async (stage) => {
    await stage.start()
    for (const hostile of [
      '<!channel> <@U123> & <b>x</b>',
      '_*[`~ a_b_c 2*3*4',
      'right \u202Eto left',
      'family 👩‍👩‍👧‍👦 flag 🏳️‍🌈',
      '&lt;i&gt; \\*',
    ])
      await stage.world.says(hostile)
    const bare = (text: string): string => dense(text).replaceAll(/[\\`]/g, '')
    for (const whole of ['<!channel><@U123>&<b>x</b>', '_*[~a_b_c2*3*4', '👩‍👩‍👧‍👦', 'right'])
      await stage.until(() => bare(joined(stage)).includes(whole), `"${whole}" as it was said`)
    for (const { raw } of stage.world.arrived()) assert.ok(!raw.includes('\u0000'))
  })

  test('C14 after a failure at a part the next try begins at that part', ['split', 'transient'], async (stage) => {
    await stage.start()
    stage.world.mishap('transient', 1, 1)
    const sentences = Array.from({ length: Math.floor(((stage.world.maxText ?? 0) - 50) / 20) }, (_, at) =>
      `Sentence ${at} here.`.padEnd(19),
    )
    await stage.world.says(sentences.join(' ').trim())
    const expected = dense(sentences.join(''))
    await stage.until(() => joined(stage).includes(expected), 'all parts')
    assert.equal(joined(stage).split(dense('Sentence 3 here.')).length, 2)
    assert.deepEqual(await stage.deadLetters(), [])
  })

  test('C15 a send whose answer is lost is not made twice, and never in silence', ['lost'], async (stage) => {
    await stage.start()
    stage.world.mishap('lost')
    await stage.world.says('did it go')
    if (stage.world.resend === 'none') {
      await stage.until(async () => (await stage.deadLetters()).length === 1, 'the dead letter', 60_000)
      assert.equal((await stage.deadLetters())[0]?.reason.code, 'DELIVERY_UNKNOWN')
    } else await stage.until(() => stage.answers('did it go').length === 1, 'the answer', 60_000)
    await stage.ask('and the next')
    assert.equal(stage.answers('did it go').length, 1)
    if (stage.world.resend !== 'none') assert.deepEqual(await stage.deadLetters(), [])
  })
}
