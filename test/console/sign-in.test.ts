/** Who may see the page, in a real browser: the one-time link, the key, what the address and the storage keep of them. */
import assert from 'node:assert/strict'
import { enter, forgiveUnauthorized, inBrowser, send, useBrowser } from './browser.ts'

useBrowser()

inBrowser('the start-up link signs in, and its code is in neither the address nor the history nor any storage', async (visit) => {
  const { page, gateway } = visit
  await page.goto(gateway.link)
  await page.waitForURL(/#\/c\//)
  assert.equal(
    gateway.requests.find((request) => request.endsWith('/v1/console/session')),
    'POST /v1/console/session',
  )
  assert.ok(!page.url().includes(gateway.code))
  assert.equal(await page.evaluate<number>('history.length'), 2)
  await page.goBack()
  assert.ok(!page.url().includes(gateway.code))
  await page.goForward()
  const kept = await page.evaluate<string>('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])')
  assert.equal(kept, '[{},{},""]')
})

inBrowser('a code that was used before gives the form and says why, and a wrong key says so', async (visit) => {
  const { page, gateway, complaints } = visit
  await page.goto(`${gateway.url}/#code=used-before`)
  await page.getByText('already used or has expired').waitFor()
  assert.equal(page.url(), `${gateway.url}/`)
  assert.equal(await page.title(), 'Sign in · OpenClaw')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('Paste the API key first.').waitFor()
  await page.getByLabel('API key').fill('oc_wrong')
  await page.keyboard.press('Enter')
  await page.getByText('That key is not known here.').waitFor()
  assert.equal(await page.getByLabel('API key').getAttribute('aria-invalid'), 'true')
  await page.getByLabel('API key').fill(gateway.key)
  await page.keyboard.press('Enter')
  await page.getByText('Online', { exact: true }).waitFor()
  assert.equal(await page.locator('#sign-in-key').inputValue(), '')
  forgiveUnauthorized(complaints)
})

inBrowser('a new start-up link works in a page that shows the form', async (visit) => {
  const { page, gateway, complaints } = visit
  await page.goto(gateway.url)
  await page.getByLabel('API key').waitFor()
  await page.evaluate(`location.hash = 'code=${gateway.code}'`)
  await page.getByText('Online', { exact: true }).waitFor()
  assert.ok(!page.url().includes(gateway.code))
  forgiveUnauthorized(complaints)
})

inBrowser('a session that is revoked leads to the form, and what was unsent is sent after the next sign-in', async (visit) => {
  const { page, gateway, complaints } = visit
  await enter(visit)
  gateway.holdAcks = true
  await send(page, 'Do not lose me')
  await gateway.received('message', 1)
  gateway.revoke()
  await page.getByText('Your session ended.').waitFor()
  assert.equal(await page.getByText('Do not lose me').count(), 0)
  gateway.holdAcks = false
  await page.getByLabel('API key').fill(gateway.key)
  await page.keyboard.press('Enter')
  const message = await gateway.accepted('Do not lose me')
  gateway.reply(message, 'Here I am.')
  await page.locator('.reply').getByText('Here I am.').waitFor()
  forgiveUnauthorized(complaints)
})

inBrowser('signing out ends the session and leaves no words behind', async (visit) => {
  const { page, gateway, complaints } = visit
  await enter(visit)
  gateway.holdAcks = true
  await send(page, 'Something private')
  await gateway.received('message', 1)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('You are signed out.').waitFor()
  assert.ok(gateway.requests.includes('DELETE /v1/console/session'))
  assert.equal(await page.evaluate<number>('sessionStorage.length'), 0)
  assert.ok(!(await page.content()).includes('Something private'))
  assert.ok(!page.url().includes('#'))
  forgiveUnauthorized(complaints)
})

inBrowser('signing out with no gateway says that it did not work, and stays', async (visit) => {
  const { page, complaints } = visit
  await enter(visit)
  await page.route('**/v1/console/session', (route) => route.abort())
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('The gateway does not answer.').waitFor()
  assert.equal(await page.getByLabel('Message', { exact: true }).isVisible(), true)
  complaints.length = 0
})

inBrowser('a gateway that cannot be reached is said to be so, and asked again', async (visit) => {
  const { page, gateway, complaints } = visit
  await page.clock.install()
  let isDown = true
  await page.route('**/v1/whoami', (route) => (isDown ? route.abort() : route.continue()))
  await page.goto(gateway.link)
  await page.getByText('The gateway does not answer. Trying again').waitFor()
  isDown = false
  await page.clock.runFor(2_000)
  await page.getByText('Online', { exact: true }).waitFor()
  complaints.length = 0
})

inBrowser('an endpoint or a token in the address is ignored', async (visit) => {
  const { page, gateway } = visit
  await enter(visit)
  const sockets: string[] = []
  page.on('websocket', (socket) => sockets.push(socket.url()))
  await page.goto(`${gateway.url}/?gatewayUrl=ws://203.0.113.1/&token=stolen#/c/c-x&gateway=ws://203.0.113.1`)
  await page.getByText('Online', { exact: true }).waitFor()
  assert.deepEqual(sockets, [`${gateway.url.replace('http', 'ws')}/v1/ws`])
})

inBrowser('a key that may read only says so, and its conversations can be read', async (visit) => {
  const { page, gateway } = visit
  gateway.scopes = ['messages:read', 'sessions:read']
  gateway.seed('c-first', 'About boats', 'They float.')
  await page.goto(gateway.link)
  await page.getByText('Not allowed to chat').waitFor()
  await page.locator('.reply').getByText('They float.').waitFor()
  await send(page, 'Hello')
  await page.getByText('it lacks messages:write').waitFor()
  assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), 'Hello')
})
