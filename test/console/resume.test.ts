/** What a cut connection, a reload and a repeated frame do to a chat in a real browser: nothing is lost, nothing comes twice. */
import assert from 'node:assert/strict'
import { enter, inBrowser, send, useBrowser } from './browser.ts'

useBrowser()

inBrowser('a reload keeps the conversation, with states and replies', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  await send(page, 'One')
  gateway.reply(await gateway.accepted('One'), 'First answer.')
  await page.locator('.reply').getByText('First answer.').waitFor()
  await send(page, 'Two')
  const second = await gateway.accepted('Two')
  gateway.status(second, 'running')
  await page.getByText('Running').waitFor()
  const address = page.url()
  await page.reload()
  await page.getByText('Running').waitFor()
  assert.equal(page.url(), address)
  assert.deepEqual(await page.locator('.bubble').allInnerTexts(), ['One', 'Two'])
  assert.deepEqual(await page.locator('.reply').allInnerTexts(), ['First answer.'])
  assert.equal(await page.getByText('Done').isVisible(), false)
  gateway.reply(second, 'Second answer.')
  await page.locator('.reply').getByText('Second answer.').waitFor()
})

inBrowser('a cut in mid-stream is said, resumed after the highest reply, and repeats nothing', async (visit) => {
  const { page, gateway } = visit
  await page.clock.install()
  await enter(visit)
  await send(page, 'Before')
  gateway.reply(await gateway.accepted('Before'), 'Already here.')
  await page.locator('.reply').getByText('Already here.').waitFor()
  await send(page, 'Tell me')
  const message = await gateway.accepted('Tell me')
  gateway.status(message, 'running')
  gateway.delta(message, 'Once upon ')
  await page.locator('.streaming').getByText('Once upon').waitFor()
  gateway.refuseSockets = true
  gateway.cut()
  await page.getByText('Offline', { exact: true }).waitFor()
  gateway.refuseSockets = false
  await page.getByRole('button', { name: 'Try now' }).click()
  await page.getByText('Online', { exact: true }).waitFor()
  await gateway.received('subscribe', 2)
  assert.equal(gateway.frames.findLast((frame) => frame.type === 'subscribe')?.['since'], 1)
  gateway.delta(message, 'torn out of the middle')
  await send(page, 'After')
  gateway.status(await gateway.accepted('After'), 'running')
  await page.locator('.exchange').nth(2).getByText('Running').waitFor()
  await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))')
  assert.equal(await page.locator('.streaming').textContent(), 'Once upon ')
  gateway.reply(message, 'Once upon a time.')
  await page.locator('.reply').getByText('Once upon a time.').waitFor()
  assert.deepEqual(await page.locator('.reply').allInnerTexts(), ['Already here.', 'Once upon a time.'])
})

inBrowser('a reply that came during a cut is there after it, and its state with it', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  await send(page, 'While away')
  const message = await gateway.accepted('While away')
  gateway.status(message, 'running')
  await page.getByText('Running').waitFor()
  gateway.cut()
  gateway.reply(message, 'Kept for you.')
  await page.locator('.reply').getByText('Kept for you.').waitFor()
  await page.getByText('Running').waitFor({ state: 'hidden' })
  assert.equal(await page.locator('.reply').count(), 1)
})

inBrowser('what was not acknowledged is sent again with the same id after a cut and after a reload', async (visit) => {
  const { page, gateway } = visit
  await page.clock.install()
  await enter(visit)
  gateway.holdAcks = true
  await send(page, 'First words')
  await send(page, 'Second words')
  await gateway.received('message', 2)
  gateway.cut()
  await page.clock.runFor(1_000)
  await gateway.received('message', 4)
  await page.reload()
  await gateway.received('message', 6)
  assert.deepEqual(await page.locator('.bubble').allInnerTexts(), ['First words', 'Second words'])
  gateway.holdAcks = false
  gateway.cut()
  await page.clock.runFor(1_000)
  const first = await gateway.accepted('First words')
  await gateway.accepted('Second words')
  const ids = gateway.frames.filter((frame) => frame['payload'] === 'First words').map((frame) => frame['id'])
  assert.deepEqual(new Set(ids), new Set([first.clientId]))
  assert.deepEqual(
    gateway.messages.map(({ text }) => text),
    ['First words', 'Second words'],
  )
  await page.getByText('Queued').nth(1).waitFor()
  assert.equal(await page.locator('.bubble').count(), 2)
  assert.equal(await page.evaluate<number>('sessionStorage.length'), 0)
})

inBrowser('an acknowledgement that was lost on its way makes no second message', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  await send(page, 'Only once')
  const message = await gateway.accepted('Only once')
  gateway.reply(message, 'Once.')
  await page.locator('.reply').getByText('Once.').waitFor()
  const kept = [{ id: message.clientId, conversation: message.conversation, text: message.text, at: Date.now(), principal: 'admin' }]
  await page.evaluate(`sessionStorage.setItem('openclaw.unsent', ${JSON.stringify(JSON.stringify(kept))})`)
  await page.reload()
  await page.locator('.reply').getByText('Once.').waitFor()
  await gateway.received('message', 2)
  await page.locator('.bubble').nth(1).waitFor({ state: 'detached' })
  assert.equal(gateway.messages.length, 1)
  assert.equal(await page.locator('.reply').count(), 1)
})

inBrowser('reconnects wait longer each time, and not at all when the network comes back', async (visit) => {
  const { page, gateway } = visit
  await page.clock.install()
  await enter(visit)
  const delays = await page.evaluate<number[]>(
    "import('/socket.js').then(({ reconnectDelayMs }) => [0, 1, 3, 9].flatMap((n) => [0, 0.5, 1].map((random) => reconnectDelayMs(n, () => random))))",
  )
  assert.deepEqual(delays, [500, 750, 1000, 500, 1250, 2000, 500, 4250, 8000, 500, 7750, 15000])
  gateway.refuseSockets = true
  gateway.cut()
  await page.getByText('Offline', { exact: true }).waitFor()
  gateway.refuseSockets = false
  await page.clock.pauseAt(Date.now() + 60_000)
  gateway.cut()
  await page.evaluate("dispatchEvent(new Event('online'))")
  await page.getByText('Online', { exact: true }).waitFor()
})

inBrowser('a connection that fell silent is asked, and given up when nothing comes', async (visit) => {
  const { page, gateway } = visit
  await page.clock.install()
  await enter(visit)
  await page.clock.runFor(30_000)
  await gateway.received('ping', 1)
  await page.getByText('Online', { exact: true }).waitFor()
})

inBrowser('more conversations than one connection takes are followed over a new one', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  for (let n = 0; n < 82; n++) {
    await page.evaluate(`location.hash = '#/c/c-${n}'`)
    await gateway.received('subscribe', n + 2)
  }
  await page.getByText('Online', { exact: true }).waitFor()
  await send(page, 'Still here?')
  gateway.reply(await gateway.accepted('Still here?'), 'Still here.')
  await page.locator('.reply').getByText('Still here.').waitFor()
  assert.equal(gateway.connections, 2)
})
