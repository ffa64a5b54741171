import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeArchive } from '../../../skills/bundle/archive-writer.ts'

const LONG = `${'folder/'.repeat(15)}${'n'.repeat(90)}.txt`
const files = {
  'main.py': Buffer.from('x'),
  'a/ä.txt': Buffer.from('y'.repeat(513)),
  [LONG]: Buffer.alloc(0),
  'skill.json': Buffer.from('old'),
}

test('an archive is what tar unpacks, the descriptor in it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'openclaw-archive-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'a.tar.gz'), await writeArchive({ id: 'x' }, files))
  execFileSync('tar', ['xzf', 'a.tar.gz'], { cwd: dir })
  assert.deepEqual(JSON.parse(readFileSync(join(dir, 'skill.json'), 'utf8')), { id: 'x' })
  for (const path of ['main.py', 'a/ä.txt', LONG]) assert.deepEqual(readFileSync(join(dir, path)), Buffer.from(files[path] ?? []))
})

test('the same skill gives the same bytes, in whatever order its files are told', async () => {
  const turned = Object.fromEntries(Object.entries(files).toReversed())
  assert.deepEqual(await writeArchive({ id: 'x' }, files), await writeArchive({ id: 'x' }, turned))
})

test('a path that tar cannot hold is refused', async () => {
  await assert.rejects(writeArchive({}, { ['n'.repeat(101)]: Buffer.alloc(0) }), { code: 'SKILL_INVALID' })
})
