/** Archives of strangers. What the system's own tar makes is read; what tar could be made to do is not done. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { readArchive, takeDescriptor } from '../../../skills/bundle/archive.ts'
import { END, entry, pax, tar } from './tar-bytes.ts'
import type { Entry } from './tar-bytes.ts'

const SKILL: Entry = { name: 'skill.json', content: '{"id":"a"}' }

async function read(bytes: Uint8Array): Promise<ReturnType<typeof takeDescriptor>> {
  const archive = await readArchive(bytes)
  return archive.ok ? takeDescriptor(archive.files) : archive
}

async function refusal(bytes: Uint8Array): Promise<string> {
  const skill = await read(bytes)
  assert.equal(skill.ok, false)
  return skill.ok ? '' : skill.faults.map(({ detail }) => detail).join('; ')
}
const refused = (...entries: readonly Entry[]): Promise<string> => refusal(tar(SKILL, ...entries))

describe('an archive', () => {
  test('of the system, whatever its dialect, gives its files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'openclaw-archive-'))
    try {
      const long = `${'deep/'.repeat(12)}${'n'.repeat(90)}.py`
      mkdirSync(join(folder, 'skill', 'deep/'.repeat(12)), { recursive: true })
      writeFileSync(join(folder, 'skill/skill.json'), '{"id":"a"}')
      writeFileSync(join(folder, 'skill/main.py'), 'x'.repeat(1_000))
      writeFileSync(join(folder, 'skill', long), 'long')
      const make = (...args: readonly string[]): Buffer => execFileSync('tar', ['-C', folder, '-c', ...args])
      const archives = [
        make('--format=ustar', '-C', 'skill', '.'),
        make('--format=pax', '-C', 'skill', '.'),
        make('--format=pax', 'skill'),
        make('--format=ustar', '-z', 'skill'),
        make('--format=ustar', '-C', 'skill', 'skill.json', 'main.py', 'deep'),
      ]
      for (const bytes of archives) {
        const skill = await read(bytes)
        assert.ok(skill.ok, JSON.stringify(skill))
        assert.deepEqual(skill.descriptor, { id: 'a' })
        assert.deepEqual(Object.keys(skill.files).sort(), [long, 'main.py'].sort())
        assert.equal(Buffer.from(skill.files['main.py'] ?? []).toString(), 'x'.repeat(1_000))
      }
      assert.match(await refusal(make('--format=gnu', 'skill')), /--format=ustar/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('with links, devices or pipes is refused', async () => {
    for (const type of ['1', '2', '3', '4', '6', '7', 'S', 'L', 'K', 'D', 'V', 'M', 'A', '?'])
      assert.match(await refused({ name: 'a', type, link: '/etc/passwd' }), /only files and folders/, type)
    assert.match(await refused({ name: 'a', link: '/etc/passwd' }), /link in disguise/)
    assert.match(await refused({ name: 'a', type: 'x', content: pax({ linkpath: '/etc/passwd' }) }, { name: 'a' }), /pax record "linkpath"/)
  })

  test('with paths that lead out, or mean two things, is refused', async () => {
    const paths = [
      '../a',
      'a/../../b',
      '/etc/passwd',
      'a//b',
      'a/./b',
      './../a',
      'a/',
      'C:\\x',
      'C:x',
      'a\\b',
      'a\nb',
      'e\u0301',
      '\u202eyp.a',
      '',
      'x/'.repeat(17),
      '__proto__',
      'a/__proto__/b',
      '././a',
    ]
    for (const name of paths) {
      const told = await refused({ name: 'p', type: 'x', content: pax({ path: name }) }, { name: 'other' })
      assert.match(told, name === '' ? /damaged|empty|pax/ : /path|in it|none/, JSON.stringify(name))
      if (Buffer.byteLength(name) <= 100 && name !== '') assert.match(await refused({ name }), /the path/, JSON.stringify(name))
      if (name.startsWith('../')) assert.match(await refused({ name, type: '5' }), /the path/)
    }
    assert.match(await refused({ name: '../x', prefix: 'a' }), /the path "a\/..\/x"/)
    assert.match(await refused({ name: Buffer.from('a\0b') }), /behind its end/)
    assert.match(await refused({ name: Buffer.from([0x61, 0xff]) }), /no UTF-8/)
    assert.match(await refused({ name: 'x', type: 'x', content: pax({ path: 'a\0b' }) }, { name: 'x' }), /cannot be seen/)
  })

  test('with one file twice, also where case is ignored or it is a folder too, is refused', async () => {
    assert.match(await refused({ name: 'a' }, { name: 'a' }), /twice/)
    assert.match(await refused({ name: 'a' }, { name: './a' }), /twice/)
    assert.match(await refused({ name: 'Main.py' }, { name: 'main.py' }), /case is ignored/)
    assert.match(await refused({ name: 'ﬁle' }, { name: 'file' }), /case is ignored/)
    assert.match(await refused({ name: 'a' }, { name: 'a/b' }), /case is ignored/)
    assert.match(await refused({ name: 'skill.json', content: '{"id":"b"}' }), /twice/)
  })

  test('that is a bomb is refused before it is unpacked', async () => {
    const zeros = gzipSync(Buffer.alloc(48 * 1_048_576))
    assert.ok(zeros.byteLength < 300_000)
    const before = process.memoryUsage().arrayBuffers
    assert.match(await refusal(zeros), /unpacked it has more/)
    assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 1_048_576)
    assert.match(await refusal(gzipSync(tar(SKILL, { name: 'a', content: 'x'.repeat(3_000_000) }))), /more than 20 times/)
    assert.match(await refused({ name: 'a', content: Buffer.alloc(6_000_000) }), /more than/)
    assert.match(await refused(...[0, 1, 2].map((i) => ({ name: `a${i}`, content: Buffer.alloc(1_900_000) }))), /more than/)
    assert.match(await refused(...Array.from({ length: 300 }, (_, i) => ({ name: `a${i}` }))), /more than 257 files/)
    assert.match(await refused(...Array.from({ length: 2_000 }, (_, i) => ({ name: `d${i}`, type: '5' }))), /too many entries/)
  })

  test('that is cut off, damaged or goes on behind its end is refused', async () => {
    const whole = tar(SKILL, { name: 'a', content: 'x'.repeat(600) })
    for (const length of [0, 100, 511, 512, 1_023, 1_500, whole.byteLength - 1_024, whole.byteLength - 512])
      assert.notEqual(await refusal(whole.subarray(0, length)), '')
    assert.match(await refusal(Buffer.concat([tar(SKILL), entry({ name: 'hidden' }), END])), /follows its end/)
    assert.match(await refused({ name: 'a', checksum: '0000000 ' }), /no tar, or is damaged/)
    for (const size of ['99999999999\0', '-0000000001\0', '\x80\0\0\0\0\0\0\0\0\0\0\x05', '77777777777\0', '           \0'])
      assert.match(await refused({ name: 'a', size }), /no number|cut off/, JSON.stringify(size))
    assert.match(await refused({ name: 'd', type: '5', content: 'x' }), /folder with content/)
    assert.match(await refusal(Buffer.from('PK\x03\x04 a zip')), /cut off|no tar/)
    assert.match(await refusal(Buffer.concat([gzipSync(whole).subarray(0, 80)])), /compression/)
  })

  test('with pax records that others would read otherwise is refused', async () => {
    for (const content of [
      pax({ size: '1' }),
      pax({ 'GNU.sparse.name': 'x' }),
      pax({ path: 'a' }) + pax({ path: 'b' }),
      '8 path=a\n',
      '999 path=a\n',
      'x',
      '5 a\n',
      `${pax({ path: 'a' })}junk`,
    ])
      assert.match(await refused({ name: 'p', type: 'x', content }, { name: 'a' }), /pax record/, content)
    assert.match(await refused({ name: 'g', type: 'g', content: pax({ path: 'a' }) }, { name: 'a' }), /pax record "path"/)
    assert.match(await refused({ name: 'p', type: 'x', content: pax({ path: 'a' }) }), /name of nothing/)
    const one: Entry = { name: 'p', type: 'x', content: pax({ path: 'a' }) }
    assert.match(await refused(one, one, { name: 'a' }), /two names/)
    const skill = await read(
      tar(
        { name: 'g', type: 'g', content: pax({ comment: 'commit' }) },
        SKILL,
        { name: 'p', type: 'x', content: pax({ mtime: '1.5', path: 'long' }) },
        { name: 'a' },
      ),
    )
    assert.deepEqual(skill.ok && Object.keys(skill.files), ['long'])
  })

  test('needs a descriptor that is JSON', async () => {
    assert.match(await refusal(tar({ name: 'a' })), /no skill.json/)
    assert.match(await refusal(tar({ name: 'skill.json', content: '{' })), /no JSON/)
    assert.match(await refusal(tar({ name: 'skill.json', content: Buffer.from([0x22, 0xff, 0x22]) })), /no JSON/)
    assert.match(await refusal(tar({ name: 'x/skill.json', content: '{}' }, { name: 'y/a' })), /no skill.json/)
  })
})
