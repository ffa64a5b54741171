/** A newcomer in the browser, against the real gateway: the printed link, a chat, a reload, and a gateway that dies meanwhile. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { chromium } from 'playwright-core'
import type { Locator } from 'playwright-core'
import { CHROMIUM, FLAGS } from '../console/browser.ts'
import { startGateway } from '../support/gateway-process.ts'

const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is missing`

test(
  'the printed link opens a chat that answers, survives a reload, and goes on after kill -9',
  { skip, timeout: 120_000 },
  async (context) => {
    const gateway = await startGateway(context)
    const link = /http:\S+#code=\S+/.exec(gateway.output())?.[0]
    assert.ok(link, gateway.output())
    assert.ok(!gateway.output().includes(gateway.key), 'the admin key is printed nowhere')
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS] })
    context.after(() => browser.close())
    const page = await browser.newPage()
    page.setDefaultTimeout(30_000)
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(String(error)))

    await page.goto(link)
    await page.getByText('Online', { exact: true }).waitFor()
    assert.ok(!page.url().includes('code='), 'the code leaves the address')
    const [cookie] = await page.context().cookies()
    assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, 'Strict'])

    const say = async (text: string): Promise<void> => {
      await page.locator('#composer-text').fill(text)
      await page.keyboard.press('Enter')
    }
    const reply = (text: string): Locator => page.getByRole('article', { name: 'Reply' }).getByText(text)
    await say('What a day')
    await reply('You said: What a day').waitFor()
    await page.reload()
    await reply('You said: What a day').waitFor()

    // What is written while the gateway is dead is sent when it is back, at the same address.
    const { port } = new URL(gateway.url)
    await gateway.kill9()
    await say('Are you there')
    await startGateway(context, { dir: gateway.dir, env: { OPENCLAW_PORT: port } })
    await reply('You said: Are you there').waitFor()
    assert.equal(await reply('You said: What a day').count(), 1)
    assert.equal(await reply('You said: Are you there').count(), 1)
    assert.deepEqual(complaints, [])

    // The link was for one use.
    const stranger = await browser.newPage()
    await stranger.goto(link)
    await stranger.getByLabel(/key/i).first().waitFor()
  },
)
