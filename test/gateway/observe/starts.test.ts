import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { countStart } from '../../../gateway/observe/starts.ts'

test('starts are counted over all lives, and a number that cannot be read begins again', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-'))
  t.after(() => rm(dir, { recursive: true }))
  assert.deepEqual([await countStart(dir), await countStart(dir), await countStart(dir)], [1, 2, 3])
  await writeFile(join(dir, 'starts'), '1e99')
  assert.equal(await countStart(dir), 1)
  assert.deepEqual(await readdir(dir), ['starts'])
})
