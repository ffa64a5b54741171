import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseTemplate, textAt, valueAt } from '../../../channels/hook/template.ts'
import type { Source } from '../../../channels/hook/template.ts'

const deep = JSON.parse(`${'['.repeat(5_000)}${']'.repeat(5_000)}`)
const source: Source = {
  body: { user: { id: 7, name: 'Ann' }, tags: ['a', 'b'], 'a/b': 1, 'm~n': 2, '': 3, none: null, no: false, blank: '', deep },
  headers: { 'x-github-event': 'issues' },
}
const text = (template: string): string | null => {
  const parsed = parseTemplate(template)
  assert.ok(parsed)
  return textAt(parsed, source)
}

describe('a place in a request', () => {
  const cases: readonly (readonly [template: string, text: string | null])[] = [
    ['/user/id', '7'],
    ['/user/name', 'Ann'],
    ['/tags/1', 'b'],
    ['/tags/01', null],
    ['/tags/-', null],
    ['/tags/2', null],
    ['/a~1b', '1'],
    ['/m~0n', '2'],
    ['/', '3'],
    ['/no', 'false'],
    ['/none', null],
    ['/blank', null],
    ['/user/missing', null],
    ['/user/toString', null],
    ['/user/__proto__', null],
    ['/user', '{"id":7,"name":"Ann"}'],
    ['/deep', null],
    ['always the same', 'always the same'],
    ['{/user/name} on {header:X-GitHub-Event}', 'Ann on issues'],
    ['{/missing} by {/user/name}', ' by Ann'],
    ['{/missing} by {header:x-other}', null],
    ['{not a place} {/user/id}', '{not a place} 7'],
  ]
  for (const [template, expected] of cases) test(`${template} is ${expected}`, () => assert.equal(text(template), expected))

  test('a pointer alone gives JSON as it stands, within bounds, and words give words', () => {
    const value = (template: string): unknown => {
      const parsed = parseTemplate(template)
      assert.ok(parsed)
      return valueAt(parsed, source)
    }
    assert.deepEqual(value('/user'), { id: 7, name: 'Ann' })
    assert.equal(value('/no'), false)
    assert.equal(value('{/user/id}'), '7')
    for (const nothing of ['/deep', '/none', '/missing', '{/missing}']) assert.equal(value(nothing), undefined)
  })

  test('nothing is there where the body is no JSON', () => {
    const parsed = parseTemplate('/a')
    assert.ok(parsed)
    assert.equal(textAt(parsed, { body: undefined, headers: {} }), null)
  })

  test('what is neither a pointer nor words with whole pointers is refused', () => {
    for (const wrong of ['/a~2', '/a~', '{/a', '{header:}', '{header:a b}', 'x {/a~x}']) assert.equal(parseTemplate(wrong), null, wrong)
  })
})
