/** The chat page in a real browser: what is sent, streamed, answered and told about its state. */
import assert from 'node:assert/strict'
import { enter, inBrowser, send, useBrowser } from './browser.ts'

useBrowser()

inBrowser('a message goes from sending to done, and its streamed reply is replaced by the durable one', async (visit) => {
  const { page, gateway } = visit
  await page.clock.install()
  await enter(visit)
  await page.getByRole('heading', { name: 'What can I do for you?' }).waitFor()
  gateway.holdAcks = true
  await send(page, 'Hello')
  const exchange = page.locator('.exchange')
  await exchange.getByText('Sending').waitFor()
  gateway.holdAcks = false
  gateway.cut()
  await page.clock.runFor(1_000)
  const message = await gateway.accepted('Hello')
  await exchange.getByText('Queued').waitFor()
  gateway.status(message, 'running')
  await exchange.getByText('Running').waitFor()
  gateway.delta(message, 'Good **mor')
  gateway.delta(message, 'ning**')
  await exchange.locator('.streaming strong', { hasText: 'morning' }).waitFor()
  gateway.delta(message, null)
  gateway.delta(message, 'Hi')
  await exchange.locator('.streaming', { hasText: /^Hi$/ }).waitFor()
  gateway.reply(message, 'Hi there.')
  await exchange.getByRole('article', { name: 'Reply' }).getByText('Hi there.', { exact: true }).waitFor()
  assert.equal(await page.locator('.streaming').count(), 0)
  await exchange.getByText('Done').waitFor()
  await page.clock.runFor(2_500)
  await exchange.getByText('Done').waitFor({ state: 'hidden' })
  assert.equal(await page.title(), 'Hello · OpenClaw')
})

inBrowser('a reply in parts stands in the order of its parts', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  await send(page, 'Tell me all')
  gateway.reply(await gateway.accepted('Tell me all'), 'First.', 'Second.', 'Third.')
  await page.locator('.reply').getByText('Third.').waitFor()
  assert.deepEqual(await page.locator('.reply').allInnerTexts(), ['First.', 'Second.', 'Third.'])
})

inBrowser('a retrying message says why and when, a dead one why and where it is kept', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  await send(page, 'Try')
  const message = await gateway.accepted('Try')
  gateway.status(message, 'running')
  gateway.delta(message, 'Half a wo')
  await page.locator('.streaming').waitFor()
  message.dueAt = new Date(2030, 0, 1, 14, 5, 12).toISOString()
  gateway.status(message, 'retrying', { code: 'MODEL_RATE', message: 'The model asked to slow down' })
  await page.getByText('The model asked to slow down. Next try at 14:05:12.').waitFor()
  await page.getByText('Retrying', { exact: true }).waitFor()
  assert.equal(await page.locator('.streaming').count(), 0)
  message.deadLetter = 'dl-42'
  message.dueAt = null
  gateway.status(message, 'dead', { code: 'MODEL_REFUSED', message: 'The model refused the key.' })
  await page.getByText('Dead letter', { exact: true }).waitFor()
  await page.getByText('The model refused the key. Kept whole as').waitFor()
  await page.getByText('dl-42', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Edit and send again' }).click()
  assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), 'Try')
})

inBrowser('a message that ends without a word stops being shown as running', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  await send(page, 'Be quiet')
  const message = await gateway.accepted('Be quiet')
  gateway.status(message, 'running')
  gateway.delta(message, 'Hm')
  await page.locator('.streaming').waitFor()
  gateway.status(message, 'done', { code: 'INTERRUPTED', message: 'A newer message ended this turn.' })
  await page.getByText('A newer message ended this turn.').waitFor()
  await page.locator('.streaming').waitFor({ state: 'detached' })
  assert.equal(await page.locator('.typing').count(), 0)
})

inBrowser('a refused message says why and can be edited, one that is refused for now is sent again with the same id', async (visit) => {
  const { page, gateway } = visit
  await page.clock.install()
  await enter(visit)
  gateway.refuseNext = { code: 'PAYLOAD_INVALID', detail: 'Lone surrogates are refused.', retryable: false }
  await send(page, 'Wrong')
  await page.getByText('Lone surrogates are refused.', { exact: true }).waitFor()
  await page.getByText('Not sent', { exact: true }).waitFor()
  assert.equal(await page.evaluate<number>('sessionStorage.length'), 0)
  gateway.refuseNext = { code: 'STORE_UNAVAILABLE', detail: 'The store is locked.', retryable: true, retry_after_ms: 5_000 }
  await send(page, 'Later')
  await page.getByText('The store is locked.').waitFor()
  await page.clock.runFor(5_000)
  const message = await gateway.accepted('Later')
  const ids = gateway.frames.filter((frame) => frame['payload'] === 'Later').map((frame) => frame['id'])
  assert.deepEqual(ids, [message.clientId, message.clientId])
  await page.locator('.exchange', { hasText: 'Later' }).getByText('Queued').waitFor()
})

inBrowser('a text that is too long for one message stays in the box and says so', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  await send(page, '\u0001'.repeat(180_000))
  await page.getByText('longer than one message may be').waitFor()
  assert.equal((await page.getByLabel('Message', { exact: true }).inputValue()).length, 180_000)
  assert.equal(gateway.messages.length, 0)
})

