/** Long conversations in a real browser: pages of history, what follows the end, and what 2,000 messages cost. */
import assert from 'node:assert/strict'
import { enter, inBrowser, send, useBrowser } from './browser.ts'

useBrowser()

/** Resolves when the end of the transcript is in sight; what comes into sight may still be laid out. */
const AT_THE_END = `new Promise((resolve, reject) => {
  const began = performance.now()
  const look = () => {
    const { scrollTop, scrollHeight, clientHeight } = document.querySelector('#transcript')
    const left = scrollHeight - scrollTop - clientHeight
    if (left < 2) resolve()
    else if (performance.now() - began > 5000) reject(new Error('the end is ' + left + ' px away'))
    else requestAnimationFrame(look)
  }
  look()
})`

/** A frame of the WebSocket is a task, and so is a picture: what is put off to the next picture changes the page once for many. */
const COUNT_CHANGES = `
  globalThis.changes = 0
  new MutationObserver(() => globalThis.changes++).observe(document.querySelector('#exchanges'), { subtree: true, childList: true })`

inBrowser('the end stays in sight while the reader is there, and is offered when the reader is not', async (visit) => {
  const { page, gateway } = visit
  for (let n = 0; n < 30; n++) gateway.seed('c-long', `Question ${n}`, `Answer ${n}.`)
  await enter(visit)
  await page.locator('.reply').getByText('Answer 29.').waitFor()
  await page.evaluate(AT_THE_END)
  await send(page, 'Next')
  const message = await gateway.accepted('Next')
  gateway.status(message, 'running')
  for (let n = 0; n < 40; n++) gateway.delta(message, `line ${n}\n\n`)
  await page.locator('.streaming').getByText('line 39').waitFor()
  await page.evaluate(AT_THE_END)
  const button = page.getByRole('button', { name: 'New messages' })
  await page.locator('#transcript').evaluate((node) => node.scrollTo({ top: 0, behavior: 'instant' }))
  gateway.reply(message, 'Finished.')
  await button.waitFor()
  assert.equal(await page.locator('#transcript').evaluate((node) => node.scrollTop), 0)
  await button.click()
  await button.waitFor({ state: 'hidden' })
  await page.evaluate(AT_THE_END)
})

inBrowser('older pages come when the reader goes up, in order, and the place is kept', async (visit) => {
  const { page, gateway } = visit
  for (let n = 0; n < 120; n++) gateway.seed('c-long', `Question ${n}`, `Answer ${n}.`)
  await enter(visit)
  await page.locator('.reply').getByText('Answer 119.').waitFor()
  assert.equal(await page.locator('.exchange').count(), 50)
  await page.locator('#transcript').evaluate((node) => node.scrollTo({ top: 0, behavior: 'instant' }))
  await page.locator('.exchange').nth(99).waitFor({ state: 'attached' })
  const place = await page.locator('.bubble').getByText('Question 70', { exact: true }).boundingBox()
  assert.ok(place && place.y > 0 && place.y < 300, `the first message of before stands at ${place?.y}`)
  // Without the pointer, which would scroll to it first: that brings the page by itself and takes the button away.
  await page.locator('#earlier').evaluate((button) => (button as unknown as { click(): void }).click())
  await page.locator('.exchange').nth(119).waitFor({ state: 'attached' })
  assert.equal(await page.getByRole('button', { name: 'Earlier messages' }).count(), 0)
  const texts = await page.locator('.bubble').allTextContents()
  assert.deepEqual(
    texts,
    Array.from({ length: 120 }, (_, n) => `Question ${n}`),
  )
})

inBrowser('of 2,000 messages only those in sight are laid out', async (visit) => {
  const { page, gateway } = visit
  for (let n = 0; n < 2_000; n++) gateway.seed('c-long', `Question ${n}`, `Answer ${n}, **with** some \`words\` in it.\n\n- one\n- two`)
  await enter(visit)
  for (let count = 50; count < 2_000; count += 50) {
    await page
      .locator('.exchange')
      .nth(count - 1)
      .waitFor({ state: 'attached' })
    await page.locator('#earlier').evaluate((button) => (button as unknown as { click(): void }).click())
  }
  await page.locator('.exchange').nth(1_999).waitFor({ state: 'attached' })
  const laidOut = await page.evaluate<number>(
    "[...document.querySelectorAll('.reply')].filter((node) => node.checkVisibility({ contentVisibilityAuto: true })).length",
  )
  assert.ok(laidOut < 60, `${laidOut} of 2,000 replies are laid out`)
  await send(page, 'Still quick?')
  const message = await gateway.accepted('Still quick?')
  gateway.status(message, 'running')
  await page.locator('.typing').waitFor()
  await page.evaluate(COUNT_CHANGES)
  for (let n = 0; n < 500; n++) gateway.delta(message, `word${n} `)
  await page.locator('.streaming').getByText('word499').waitFor()
  const changes = await page.evaluate<number>('changes')
  assert.ok(changes < 250, `500 deltas were ${changes} changes of the page`)
  gateway.reply(message, 'Yes.')
  await page.locator('.reply').getByText('Yes.', { exact: true }).waitFor()
})
