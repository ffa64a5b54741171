import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { isJsonObject } from '#contract'
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

test('an agent skill has its descriptor made', async () => {
  const skill = '---\nname: pdf-help\ndescription: Helps with PDF.\n---\nRead it.\n'
  const written = await archives.write({}, { 'pdf-help/SKILL.md': Buffer.from(skill) })
  // As `tar -c pdf-help` makes it: without a descriptor, all in one folder.
  const plain = gunzipSync(written).subarray(1_024)
  const { descriptor, files } = await archives.read(plain)
  assert.deepEqual([isJsonObject(descriptor) && descriptor['id'], Object.keys(files).sort()], ['pdf-help', ['SKILL.md', 'agent_skill.py']])
})
