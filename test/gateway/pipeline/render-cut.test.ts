/** How a reply becomes parts: each within the limit, whole in itself, and all of them together every word there was. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import type { Dialect, Rendered } from '#contract'
import { loadParse, parseWords, render } from '../../../gateway/pipeline/render.ts'
import type { Parse } from '../../../gateway/pipeline/render.ts'
import { angles, readTags, stars, tags } from '../../support/dialect.ts'
import { markdown } from '../../support/markdown.ts'

let parse: Parse = parseWords
before(async () => {
  parse = await loadParse()
})

interface Cutting {
  readonly dialect?: Dialect | null
  readonly unit?: 'utf16' | 'bytes'
  readonly read?: Parse
}

const cut = (text: string, max: number, { dialect = tags, unit = 'utf16', read = parse }: Cutting = {}): readonly Rendered[] =>
  render({ text }, { max, unit, dialect }, read)
const texts = (text: string, max: number, how: Cutting = {}): readonly string[] => cut(text, max, how).map((part) => part.text)
const words = (text: string, max: number, unit: 'utf16' | 'bytes' = 'utf16'): readonly string[] => texts(text, max, { dialect: null, unit })

const dense = (text: string): string => text.replaceAll(/\s+/g, '')
const plainOf = (parts: readonly Rendered[]): string => dense(parts.map(({ plain }) => plain ?? '').join(''))
const sizeOf = (text: string, unit: 'utf16' | 'bytes'): number => (unit === 'bytes' ? Buffer.byteLength(text) : text.length)
/** A link in pieces says in its last where it leads, and in each of them holds the address. */
const withoutAddresses = (text: string): string => dense(text).replaceAll(/\(http:\/\/link\.test\/\d+\)/g, '')

describe('parts of any document', () => {
  const seeds = Array.from({ length: 6 }, (_, seed) => seed + 1)
  const limits = [10, 11, 17, 33, 64, 140, 1_000, 4_096]
  const dialects = { tags, stars, angles }
  const leaves = new Map<string, ReturnType<Parse>>()
  /** Each document is read once and cut in dozens of ways. Leaves are read-only. */
  const read: Parse = (text) => {
    const known = leaves.get(text) ?? parse(text)
    leaves.set(text, known)
    return known
  }
  for (const [name, dialect] of Object.entries(dialects)) {
    for (const unit of ['utf16', 'bytes'] as const) {
      test(`keep to the limit in ${unit} and lose no word, in ${name}`, () => {
        for (const seed of seeds) {
          const document = markdown(seed, 8)
          const all = plainOf(cut(document.text, 1_000_000, { dialect, unit, read }))
          let at = 0
          for (const word of document.words) {
            at = all.indexOf(word, at)
            assert.notEqual(at, -1, `seed ${seed}: ${word} is missing, or not in its place`)
          }
          for (const max of limits) {
            const parts = cut(document.text, max, { dialect, unit, read })
            assert.equal(plainOf(parts), all, `seed ${seed}, at most ${max}`)
            for (const { text, plain = '' } of parts) {
              assert.ok(sizeOf(text, unit) <= max && sizeOf(plain, unit) <= max, `seed ${seed}, more than ${max}: ${text}`)
              assert.ok(text.isWellFormed())
            }
          }
        }
      })
    }
  }
  test('are whole in themselves: each mark that is opened is closed', () => {
    for (const seed of seeds) {
      const { text } = markdown(seed, 8)
      for (const max of limits) {
        for (const part of cut(text, max, { read })) assert.equal(withoutAddresses(readTags(part.text)), withoutAddresses(part.plain ?? ''))
        for (const part of cut(text, max, { dialect: stars, read })) {
          assert.equal(part.text.split('```').length % 2, 1, part.text)
          for (const line of part.text.split('\n')) for (const sign of '*_~') assert.equal(line.split(sign).length % 2, 1, line)
        }
      }
    }
  })
  test('are the same again', () => {
    const { text } = markdown(3, 8)
    assert.deepEqual(cut(text, 140), cut(text, 140))
  })
})

