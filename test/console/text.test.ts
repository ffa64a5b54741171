/** How hostile and unusual text is shown in a real browser: literally, in its own direction, and without breaking the page. */
import assert from 'node:assert/strict'
import { enter, inBrowser, send, useBrowser } from './browser.ts'

useBrowser()

const HOSTILE = [
  '<img src=x onerror="alert(1)"><script>alert(2)</script>',
  '[click](javascript:alert(3)) and [this](data:text/html,x) and [that](//evil.example) and javascript:alert(4)',
  '"><svg/onload=alert(5)> &lt;b&gt; {{7*7}} ${7*7}',
  'emoji 👩🏽‍🚀🇵🇹 4-byte 𝒳 and NUL \0 stays',
  'bidi \u202Egnp.exe\u202C end',
].join('\n\n')

inBrowser('hostile text appears as the text that it is, said or answered, and starts nothing', async (visit) => {
  const { page, gateway } = visit
  page.on('dialog', () => assert.fail('a script ran'))
  await enter(visit)
  await send(page, HOSTILE)
  await gateway.received('message', 1)
  const message = gateway.messages[0]
  assert.ok(message)
  assert.equal(message.text, HOSTILE)
  gateway.status(message, 'running')
  gateway.delta(message, HOSTILE)
  await page.locator('.streaming').waitFor()
  gateway.reply(message, HOSTILE)
  await page.getByRole('article', { name: 'Reply' }).waitFor()
  assert.equal(await page.locator('.bubble').textContent(), HOSTILE)
  const paragraphs = await page.locator('.reply p').allTextContents()
  assert.deepEqual(paragraphs, HOSTILE.split('\n\n'))
  assert.equal(await page.locator('.exchange :is(img, script, svg, b, a)').count(), 0)
  assert.equal(await page.locator('#conversation-list :is(img, script)').count(), 0)
})

inBrowser('text from right to left stands on the right, also beside text from left to right', async (visit) => {
  const { page, gateway } = visit
  gateway.seed('c-rtl', 'مرحبا', 'أنا بخير.\n\nAnd in English.\n\n- واحد\n- two')
  await enter(visit)
  await page.locator('.reply').waitFor()
  const directions = await page
    .locator('.bubble, .reply p, .reply li')
    .evaluateAll((nodes) => nodes.map((node) => (node.matches(':dir(rtl)') ? 'rtl' : 'ltr')))
  assert.deepEqual(directions, ['rtl', 'rtl', 'ltr', 'rtl', 'ltr'])
})

inBrowser('20,000 characters without a space wrap, and long code scrolls in its own box', async (visit) => {
  const { page, gateway } = visit
  const long = 'ab𝒳'.repeat(5_000)
  gateway.seed('c-long', long, `${long}\n\n\`\`\`\n${long}\n\`\`\``)
  await enter(visit)
  await page.locator('.reply pre').waitFor()
  assert.equal(await page.locator('.bubble').textContent(), long)
  const [overflow, codeScrolls] = await page.evaluate<[number, boolean]>(`(() => {
    const scroller = document.querySelector('#transcript')
    const code = document.querySelector('.reply pre')
    return [scroller.scrollWidth - scroller.clientWidth, code.scrollWidth > code.clientWidth]
  })()`)
  assert.equal(overflow, 0)
  assert.equal(codeScrolls, true)
})

inBrowser('the allowed Markdown becomes what it means', async (visit) => {
  const { page } = visit
  await enter(visit)
  const cases: readonly (readonly [string, string])[] = [
    ['a **b *c* d** e', '<p dir="auto">a <strong>b <em>c</em> d</strong> e</p>'],
    ['***both***', '<p dir="auto"><strong><em>both</em></strong></p>'],
    ['2 * 3 * 4, 2*3*4, snake_case_name, _so_', '<p dir="auto">2 * 3 * 4, 2*3*4, snake_case_name, <em>so</em></p>'],
    ['`a *b*` and ``c ` d``', '<p dir="auto"><code>a *b*</code> and <code>c ` d</code></p>'],
    ['\\*not\\* **open', '<p dir="auto">*not* **open</p>'],
    ['# Head\nline one\nline two', '<p dir="auto" class="heading"><strong>Head</strong></p><p dir="auto">line one\nline two</p>'],
    ['3. a\n4. b\n   - c', '<ol start="3"><li dir="auto">a</li><li dir="auto">b<ul><li dir="auto">c</li></ul></li></ol>'],
    [
      'see https://a.example/x_y(z). or <mailto:a@b.example>',
      '<p dir="auto">see <a href="https://a.example/x_y(z)" target="_blank" rel="noopener noreferrer">https://a.example/x_y(z)</a>. or &lt;<a href="mailto:a@b.example" target="_blank" rel="noopener noreferrer">mailto:a@b.example</a>&gt;</p>',
    ],
    [
      '[bank](https://evil.example/path)',
      '<p dir="auto"><a href="https://evil.example/path" target="_blank" rel="noopener noreferrer">bank</a><span class="target"> (evil.example/path)</span></p>',
    ],
    [
      '[https://bank.example](https://evil.example)',
      '<p dir="auto"><a href="https://evil.example/" target="_blank" rel="noopener noreferrer">https://bank.example</a><span class="target"> (evil.example)</span></p>',
    ],
  ]
  for (const [markdown, html] of cases) {
    const shown = await page.evaluate<string>(`import('/markdown.js').then(({ showMarkdown }) => {
      const container = document.createElement('div')
      showMarkdown(container, ${JSON.stringify(markdown)})
      return container.innerHTML
    })`)
    assert.equal(shown, html)
  }
})

inBrowser('text that grows keeps the nodes of its finished part', async (visit) => {
  const { page } = visit
  await enter(visit)
  const kept = await page.evaluate<boolean[]>(`import('/markdown.js').then(({ showMarkdown }) => {
    const container = document.createElement('div')
    showMarkdown(container, 'one\\n\\ntwo **th')
    const [first, second] = container.children
    showMarkdown(container, 'one\\n\\ntwo **three**\\n\\nfour')
    const grown = [container.children[0] === first, container.children[1] !== second, container.children.length === 3]
    showMarkdown(container, 'one')
    return [...grown, container.children[0] === first, container.children.length === 1]
  })`)
  assert.deepEqual(kept, [true, true, true, true, true])
})

inBrowser('no text makes the renderer slow', async (visit) => {
  const { page } = visit
  await enter(visit)
  const seeds = [
    '**a ',
    '*a ',
    '_a ',
    '`a ',
    '[',
    '[a](',
    '[a](x',
    '[a](https://x',
    'http://%',
    'https://a ',
    '- a\n',
    '```\n',
    '\\',
    '``` ` ',
    '# ',
    '(((',
  ]
  const spent = await page.evaluate<readonly (readonly [string, number])[]>(`import('/markdown.js').then(({ readBlocks, showMarkdown }) =>
    ${JSON.stringify(seeds)}.map((seed) => {
      const text = seed.repeat(Math.ceil(100_000 / seed.length))
      const began = performance.now()
      showMarkdown(document.createElement('div'), text)
      return [seed, Math.round(performance.now() - began)]
    }))`)
  // Each character by each would be minutes; a busy machine is only some times slower.
  for (const [seed, ms] of spent) assert.ok(ms < 10_000, `100,000 characters of ${JSON.stringify(seed)} took ${ms} ms`)
})
