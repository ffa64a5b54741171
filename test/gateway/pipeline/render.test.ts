/** What becomes of Markdown in a dialect, by example. Cutting is render-cut.test.ts. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { Dialect } from '#contract'
import { loadParse, parseWords, render } from '../../../gateway/pipeline/render.ts'
import type { Parse } from '../../../gateway/pipeline/render.ts'
import { angles, readTags, stars, tags } from '../../support/dialect.ts'

let parse: Parse = parseWords
before(async () => {
  parse = await loadParse()
})

function whole(text: string, dialect: Dialect = tags): { readonly text: string; readonly plain?: string } {
  const parts = render({ text }, { max: 100_000, unit: 'utf16', dialect }, parse)
  assert.equal(parts.length, 1)
  return parts[0] ?? { text: '' }
}

describe('a reply in a dialect', () => {
  const examples: readonly (readonly [what: string, source: string, text: string, plain: string])[] = [
    ['marks in one another', '**strong _and more_** ~~gone~~', '<b>strong <i>and more</i></b> <s>gone</s>', 'strong and more gone'],
    ['a mark within its like is one', '*a **b *c* d***', '<i>a <b>b c d</b></i>', 'a b c d'],
    ['code', 'run `a < b`', 'run <code>a &lt; b</code>', 'run a < b'],
    ['a heading', '## So *it* is', '<h2>So <i>it</i> is</h2>', 'So it is'],
    ['line breaks, hard and soft', 'one  \ntwo\\\nthree\nfour', 'one\ntwo\nthree\nfour', 'one\ntwo\nthree\nfour'],
    ['a break between themes', 'a\n\n***\n\nb', 'a\n\n———\n\nb', 'a\n\n———\n\nb'],
    ['quotes in one another', '> a\n>\n> > b\n\nc', '<q>a\n\n<q>b</q></q>\n\nc', 'a\n\nb\n\nc'],
    ['a fence and its language', '```ts x.ts\na *b*\n\n  c\n```', 'x.ts\n\n<pre class="ts">a *b*\n\n  c</pre>', 'x.ts\n\na *b*\n\n  c'],
    ['lists in one another', '- a\n  more\n  - b\n    7. c\n- d', '• a\n  more\n  • b\n    7. c\n• d', '• a\n  more\n  • b\n    7. c\n• d'],
    ['a loose list', '1. a\n\n   b\n\n2. c', '1. a\n\n  b\n\n2. c', '1. a\n\n  b\n\n2. c'],
    ['tasks', '- [x] done\n- [ ] not', '• ☑ done\n• ☐ not', '• ☑ done\n• ☐ not'],
    ['an item that begins with a quote', '- > a', '•\n<q>a</q>', '•\na'],
    ['an item that begins with a fence', '- ```\n  a\n  ```\n- b', '•\n<pre>a</pre>\n• b', '•\na\n• b'],
    ['a fence of nothing', 'a\n\n```\n\n```\n\nb', 'a\n\nb', 'a\n\nb'],
    ['empty items', '-\n- a\n-', '•\n• a\n•', '•\n• a\n•'],
    ['a list in a quote in an item', '- a\n\n  > - b\n  >   - c', '• a\n\n<q>• b\n  • c</q>', '• a\n\n• b\n  • c'],
    ['a link', '[**x** y](http://z/?a&b)', '<a href="http://z/?a&amp;b"><b>x</b> y</a>', 'x y (http://z/?a&b)'],
    ['a link and its title', '[x](/z "T")!', '<a href="/z">x</a> &quot;T&quot;!', 'x (/z) "T"!'],
    ['a link of no words', '[](http://z)', '<a href="http://z">http://z</a>', 'http://z'],
    ['a link to nowhere', '[a *b*]()', 'a b', 'a b'],
    [
      'bare addresses',
      'www.x.org m@x.org',
      '<a href="http://www.x.org">www.x.org</a> <a href="mailto:m@x.org">m@x.org</a>',
      'www.x.org m@x.org',
    ],
    [
      'links by reference',
      '[a][1] [1]\n\n[1]: /z\n[2]: /y',
      '<a href="/z">a</a> <a href="/z">1</a>\n\n[2]: /y',
      'a (/z) 1 (/z)\n\n[2]: /y',
    ],
    ['a reference to nothing', '[a][1]', '[a][1]', '[a][1]'],
    ['pictures', '![p](/p) ![](/q) ![r]\n\n[r]: /r', '<a href="/p">p</a> <a href="/q">/q</a> <a href="/r">r</a>', 'p (/p) /q r (/r)'],
    ['a picture in a link', '[![p](/p)](/z)', '<a href="/z">p (/p)</a>', 'p (/p) (/z)'],
    ['a footnote', 'a[^1]\n\n[^1]: b', 'a[^1]\n\n[^1]: b', 'a[^1]\n\n[^1]: b'],
    ['a footnote that is a fence', '[^1]\n\n[^1]:\n\n    ```\n    b\n    ```', '[^1]\n\n[^1]:\n\n<pre>b</pre>', '[^1]\n\n[^1]:\n\nb'],
    ['a footnote of nothing', 'a[^1]\n\n[^1]:', 'a[^1]\n\n[^1]:', 'a[^1]\n\n[^1]:'],
    ['HTML as it is written', 'a <b>b</b>\n\n<!-- c -->', 'a &lt;b&gt;b&lt;/b&gt;\n\n&lt;!-- c --&gt;', 'a <b>b</b>\n\n<!-- c -->'],
    ['signs by their names', '&lt;i&gt; \\*', '&lt;i&gt; *', '<i> *'],
  ]
  for (const [what, source, text, plain] of examples) test(what, () => assert.deepEqual(whole(source), { text, plain }))

  test('a table is aligned, wide characters counted as wide', () => {
    const table = '| name | count |\n|---|--:|\n| **中文** | 1 |\n| [b](/u) | 22 |'
    const plain = 'name   │ count\n───────┼──────\n中文   │     1\nb (/u) │    22'
    assert.deepEqual(whole(table), { text: `<pre>${plain}</pre>`, plain })
  })
  test('a table too wide for a telephone is written in lines and keeps its marks', () => {
    const wide = 'w'.repeat(60)
    const { text, plain } = whole(`| a | *b* |\n|---|---|\n| ${wide} | [c](/u) |\n| ${'v'.repeat(300)} |`)
    assert.equal(text, `<b>a</b> │ <b><i>b</i></b>\n${wide} │ <a href="/u">c</a>\n${'v'.repeat(300)}`)
    assert.equal(plain, `a │ b\n${wide} │ c (/u)\n${'v'.repeat(300)}`)
  })
  test('a star inside of a word is a star, and so is the other', () => {
    assert.equal(whole('2*3*4 a*b* *c*d *e* **f**g').text, '2*3*4 a*b* *c*d <i>e</i> <b>f</b>g')
  })
  test('a text that is nothing but marks means them', () => {
    for (const sign of ['#', '[]()', '> ', '```', '```\n```', '[x]: /y']) assert.equal(readTags(whole(sign).text), sign.trim())
  })
  test('white space alone, or nothing, is no part', () => {
    for (const text of ['', ' \n\n\t ', '\u0000']) assert.deepEqual(render({ text }, { max: 10, unit: 'utf16', dialect: tags }, parse), [])
    assert.deepEqual(render({ text: '' }, { max: 10, unit: 'utf16', dialect: null }, parse), [])
  })
  test('hostile text arrives literally', () => {
    const literal = [
      '<!channel> <@U123> & <b>x</b>',
      '_*[`~ a_b_c 2*3*4',
      'right \u202Eto left',
      '👩‍👩‍👧‍👦 🏳️‍🌈',
      '"><script>alert(1)</script>',
      'a \\ b \\d',
    ]
    for (const text of literal) {
      assert.equal(readTags(whole(text).text), text)
      assert.equal(whole(text).plain, text)
      assert.equal(whole(text, stars).text, text)
      assert.doesNotMatch(whole(text, angles).text, /<!|<@/)
    }
  })
  test('what platforms refuse is left out where there is a dialect, and nowhere else', () => {
    assert.deepEqual(whole('a\u0000b\u0007\r\nc\rd\te\u007F \uD800.'), { text: 'ab\nc\nd\te \uFFFD.', plain: 'ab\nc\nd\te \uFFFD.' })
    assert.deepEqual(render({ text: 'a\u0000\r\n*b*' }, { max: 99, unit: 'utf16', dialect: null }, parse), [{ text: 'a\u0000\r\n*b*' }])
  })
  test('nesting beyond all sense is words', () => {
    const quotes = `${'> '.repeat(40)}deep`
    assert.match(whole(quotes).text, /^(<q>){33}deep(<\/q>){33}$|^(<q>)+[^<]*deep(<\/q>)+$/)
    const marks = `${'*a '.repeat(60)}deep${' a*'.repeat(60)}`
    assert.match(whole(marks).plain ?? '', /deep/)
    assert.equal(whole(`${'> '.repeat(2_000)}deep`).plain, `${'> '.repeat(2_000)}deep`)
    assert.match(whole(`${'>'.repeat(10_000)}deep`).plain ?? '', /deep/)
  })
})
