import assert from 'node:assert/strict'
import { test } from 'node:test'
import { archives } from '../../../skills/bundle/archives.ts'

const LONG = `${'folder/'.repeat(15)}${'n'.repeat(90)}.txt`

test('what is written is read again, just so', async () => {
  const descriptor = { id: 'x', description: 'ä' }
  const files = { 'main.py': Buffer.from('x'), 'a/ä.bin': Buffer.from([0, 255]), [LONG]: Buffer.alloc(0) }
  const read = await archives.read(await archives.write(descriptor, files))
  assert.deepEqual(read.descriptor, descriptor)
  assert.deepEqual(Object.keys(read.files).sort(), Object.keys(files).sort())
  for (const [path, content] of Object.entries(files)) assert.deepEqual(Buffer.from(read.files[path] ?? []), content)
})

test('what holds no skill is refused with the reason', async () => {
  await assert.rejects(archives.read(Buffer.from('x')), { code: 'SKILL_INVALID' })
})
