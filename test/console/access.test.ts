/** Whether everybody can use the chat page: by keyboard, by screen reader, on a small screen, in light and dark. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'
import { CONTRAST, enter, inBrowser, send, useBrowser } from './browser.ts'

useBrowser()

const focused = (page: Page): Promise<string> =>
  page.evaluate('document.activeElement.id || document.activeElement.textContent.trim() || document.activeElement.tagName')

/** Where Tab begins in a page that was just opened. */
const TO_THE_TOP = "document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')"

inBrowser('everything is reached and done with the keyboard alone', async (visit) => {
  const { page, gateway } = visit
  gateway.seed('c-first', 'About boats', 'They float.')
  await enter(visit)
  await page.locator('.reply').getByText('They float.').waitFor()
  assert.equal(await focused(page), 'composer-text')
  await page.keyboard.press('ArrowUp')
  assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), '')
  await page.keyboard.press('Enter')
  assert.equal(gateway.frames.filter((frame) => frame.type === 'message').length, 0)
  await page.keyboard.type('line one')
  await page.keyboard.press('Shift+Enter')
  await page.keyboard.type('line two')
  await page.keyboard.press('Enter')
  await gateway.accepted('line one\nline two')
  assert.equal(await focused(page), 'composer-text')
  await page.keyboard.press('Alt+KeyN')
  await page.getByRole('heading', { name: 'What can I do for you?' }).waitFor()
  assert.equal(await focused(page), 'composer-text')
  await page.evaluate(TO_THE_TOP)
  await page.keyboard.press('Tab')
  assert.equal(await focused(page), 'skip')
  await page.keyboard.press('Enter')
  assert.equal(await focused(page), 'composer-text')
  assert.match(page.url(), /#\/c\/c-/)
  await page.evaluate(TO_THE_TOP)
  const order: string[] = []
  for (let step = 0; step < 6; step++) {
    await page.keyboard.press('Tab')
    order.push(await focused(page))
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle')
    assert.equal(outline, 'solid', `${order.at(-1)} shows no focus`)
  }
  assert.deepEqual(order.slice(0, 2), ['skip', 'new-conversation'])
  assert.match(order[2] ?? '', /^About boats/)
  assert.deepEqual(order.slice(3), ['channels-link', 'sign-out', 'transcript'])
})

inBrowser('a slash lists the commands, which are walked with the arrows, picked with Enter and left with Escape', async (visit) => {
  const { page } = visit
  await enter(visit)
  const list = page.getByRole('group', { name: 'Commands' })
  await page.keyboard.type('/')
  assert.deepEqual(await list.getByRole('button').locator('code').allTextContents(), [
    '/help',
    '/status',
    '/reset',
    '/skills',
    '/skill name',
  ])
  await page.keyboard.type('s')
  assert.deepEqual(await list.getByRole('button').locator('code').allTextContents(), ['/status', '/skills', '/skill name'])
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('ArrowUp')
  assert.equal(await focused(page), 'composer-text')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), '/status')
  assert.equal(await focused(page), 'composer-text')
  assert.equal(await list.isVisible(), false)
  await page.getByLabel('Message', { exact: true }).fill('/')
  await page.keyboard.press('Escape')
  assert.equal(await list.isVisible(), false)
})

inBrowser('landmarks, names and states are what a screen reader needs', async (visit) => {
  const { page, gateway } = visit
  gateway.seed('c-first', 'About boats', 'They float.')
  await enter(visit)
  await page.locator('.reply').getByText('They float.').waitFor()
  assert.equal(await page.getByRole('main').count(), 1)
  assert.equal(await page.getByRole('navigation', { name: 'Conversations' }).count(), 1)
  assert.equal(await page.getByRole('region', { name: 'Messages' }).count(), 1)
  assert.equal(await page.getByRole('form', { name: 'Write a message' }).count(), 1)
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), 'About boats')
  assert.equal(await page.getByRole('link', { name: 'About boats' }).getAttribute('aria-current'), 'page')
  assert.equal(await page.getByRole('textbox', { name: 'Message', exact: true }).count(), 1)
  assert.equal(await page.getByRole('article', { name: 'You' }).count(), 1)
  for (const button of await page.getByRole('button').all()) {
    const tree = await button.ariaSnapshot()
    assert.match(tree, /button "[^"]+"/, 'a button has no name')
  }
  const unnamed = await page.evaluate<string[]>(`[...document.querySelectorAll('input, textarea')]
    .filter((field) => field.labels.length === 0).map((field) => field.id)`)
  assert.deepEqual(unnamed, [])
  assert.equal(await page.evaluate<string>('document.documentElement.lang'), 'en')
})