describe('a cut', () => {
  test('is made between blocks, then lines, sentences, words, characters', () => {
    assert.deepEqual(texts('One one.\n\nTwo two.\n\nThree.', 20), ['One one.\n\nTwo two.', 'Three.'])
    assert.deepEqual(texts('one one\ntwo two\nthree', 18), ['one one\ntwo two', 'three'])
    assert.deepEqual(texts('One two. Three four five', 16), ['One two.', 'Three four five'])
    assert.deepEqual(texts('one two three four', 14), ['one two three', 'four'])
    assert.deepEqual(texts('x'.repeat(25), 10), ['x'.repeat(10), 'x'.repeat(10), 'xxxxx'])
    assert.deepEqual(texts('👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 16), ['👩‍👩‍👧‍👦', '👩‍👩‍👧‍👦'])
  })
  test('knows sentences and words where there is no space', () => {
    assert.deepEqual(texts('这是一个很长的句子。这里是第二句话', 14), ['这是一个很长的句子。', '这里是第二句话'])
  })
  test('closes a mark and opens it again', () => {
    assert.deepEqual(texts('a **bold and _both_ of them**', 32), ['a <b>bold and <i>both</i> of</b>', '<b>them</b>'])
  })
  test('closes a fence at a line and opens it again, in its language', () => {
    const code = '```ts\nconst a = 1\n\n  const b = 2\nconst c = 3\n```'
    const [first, second] = ['<pre class="ts">const a = 1\n\n  const b = 2</pre>', '<pre class="ts">const c = 3</pre>']
    assert.deepEqual(texts(code, 52), [first, second])
  })
  test('goes through a line of code only where the line is longer than a part', () => {
    assert.deepEqual(texts(`\`\`\`\nab\n${'x'.repeat(20)}\n\`\`\``, 25), [
      '<pre>ab</pre>',
      `<pre>${'x'.repeat(14)}</pre>`,
      '<pre>xxxxxx</pre>',
    ])
  })
  test('goes on in the quote, and under the words of an item', () => {
    assert.deepEqual(texts('> one two three four', 20), ['<q>one two three</q>', '<q>four</q>'])
    assert.deepEqual(texts('1. one two three\n   - four five six', 18), ['1. one two three', '  • four five six'])
    assert.deepEqual(texts('- one two three four', 16), ['• one two three', '  four'])
  })
  test('never goes through an address, as long as the address fits', () => {
    const url = 'http://a.test/b/c-d?e=f'
    const link = `<a href="${url}">${url}</a>`
    assert.deepEqual(texts(`see ${url} and more of it and more and more`, 80), [`see ${link} and more of it`, 'and more and more'])
    assert.deepEqual(texts(`see all that there is of ${url}`, 80), ['see all that there is of', link])
    assert.deepEqual(texts(`[see this](${url})`, 47), [`<a href="${url}">see this</a>`])
    assert.deepEqual(texts(`see ${url}`, 24), ['see', url])
    assert.deepEqual(texts(`[see this](${url})`, 26), ['see this', `(${url})`])
  })
  test('gives each piece of a link its address', () => {
    const pieces = ['<a href="http://a.b">some words that are long, and</a>', '<a href="http://a.b">some more</a>']
    assert.deepEqual(texts('[some words that are long, and some more](http://a.b)', 56), pieces)
  })
  test('leaves no heading behind', () => {
    assert.deepEqual(texts('before\n\n# Head\n\nwords of it', 32), ['before', '<h1>Head</h1>\n\nwords of it'])
  })
  test('lets a long block begin where there is room', () => {
    assert.deepEqual(texts(`Look:\n\n${'word '.repeat(10)}`, 30), ['Look:\n\nword word word word', 'word word word word word word'])
  })
  test('measures bytes where the platform does', () => {
    assert.deepEqual(texts('ééé ééé', 8, { unit: 'bytes' }), ['ééé', 'ééé'])
    assert.deepEqual(words('🙂🙂🙂', 9, 'bytes'), ['🙂🙂', '🙂'])
  })
  test('leaves markup out where it would be more than the words', () => {
    assert.deepEqual(texts('**a** [b](http://a.test)', 18), ['a b', '(http://a.test)'])
    assert.deepEqual(texts('- - - - - - deep in there', 16), ['•\n  •\n    •', '      •', '        •', '• deep in there'])
  })
  test('without a dialect changes nothing but white space at the cut', () => {
    assert.deepEqual(words('  *a*\n\n\n', 100), ['  *a*\n\n\n'])
    assert.deepEqual(words('one *two*\n\n  three\n\nfour', 15), ['one *two*', '  three\n\nfour'])
    assert.deepEqual(words('one two three', 9), ['one two', 'three'])
  })
  test('comes to an end even where not one character fits', () => {
    assert.deepEqual(words('🙂é', 1, 'bytes'), ['🙂', 'é'])
    assert.deepEqual(words('👩‍👩‍👧‍👦', 4), ['👩‍', '👩‍', '👧‍', '👦'])
  })
})

describe('a long text', () => {
  test('is read in sections that end between blocks, and marks hold in all of them', () => {
    const block = `Words **strong** here.\n\n- one\n- two\n\n\`\`\`ts\n${'a *b*\n\n'.repeat(30)}\`\`\`\n\n`
    const [all] = cut(block.repeat(100), 1_000_000)
    assert.equal(all?.text.split('Words <b>strong</b> here.\n\n• one\n• two\n\n<pre class="ts">a *b*\n').length, 101)
    assert.equal(all?.text.split('</pre>').length, 101)
  })
  test('of one block is read all the same', () => {
    const [all] = cut('some words and **b** in the middle of it\n'.repeat(700), 1_000_000)
    assert.equal(all?.text.split('<b>b</b>').length, 701)
  })
  test('goes by its words from where reading it would hold up everybody else', () => {
    const [all] = cut('Words **strong** here.\n\n'.repeat(3_000), 1_000_000)
    const strong = all?.text.split('<b>strong</b>').length ?? 0
    assert.ok(strong > 1_000 && strong < 1_500, `${strong}`)
    assert.equal(all?.text.split('strong').length, 3_001)
    assert.ok(all?.text.endsWith('Words **strong** here.'))
  })
  test('of code stays code', () => {
    const parts = texts(`\`\`\`\n${'const a = 1\n'.repeat(8_000)}\`\`\``, 4_096)
    assert.ok(parts.every((part) => part.startsWith('<pre>') && part.endsWith('</pre>')))
  })
})

describe('text that only a machine would write', () => {
  const long = (piece: string): string => piece.repeat(Math.ceil(60_000 / piece.length))
  const hostile: { readonly [what: string]: string } = {
    stars: '*'.repeat(100_000),
    'a megabyte of words': 'word '.repeat(210_000),
    'a megabyte without a space': 'x'.repeat(1_000_000),
    'marks never closed': long('*a_ '),
    'marks in one another': long(`${'*a '.repeat(400)}${'a* '.repeat(400)}\n\n`),
    'one paragraph': long('word and *more* words. '),
    'one list': long('- a\n'),
    'one table': `|a|b|\n|-|-|\n${long('|c|d|\n')}`,
    brackets: long('['),
    'links never closed': long('[a]('),
    pictures: long('!['),
    backticks: long('`a'),
    'deep quotes': long('>'),
    'deeper and deeper': Array.from({ length: 250 }, (_, depth) => `${'  '.repeat(depth)}- a`).join('\n'),
    tags: long('<a '),
    accents: `e${'\u0301'.repeat(60_000)}`,
  }
  for (const [what, text] of Object.entries(hostile)) {
    test(`${what}: read and cut with an amount of work that grows as the text does`, () => {
      for (const [max, source] of [
        [4_096, text],
        [16, text.slice(0, 10_000)],
      ] as const) {
        let written = 0
        const counting: Dialect = {
          ...tags,
          text(plain) {
            written += plain.length
            return tags.text(plain)
          },
        }
        const from = process.cpuUsage()
        const parts = cut(source, max, { dialect: counting })
        const { user } = process.cpuUsage(from)
        // A second at the worst, where what it guards against takes minutes. Others at work on the machine do not count.
        assert.ok(user < 10_000_000, `${user} µs`)
        assert.ok(written < 100 * source.length, `${written} characters written for ${source.length}`)
        assert.ok(parts.every((part) => part.text.length <= max))
        assert.ok(parts.length > 0)
      }
    })
  }
})
