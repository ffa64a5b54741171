/**
 * One Chromium for a test file, one page and one fake gateway for a test. A page that broke its policy, threw or logged an error
 * fails its test, whatever the test was about.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, test, type TestContext } from 'node:test'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { FakeGateway } from './fake-gateway.ts'

export const CHROMIUM: string = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium'
export const FLAGS: readonly string[] = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface Visit {
  readonly page: Page
  readonly gateway: FakeGateway
  /** What the page complained of; a test that provokes a complaint takes it out. */
  readonly complaints: string[]
}

let browser: Browser | null = null

/** Starts the browser before the file's tests and ends it after them. */
export function useBrowser(): void {
  before(async () => {
    if (existsSync(CHROMIUM)) browser = await chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS] })
  })
  after(async () => {
    await browser?.close()
    browser = null
  })
}

/** A test in the browser; it is skipped by name where there is none. */
export function inBrowser(name: string, run: (visit: Visit) => Promise<void>, options: BrowserContextOptions = {}): void {
  const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is missing`
  test(name, { skip, timeout: 60_000 }, async (context: TestContext) => {
    assert.ok(browser)
    const gateway = new FakeGateway()
    await gateway.start()
    const window = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 800 }, ...options })
    context.after(async () => {
      await window.close()
      await gateway.stop()
    })
    window.setDefaultTimeout(20_000)
    const page = await window.newPage()
    const complaints = listen(page)
    await page.addInitScript(
      "addEventListener('securitypolicyviolation', (event) => console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI))",
    )
    await run({ page, gateway, complaints })
    assert.deepEqual(complaints, [])
  })
}

/** Opens the page signed in and connected. */
export async function enter({ page, gateway }: Visit, hash = ''): Promise<void> {
  await page.goto(gateway.link)
  await page.getByText('Online', { exact: true }).waitFor()
  if (hash === '') return
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`)
}

/** Writes into the composer and sends it. */
export async function send(page: Page, text: string): Promise<void> {
  await page.locator('#composer-text').fill(text)
  await page.keyboard.press('Enter')
}

/** Takes out what Chromium says of an answer 401, which is how the page learns that nobody is signed in. */
export function forgiveUnauthorized(complaints: string[]): void {
  complaints.splice(0, complaints.length, ...complaints.filter((complaint) => !complaint.includes('status of 401 (Unauthorized)')))
}

function listen(page: Page): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(`thrown: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  return complaints
}

/** Evaluated in a page: WCAG 2.2 §1.4.3 over every text that is shown, from the computed colours; answers those that fail. */
export const CONTRAST: string = `(() => {
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const over = (colour, base) => {
    paint.fillStyle = base
    paint.fillRect(0, 0, 1, 1)
    paint.fillStyle = colour
    paint.fillRect(0, 0, 1, 1)
    return [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3)
  }
  const light = (rgb) => {
    const [r, g, b] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const poor = []
  for (const node of document.querySelectorAll('body *')) {
    const hasText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim() !== '')
    if (!hasText || !node.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue
    const layers = []
    let opacity = 1
    for (let at = node; at; at = at.parentElement) {
      layers.unshift(getComputedStyle(at).backgroundColor)
      opacity *= Number(getComputedStyle(at).opacity)
    }
    const back = layers.reduce((base, layer) => 'rgb(' + over(layer, base).join(' ') + ')', 'white')
    const [a, b] = [light(over(getComputedStyle(node).color, back)), light(over('transparent', back))].sort((x, y) => y - x)
    const ratio = ((a + 0.05) / (b + 0.05)) * (opacity < 1 ? opacity : 1)
    if (ratio < 4.5) poor.push(node.tagName + '.' + node.className + ' ' + ratio.toFixed(2))
  }
  return poor
})()`
