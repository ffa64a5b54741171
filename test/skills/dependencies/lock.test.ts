import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { lockKey, readLock } from '../../../skills/dependencies/lock.ts'
import type { Lock, LockLanguage } from '../../../skills/dependencies/lock.ts'

const hash = (digit: string): string => `--hash=sha256:${digit.repeat(64)}`
const read = (language: LockLanguage, text: string): ReturnType<typeof readLock> => readLock(language, 'lock', Buffer.from(text))
const good = (language: LockLanguage, text: string): Lock => {
  const result = read(language, text)
  assert.ok(result.ok, JSON.stringify(result))
  return result.lock
}
const faults = (language: LockLanguage, text: string): string => {
  const result = read(language, text)
  assert.ok(!result.ok, text)
  return result.faults.map(({ detail }) => detail).join('\n')
}

describe('requirements.txt', () => {
  test('as pip-compile writes it is read: versions, digests, comments, lines that go on', () => {
    const text = `# made by pip-compile\nRequests==2.32.3 \\\n    ${hash('a')} \\\n    ${hash('b')}\n    # via app\nzope.Interface==7.0 ${hash('c')}  # why\r\n\n`
    assert.deepEqual(
      good('python', text).packages.map(({ name, version, digests }) => [name, version, digests.map((digest) => digest[0])]),
      [
        ['requests', '2.32.3', ['a', 'b']],
        ['zope-interface', '7.0', ['c']],
      ],
    )
  })

  const hostile: readonly (readonly [what: string, line: string, said: RegExp])[] = [
    ['another index', '--index-url https://evil.example/simple', /line 1: options/],
    ['another index, short', '-i https://evil.example', /options/],
    ['another file', '-r /etc/passwd', /options/],
    ['a constraint', '-c other.txt', /options/],
    ['an editable', '-e .', /options/],
    ['find-links', '--find-links /tmp', /options/],
    ['an option behind a requirement', `a==1 ${hash('a')} --global-option=x`, /only name==version/],
    ['an option on a line that goes on', `a==1 ${hash('a')} \\\n --index-url https://evil.example`, /line 1/],
    ['an address', `https://evil.example/a.whl ${hash('a')}`, /addresses/],
    ['a file', `file:///etc/passwd ${hash('a')}`, /addresses/],
    ['a direct reference', `a @ file:///etc/passwd ${hash('a')}`, /addresses/],
    ['a repository', `git+https://evil.example/a ${hash('a')}`, /addresses/],
    ['a path', `./a.whl ${hash('a')}`, /addresses/],
    ['an absolute path', `/a.whl ${hash('a')}`, /addresses/],
    ['extras', `a[b]==1 ${hash('a')}`, /extras/],
    ['a condition', `a==1; python_version<"3" ${hash('a')}`, /conditions/],
    ['no digest', 'a==1', /digest is missing/],
    ['a weak digest', 'a==1 --hash=md5:00', /only name==version/],
    ['a range', `a>=1 ${hash('a')}`, /only name==version/],
    ['a wildcard', `a==1.* ${hash('a')}`, /only name==version/],
    ['two versions', `a==1,==2 ${hash('a')}`, /only name==version/],
    ['a name that climbs', `../a==1 ${hash('a')}`, /only|addresses/],
    ['a variable', `\${HOME}==1 ${hash('a')}`, /only name==version/],
    ['the same twice', `a==1 ${hash('a')}\nA==2 ${hash('b')}`, /twice/],
    ['a line end that others do not see', `a==1 ${hash('a')}\u2028-r x`, /control/],
    ['a lone carriage return', `a==1 ${hash('a')} #\r--index-url x`, /control/],
  ]
  for (const [what, line, said] of hostile) test(`with ${what} is refused`, () => assert.match(faults('python', line), said))

  test('is refused when it is no text, or too large', () => {
    assert.match(JSON.stringify(readLock('python', 'r.txt', Buffer.from([0xff]))), /UTF-8/)
    assert.match(JSON.stringify(readLock('python', 'r.txt', Buffer.alloc(2_000_000, 10))), /larger/)
    const many = Array.from({ length: 501 }, (_, n) => `a${n}==1 ${hash('a')}`).join('\n')
    assert.match(faults('python', many), /more than 500/)
  })
})

describe('package-lock.json', () => {
  const integrity = `sha512-${'A'.repeat(86)}==`
  const fine = { version: '1.0.0', resolved: 'https://registry.example/a.tgz', integrity }
  const lock = (packages: object, version = 3): string =>
    JSON.stringify({ name: 'x', lockfileVersion: version, packages: { '': {}, ...packages } })

  test('of version 3 is read; what is for development only is left out', () => {
    const text = lock({
      'node_modules/a': fine,
      'node_modules/@s/b/node_modules/c': { version: '2.0.0-rc.1', integrity },
      'node_modules/d': { ...fine, dev: true },
    })
    assert.deepEqual(
      good('node', text).packages.map(({ name, path }) => [name, path]),
      [
        ['a', 'node_modules/a'],
        ['c', 'node_modules/@s/b/node_modules/c'],
      ],
    )
  })

  const hostile: readonly (readonly [what: string, packages: object, said: RegExp])[] = [
    ['a script', { 'node_modules/a': { ...fine, hasInstallScript: true } }, /script/],
    ['a link', { 'node_modules/a': { resolved: '../x', link: true } }, /links/],
    ['a workspace', { 'packages/a': fine }, /workspaces/],
    ['a place that climbs', { 'node_modules/../../etc': fine }, /place/],
    ['a place with a dot', { 'node_modules/.bin': fine }, /place/],
    ['an absolute place', { '/node_modules/a': fine }, /place/],
    ['a file', { 'node_modules/a': { ...fine, resolved: 'file:a.tgz' } }, /registry/],
    ['a repository', { 'node_modules/a': { ...fine, resolved: 'git+ssh://git@evil.example/a.git#1' } }, /registry/],
    ['plain http', { 'node_modules/a': { ...fine, resolved: 'http://evil.example/a.tgz' } }, /registry/],
    ['no digest', { 'node_modules/a': { version: '1.0.0' } }, /digest/],
    ['a weak digest', { 'node_modules/a': { ...fine, integrity: 'sha1-AAAA' } }, /digest/],
    ['two digests', { 'node_modules/a': { ...fine, integrity: `${integrity} ${integrity}` } }, /digest/],
    ['a version that is a path', { 'node_modules/a': { ...fine, version: 'file:../a' } }, /version/],
    ['a package inside another', { 'node_modules/a': { ...fine, inBundle: true } }, /in another/],
    ['no object', { 'node_modules/a': 1 }, /no object/],
  ]
  for (const [what, packages, said] of hostile) test(`with ${what} is refused`, () => assert.match(faults('node', lock(packages)), said))

  test('of another version, or no JSON at all, is refused', () => {
    for (const text of [lock({}, 1), lock({}, 2), '{', '[]', '{"lockfileVersion":3}', '['.repeat(100_000)])
      assert.match(faults('node', text), /version 3/)
  })
})

test('the key is the same for the same packages however they are written, and another on another base', () => {
  const [a, b] = [`a==1 ${hash('a')} ${hash('b')}`, `b==1 ${hash('c')}`]
  const key = lockKey(good('python', `${a}\n${b}`), 'base')
  assert.equal(lockKey(good('python', `# x\n${b}\nA == 1 ${hash('b')} ${hash('a')}`), 'base'), key)
  assert.notEqual(lockKey(good('python', `${a}\n${b}`), 'other'), key)
  assert.notEqual(lockKey(good('python', a), 'base'), key)
})