inBrowser('the list holds only conversations of whoever is signed in, the newest first, titled by their first message', async (visit) => {
  const { page, gateway } = visit
  gateway.seed('c-old', 'About the garden', 'Roses.')
  gateway.seed('c-new', 'About the car', 'Wheels.')
  gateway.seed('c-new', 'And its colour?', 'Red.')
  await enter(visit)
  const titles = page.locator('#conversation-list').getByRole('link')
  await page.getByRole('link', { name: 'About the garden' }).waitFor()
  assert.deepEqual(await titles.evaluateAll((links) => links.map((link) => link.getAttribute('aria-label'))), [
    'About the car',
    'About the garden',
  ])
  await page.locator('.reply').getByText('Red.').waitFor()
  await page.getByRole('link', { name: 'About the garden' }).click()
  await page.locator('.reply').getByText('Roses.').waitFor()
  assert.equal(await page.getByText('Wheels.').count(), 0)
  assert.match(page.url(), /#\/c\/c-old$/)
  await send(page, 'And the hedge?')
  await page.locator('#conversation-list li:first-child a[aria-label="About the garden"]').waitFor()
})

inBrowser('a reply in another conversation marks it in the list, and is there when it is opened', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  await send(page, 'Slow question')
  const message = await gateway.accepted('Slow question')
  await page.getByRole('button', { name: 'New conversation' }).click()
  await page.getByText('Slow question', { exact: true }).first().waitFor()
  await page.getByRole('heading', { name: 'What can I do for you?' }).waitFor()
  gateway.reply(message, 'Slow answer.')
  await page.getByRole('link', { name: 'Slow question, new reply' }).click()
  await page.locator('.reply').getByText('Slow answer.').waitFor()
  await page.getByRole('link', { name: 'Slow question', exact: true }).waitFor()
  assert.equal(await page.locator('.reply').count(), 1)
})

inBrowser('what is said elsewhere in the open conversation appears with its reply', async (visit) => {
  const { page, gateway } = visit
  gateway.seed('c-shared', 'Begin', 'Begun.')
  await enter(visit)
  await page.locator('.reply').getByText('Begun.').waitFor()
  await gateway.received('subscribe', 1)
  const message = gateway.sayElsewhere('c-shared', 'From the terminal')
  gateway.status(message, 'running')
  await page.locator('.said').getByText('From the terminal').waitFor()
  gateway.reply(message, 'To the terminal.')
  await page.locator('.reply').getByText('To the terminal.').waitFor()
  assert.deepEqual(await page.locator('.bubble').allInnerTexts(), ['Begin', 'From the terminal'])
})

inBrowser('news that overtakes the acknowledgement is shown with its message, which is there once', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  gateway.delayAcks = true
  await send(page, 'Quick')
  const message = await gateway.accepted('Quick')
  gateway.status(message, 'running')
  gateway.delta(message, 'At ')
  gateway.delta(message, 'once')
  gateway.sendAcks()
  await page.locator('.streaming').getByText('At once').waitFor()
  assert.equal(await page.locator('.bubble').count(), 1)
  gateway.delayAcks = true
  gateway.reply(message, 'At once.')
  await page.locator('.reply').getByText('At once.').waitFor()
  assert.ok(!gateway.requests.includes(`GET /v1/messages/${message.id}`))
})

inBrowser('a conversation that could not be loaded says so, and is loaded when asked again', async (visit) => {
  const { page, gateway, complaints } = visit
  gateway.seed('c-first', 'About boats', 'They float.')
  let isDown = true
  await page.route('**/v1/messages?*', (route) => (isDown ? route.abort() : route.continue()))
  await enter(visit)
  await page.getByText('This conversation could not be loaded.').waitFor()
  assert.equal(await page.getByRole('heading', { name: 'What can I do for you?' }).count(), 0)
  isDown = false
  await page.getByRole('button', { name: 'Try again' }).click()
  await page.locator('.reply').getByText('They float.').waitFor()
  assert.equal(await page.getByText('This conversation could not be loaded.').isVisible(), false)
  complaints.length = 0
})

inBrowser('history that comes late for a conversation that was left is not shown in another', async (visit) => {
  const { page, gateway } = visit
  gateway.seed('c-first', 'About boats', 'They float.')
  gateway.seed('c-second', 'About cars', 'They roll.')
  const late: (() => void)[] = []
  await page.route(/messages\?session=.*c-second/, (route) => void late.push(() => void route.continue().catch(() => undefined)))
  const isLate = (request: { url(): string }): boolean => request.url().includes('c-second') && request.url().includes('session=')
  const ended = Promise.race([page.waitForEvent('requestfinished', isLate), page.waitForEvent('requestfailed', isLate)])
  await enter(visit)
  await page.getByRole('link', { name: 'About boats' }).click()
  await page.locator('.reply').getByText('They float.').waitFor()
  assert.ok(late.length > 0)
  for (const go of late) go()
  await ended
  await page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))')
  assert.deepEqual(await page.locator('.bubble').allTextContents(), ['About boats'])
})

inBrowser('an answer about a message that was overtaken by news is asked for again, and does not turn back its state', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  await send(page, 'Twice')
  const message = await gateway.accepted('Twice')
  const gate = Promise.withResolvers<void>()
  await page.route(`**/v1/messages/${message.id}`, async (route) => {
    const response = await route.fetch()
    await gate.promise
    await route.fulfill({ response })
  })
  const asked = page.waitForRequest(`**/v1/messages/${message.id}`)
  gateway.status(message, 'retrying', { code: 'MODEL_RATE', message: 'Slow down.' })
  await page.getByText('Retrying', { exact: true }).waitFor()
  await asked
  const answer = `GET /v1/messages/${message.id}`
  await gateway.requested(answer, 1)
  gateway.status(message, 'running')
  await page.getByText('Running', { exact: true }).waitFor()
  gate.resolve()
  await gateway.requested(answer, 2)
  await page.getByText('Running', { exact: true }).waitFor()
  gateway.reply(message, 'At last.')
  await page.locator('.reply').getByText('At last.').waitFor()
})
