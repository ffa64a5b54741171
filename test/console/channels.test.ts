/** The channels page: what an operator sees of them and does with them. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { CONTRAST, enter, forgiveUnauthorized, inBrowser, useBrowser } from './browser.ts'
import type { Visit } from './browser.ts'
import type { FakeChannel, FakeGateway } from './fake-gateway.ts'

useBrowser()

const channel = (name: string, change: Partial<FakeChannel> = {}): FakeChannel => ({
  name,
  kind: 'phone',
  state: 'open',
  reason: null,
  paused: false,
  canLink: false,
  access: { access: 'pairing', group_access: 'allowlist' },
  pairings: [],
  ...change,
})

async function open({ page, gateway }: Visit, ...channels: readonly FakeChannel[]): Promise<void> {
  gateway.channels.push(...channels)
  await enter({ page, gateway, complaints: [] })
  await page.getByRole('link', { name: 'Channels' }).click()
  for (const { name } of channels) await page.getByRole('heading', { name, exact: true }).waitFor()
}

const card = (page: Page, name: string): ReturnType<Page['locator']> =>
  page.locator('.channel', { has: page.getByRole('heading', { name, exact: true }) })
const ask = (gateway: FakeGateway, request: string): number => gateway.requests.filter((asked) => asked === request).length

inBrowser('shows the channels with their state and why', async (visit) => {
  const { page } = visit
  await open(visit, channel('work'), channel('queue', { state: 'stopped', reason: 'The token was refused.', access: null, kind: 'queue' }))
  assert.equal(await card(page, 'work').locator('.state').textContent(), 'Open')
  assert.match((await card(page, 'work').locator('.facts').textContent()) ?? '', /last out never · direct messages: pairing/)
  assert.equal(await card(page, 'queue').locator('.state').textContent(), 'Stopped')
  await card(page, 'queue').getByText('The token was refused.').waitFor()
  assert.match((await card(page, 'queue').locator('.facts').textContent()) ?? '', /reached with keys only/)
  assert.equal(
    await page.getByRole('button', { name: 'Link a phone to work' }).count(),
    0,
    'one that cannot be linked has no button for it',
  )
})

inBrowser('pauses and resumes by keyboard, and keeps the focus', async (visit) => {
  const { page, gateway } = visit
  await open(visit, channel('work'))
  await page.getByRole('button', { name: 'Pause work' }).focus()
  await page.keyboard.press('Enter')
  await card(page, 'work').getByText('Open, paused').waitFor()
  assert.equal(gateway.channels[0]?.paused, true)
  await page.getByRole('button', { name: 'Resume work' }).press('Enter')
  await card(page, 'work').getByText('Open', { exact: true }).waitFor()
  assert.equal(gateway.channels[0]?.paused, false)
})

inBrowser('lets strangers in and denies them', async (visit) => {
  const { page, gateway } = visit
  const pairings = [
    { code: 'ABCD2345', sender: 'eve <b>', aliases: ['+49 151'] },
    { code: 'EFGH6789', sender: 'mallory', aliases: [] },
  ]
  await open(visit, channel('work', { pairings }))
  await card(page, 'work').getByText('eve <b>, +49 151').waitFor()
  await page.getByRole('button', { name: 'Let eve <b> in' }).click()
  await card(page, 'work').getByText('ABCD2345').waitFor({ state: 'detached' })
  assert.equal(ask(gateway, 'POST /v1/channels/work/pairings/ABCD2345/approve'), 1)
  await page.getByRole('button', { name: 'Deny mallory' }).click()
  await card(page, 'work').getByText('Asking to be let in').waitFor({ state: 'hidden' })
  assert.equal(ask(gateway, 'DELETE /v1/channels/work/pairings/EFGH6789'), 1)
})

inBrowser('says why something could not be done', async (visit) => {
  const { page, gateway, complaints } = visit
  await open(visit, channel('work'))
  gateway.refuseChange = 'The disk is full.'
  await page.getByRole('button', { name: 'Pause work' }).click()
  await card(page, 'work').getByRole('alert').getByText('The disk is full.').waitFor()
  complaints.length = 0
})

inBrowser('links a phone by a code that changes, or by a number, and closing ends it', async (visit) => {
  const { page, gateway } = visit
  await open(visit, channel('work', { canLink: true }))
  await page.getByRole('button', { name: 'Link a phone to work' }).click()
  const dialog = page.getByRole('dialog', { name: 'Link work' })
  const qr = dialog.getByRole('img')
  const svg = (fill: string): string =>
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2"><rect width="2" height="2" fill="${fill}"/></svg>`
  await gateway.linkingBegun(1)
  gateway.linkStep('qr', { data: 'x', svg: svg('black'), text: '' })
  await qr.waitFor()
  const image = "document.querySelector('#linking-qr')"
  assert.ok(await page.evaluate(`${image}.decode().then(() => ${image}.naturalWidth > 0)`))
  const first = await qr.getAttribute('src')
  gateway.linkStep('qr', { data: 'y', svg: svg('red'), text: '' })
  await page.waitForFunction(`${image}.getAttribute('src') !== ${JSON.stringify(first)}`)

  await dialog.getByLabel(/telephone number/).fill('+49 151 1234567')
  await page.keyboard.press('Enter')
  await gateway.linkingBegun(2)
  assert.deepEqual(gateway.linkings[1]?.body, { phone: '+49 151 1234567' })
  gateway.linkStep('code', { data: 'ABCD-1234' })
  await dialog.getByText('ABCD-1234').waitFor()
  assert.equal(await qr.count(), 0)
  gateway.linkStep('done', { as: '+49 151' })
  await dialog.getByText('Linked as +49 151.').waitFor()
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })
})

inBrowser('who is not signed in is sent to where one signs in', async ({ page, gateway, complaints }) => {
  await page.goto(`${gateway.url}/channels.html`)
  await page.getByRole('heading', { name: 'Sign in to OpenClaw' }).waitFor()
  forgiveUnauthorized(complaints)
})

for (const colorScheme of ['light', 'dark'] as const) {
  inBrowser(
    `all text has enough contrast, and 320 px are enough (${colorScheme})`,
    async (visit) => {
      const { page } = visit
      const pairings = [{ code: 'ABCD2345', sender: 'eve', aliases: ['+49 151'] }]
      await open(visit, channel('work', { pairings, canLink: true }), channel('queue', { state: 'stopped', reason: 'Refused.' }))
      assert.deepEqual(await page.evaluate(CONTRAST), [])
      if (process.env['SHOTS']) await page.screenshot({ path: `${process.env['SHOTS']}/channels-${colorScheme}.png` })
      await page.setViewportSize({ width: 320, height: 640 })
      assert.ok(await page.evaluate('document.documentElement.scrollWidth <= 320'))
      await page.getByRole('button', { name: 'Link a phone to work' }).click()
      await page.getByRole('dialog').waitFor()
      assert.ok(await page.evaluate("document.querySelector('#linking').scrollWidth <= document.querySelector('#linking').clientWidth"))
      assert.deepEqual(await page.evaluate(CONTRAST), [])
      if (process.env['SHOTS']) await page.screenshot({ path: `${process.env['SHOTS']}/linking-${colorScheme}.png` })
    },
    { colorScheme },
  )
}
