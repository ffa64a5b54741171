/** Patterns of strangers: the language's own answers, in bounded time. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Budget, LinearPattern } from '../../../skills/descriptor/pattern.ts'

const PATTERNS = [
  '',
  'a',
  '^a$',
  '^$',
  'a|b|',
  '^(a|bc)*d$',
  '^[a-z0-9]+(-[a-z0-9]+)*$',
  '^(a+)+$',
  '^(?:ab?){2,3}$',
  '^a{2}$',
  '^a{2,}b{0,2}?$',
  '^[^\\s@]+@[^\\s@]+\\.[^\\s@]+$',
  '\\bcat\\b',
  '\\Bat',
  '^\\p{L}+$',
  '^\\u{1F600}|\\x41\\u0042$',
  '^\\ud83d\\ude00$',
  '^[\\]\\\\-]+$',
  '^.{2}$',
  '^(?<year>\\d{4})-(?<month>\\d\\d)$',
  '^\\$\\{[^}]*\\}$',
  '(^|x)y',
  '^(|a)+b',
  '[]|a',
  '^[^]$',
  '^\\//[/]$',
]
const TEXTS = [
  '',
  'a',
  'b',
  'aa',
  'ab',
  'aab',
  'aba',
  'abab',
  'bcd',
  'abcd',
  'd',
  'a-b',
  'a-',
  'cat',
  'a cat.',
  'concat',
  'at',
  '2024-05',
  'x@y.z',
  'x@y',
  'y',
  'xy',
]
const ODD = ['AB', '😀', '😀😀', 'é', 'ß1', ']', '\\', '-]', '\n', 'a\nb', '${x}', '///', 'yx', '\ud83d', 'aaaaab', 'aabb', 'aabbb']

const full = (): Budget => new Budget()

describe('patterns', () => {
  for (const pattern of PATTERNS) {
    test(`/${pattern}/ says what the language says`, () => {
      const linear = new LinearPattern(pattern)
      for (const text of [...TEXTS, ...ODD])
        assert.equal(linear.test(text, full()), new RegExp(pattern, 'u').test(text), JSON.stringify(text))
    })
  }

  test('catastrophic ones cost no more than others', () => {
    const text = `${'a'.repeat(50_000)}!`
    for (const pattern of ['^(a+)+$', '^(a|a)*$', '^(a|aa)+$', 'a*a*a*a*a*b', '^(([a-z])+.)+[A-Z]([a-z])+$', '^(a?){50}a{50}$']) {
      const before = process.cpuUsage()
      new LinearPattern(pattern).test(text, full())
      // Of the processor: what is catastrophic would not end at all.
      const { user, system } = process.cpuUsage(before)
      assert.ok(user + system < 10_000_000, `${pattern} took ${user + system} µs`)
    }
  })

  test('what needs trying again, is malformed or is too large is refused in words', () => {
    const refused = [
      '(a)\\1',
      '(?<n>a)\\k<n>',
      '(?=a)',
      '(?!a)',
      '(?<=a)b',
      '(?<!a)b',
      '(?i:a)',
      '(',
      'a**',
      '[b-a]',
      'a{3,2}',
      '\\y',
      'a{3000}',
      '(a{100}){100}',
      'a'.repeat(1001),
    ]
    for (const pattern of refused) assert.throws(() => new LinearPattern(pattern), Error, pattern)
  })

  test('too much text for a pattern is an error, not a wait, also in many pieces', () => {
    const pattern = new LinearPattern('(a?){400}b')
    const little = (): Budget => Object.assign(full(), { left: full().left / 20 })
    assert.throws(() => pattern.test('a'.repeat(1_000_000), little()), /too much text/)
    const budget = little()
    const many = (): void => {
      for (let i = 0; i < 5_000; i++) pattern.test('a'.repeat(10), budget)
    }
    assert.throws(many, /too much text/)
  })

  test('empty texts are not free: each begins anew', () => {
    const pattern = new LinearPattern('a{900}')
    const budget = full()
    assert.throws(() => {
      for (let i = 0; i < 200_000; i++) pattern.test('', budget)
    }, /too much text/)
  })
})
