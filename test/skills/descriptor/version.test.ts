/** Versions, and what may be asked for. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { compareVersions, parseAsked, parseVersion } from '../../../skills/descriptor/version.ts'

const version = (text: string): NonNullable<ReturnType<typeof parseVersion>> => {
  const parsed = parseVersion(text)
  assert.ok(parsed, text)
  return parsed
}

describe('versions', () => {
  test('are in the order of Semantic Versioning', () => {
    const ordered = [
      '0.9.9',
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.0.1',
      '1.2.0',
      '1.10.0',
      '2.0.0',
    ]
    const mixed = ordered
      .map((text) => version(text))
      .toSorted((a, b) => compareVersions(b, a))
      .toReversed()
    assert.deepEqual(
      mixed.map(({ text }) => text),
      ordered,
    )
    assert.equal(compareVersions(version('1.2.3-a'), version('1.2.3-a')), 0)
  })

  test('can be asked for by name, by major and by range', () => {
    const fits = (asked: string, text: string): boolean => {
      const parsed = parseAsked(asked)
      assert.equal(parsed.is, 'range', asked)
      return parsed.is === 'range' && parsed.fits(version(text))
    }
    assert.deepEqual(parseAsked('1.2.3-rc.1'), { is: 'version', version: '1.2.3-rc.1' })
    assert.deepEqual(
      [parseAsked('1'), parseAsked('v0')],
      [
        { is: 'major', major: 1 },
        { is: 'major', major: 0 },
      ],
    )
    assert.ok(fits('^1.2', '1.9.0') && !fits('^1.2', '1.1.0') && !fits('^1.2', '2.0.0'))
    assert.ok(fits('1.x', '1.0.0') && fits('>=1 <3', '2.5.0') && fits('*', '7.0.0') && fits('~1.2.3 || 3', '3.1.0'))
    assert.ok(!fits('^1.2', '1.3.0-rc.1') && fits('^1.3.0-rc.0', '1.3.0-rc.1'))
    for (const nonsense of ['', ' ', 'latest', 'x'.repeat(1_000), '1.2.3 and more', '../..'])
      assert.deepEqual(parseAsked(nonsense), { is: 'nonsense' }, nonsense)
  })
})
