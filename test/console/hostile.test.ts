/**
 * Words of strangers in every place where a page shows some: names and reasons of channels, senders who ask to be let in, what a platform gives to be
 * scanned, what the gateway says of a message. They are shown as words; the policy, which would stop what got further, is never even reached.
 */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { enter, forgiveUnauthorized, inBrowser, send, useBrowser } from './browser.ts'

useBrowser()

const MARKUP = '"><img src=x onerror="window.ran=1"><script>window.ran=2</script><b onclick=ran=3>bold</b>'

/** In an SVG of a platform that is not what it says. */
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" onload="top.ran=4"><script>top.ran=5</script><image href="https://evil.example/x.png"/><foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><script>top.ran=6</script></body></foreignObject></svg>`

async function holds(page: Page): Promise<void> {
  assert.equal(await page.evaluate('window.ran'), undefined)
  const foreign = await page.evaluate(
    `[...document.querySelectorAll('body script:not([src]), body b, body img[src=x], body [onerror], body [onclick], body foreignObject')].map((node) => node.outerHTML)`,
  )
  assert.deepEqual(foreign, [])
}

inBrowser('the channels page shows names, reasons, senders and codes of strangers as words', async (visit) => {
  const { page, gateway, complaints } = visit
  gateway.channels.push({
    name: MARKUP,
    kind: MARKUP,
    state: MARKUP,
    reason: MARKUP,
    paused: false,
    canLink: true,
    access: { access: MARKUP, group_access: MARKUP },
    pairings: [{ code: MARKUP, sender: MARKUP, aliases: [MARKUP, 'javascript:ran=7'] }],
  })
  await enter(visit)
  await page.getByRole('link', { name: 'Channels' }).click()
  const card = page.locator('.channel')
  await card.getByText('Let in', { exact: true }).waitFor()
  assert.equal(await card.getByRole('heading', { level: 2 }).textContent(), MARKUP)
  assert.ok((await card.textContent())?.includes(`${MARKUP}, ${MARKUP}, javascript:ran=7`))
  assert.equal(await card.getByText('Let in', { exact: true }).getAttribute('aria-label'), `Let ${MARKUP} in`)
  gateway.refuseChange = MARKUP
  await card.getByText('Deny', { exact: true }).click()
  await card.getByText(MARKUP).last().waitFor()
  await holds(page)
  forgiveRefused(complaints)
})

inBrowser('what a platform gives to be scanned is a picture in which nothing runs, and its words are words', async (visit) => {
  const { page, gateway } = visit
  const channel = { kind: 'phone', state: 'open', reason: null, paused: false, canLink: true, access: null, pairings: [] }
  gateway.channels.push({ name: 'phone', ...channel })
  await enter(visit)
  await page.getByRole('link', { name: 'Channels' }).click()
  await page.getByRole('button', { name: 'Link a phone to phone' }).click()
  await gateway.linkingBegun(1)
  gateway.linkStep('qr', { svg: SVG, data: MARKUP })
  await page.locator('#linking-qr').waitFor()
  await page.evaluate("document.querySelector('#linking-qr').decode()")
  await holds(page)
  gateway.linkStep('code', { data: MARKUP })
  await page.locator('#linking-code').getByText(MARKUP).waitFor()
  await holds(page)
  gateway.linkStep('failed', { why: MARKUP })
  await page.locator('#linking-status').getByText(MARKUP).waitFor()
  await holds(page)
})

inBrowser('what the gateway says of a message, of its conversation and of who is signed in is shown as words', async (visit) => {
  const { page, gateway, complaints } = visit
  gateway.seed('c-old', MARKUP, MARKUP)
  await enter(visit)
  await page.getByRole('button', { name: 'New conversation' }).click()
  await send(page, MARKUP)
  const message = await gateway.accepted(MARKUP)
  gateway.delta(message, MARKUP)
  await page.locator('.streaming').getByText('window.ran=1').waitFor()
  await holds(page)
  gateway.status(message, 'dead', { code: 'X', message: MARKUP })
  await page.locator('.why').getByText(MARKUP).waitFor()
  gateway.refuseNext = { code: 'NO', detail: MARKUP, retryable: false }
  await send(page, 'again')
  await page.locator('.why').getByText(MARKUP).last().waitFor()
  await page.getByRole('navigation').getByText(MARKUP.slice(0, 20)).first().waitFor()
  await holds(page)
  forgiveUnauthorized(complaints)
})

/** Chromium tells of each answer above 400; these were meant. */
function forgiveRefused(complaints: string[]): void {
  complaints.splice(0, complaints.length, ...complaints.filter((complaint) => !complaint.includes('status of 409')))
}