inBrowser('a finished reply is read aloud once, without its marks; history and single tokens are not', async (visit) => {
  const { page, gateway } = visit
  gateway.seed('c-first', 'About boats', 'They float.')
  await enter(visit)
  const spoken = page.getByRole('log', { name: 'New replies' }).locator('p')
  await send(page, 'And stones?')
  const message = await gateway.accepted('And stones?')
  gateway.status(message, 'running')
  gateway.delta(message, 'They **sink')
  await page.locator('.streaming').waitFor()
  assert.deepEqual(await spoken.allTextContents(), [])
  gateway.reply(message, 'They **sink**, [see](https://a.example).')
  await spoken.waitFor()
  assert.deepEqual(await spoken.allTextContents(), ['They sink, see (a.example).'])
  assert.equal(await page.locator('#announcer').getAttribute('aria-live'), 'polite')
})

const NARROW = { viewport: { width: 320, height: 568 } }
inBrowser(
  'at 320 pixels nothing overflows, and the list is a drawer that Escape closes',
  async (visit) => {
    const { page, gateway } = visit
    const wide = `| a | ${'b'.repeat(200)} |\n\n\`\`\`\n${'c'.repeat(300)}\n\`\`\`\n\n[x](https://${'d'.repeat(60)}.example/${'e'.repeat(200)})`
    gateway.seed('c-first', 'w'.repeat(200), wide)
    const dead = gateway.seed('c-first', 'Die', '')
    dead.replies.length = 0
    Object.assign(dead, { status: 'dead', deadLetter: 'dl-01JC3V9T2MAZ8Q7X5RW4N6KP0E', reason: { code: 'X', message: 'y'.repeat(100) } })
    await enter(visit)
    await page.locator('.reply').waitFor()
    const overflow = (): Promise<number> => page.evaluate('document.documentElement.scrollWidth')
    const inner = (): Promise<number> =>
      page.evaluate("document.querySelector('#transcript').scrollWidth - document.querySelector('#transcript').clientWidth")
    assert.equal(await overflow(), 320)
    assert.equal(await inner(), 0)
    const drawer = page.getByRole('navigation', { name: 'Conversations' })
    assert.equal(await drawer.count(), 0)
    const menu = page.getByRole('button', { name: 'Conversations' })
    await menu.focus()
    await page.keyboard.press('Enter')
    await drawer.waitFor()
    assert.equal(await focused(page), 'new-conversation')
    await page.evaluate("document.querySelector('#composer-text').focus()")
    assert.equal(await focused(page), 'new-conversation', 'the focus stays in the drawer')
    assert.equal(await overflow(), 320)
    await page.keyboard.press('Escape')
    assert.equal(await focused(page), 'menu')
    await drawer.waitFor({ state: 'hidden' })
    await menu.click()
    await drawer.getByRole('link').first().click()
    await page.keyboard.press('Escape')
    gateway.refuseSockets = true
    gateway.cut()
    await page.getByText('Offline', { exact: true }).waitFor()
    assert.equal(await overflow(), 320)
  },
  NARROW,
)

for (const colorScheme of ['light', 'dark'] as const) {
  inBrowser(
    `all text has enough contrast (${colorScheme})`,
    async (visit) => {
      const { page, gateway } = visit
      gateway.seed('c-first', 'About boats', 'They `float`, [see](https://a.example).\n\n```ts\nfloat()\n```')
      for (const status of ['queued', 'running', 'retrying', 'waiting', 'dead']) {
        Object.assign(gateway.sayElsewhere('c-first', status), { status, reason: { code: 'X', message: 'Because.' } })
      }
      await enter(visit)
      await page.locator('.reply').first().waitFor()
      await page.getByLabel('Message', { exact: true }).fill('/')
      assert.deepEqual(await page.evaluate(CONTRAST), [])
      const paper = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
      assert.equal(paper, colorScheme === 'light' ? 'rgb(252, 250, 247)' : 'rgb(26, 24, 23)')
    },
    { colorScheme },
  )
}

inBrowser(
  'whoever wants less motion gets none',
  async (visit) => {
    const { page, gateway } = visit
    await enter(visit)
    await send(page, 'Run')
    gateway.status(await gateway.accepted('Run'), 'running')
    await page.locator('.typing').waitFor()
    assert.equal(await page.evaluate<number>('document.getAnimations().length'), 0)
  },
  { reducedMotion: 'reduce' },
)

inBrowser('who is signed in stands whole in the drawer, and the ways out of it in one row below', async (visit) => {
  const { page } = visit
  await enter(visit)
  for (const name of ['admin', 'https://id.example/realms/a-rather-long-realm#0b5f8c1e-alice']) {
    await page.evaluate(`document.querySelector('#principal').textContent = ${JSON.stringify(name)}`)
    const [who, channels, out] = await page.evaluate<readonly { readonly y: number; readonly bottom: number; readonly right: number }[]>(
      "['.who', '#channels-link', '#sign-out'].map((each) => document.querySelector('.account ' + each).getBoundingClientRect().toJSON())",
    )
    assert.ok(who && channels && out)
    assert.equal(channels.y, out.y, name)
    assert.ok(who.bottom <= channels.y, name)
    const drawer = await page.locator('#drawer').boundingBox()
    assert.ok(who.right <= (drawer?.width ?? 0), name)
  }
})
