/** The gateway's own secrets: made once, replaced without losing the one before, and never half there. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { dropFormer, loadOwnSecret, loadSecret, rotateSecret } from '../../../gateway/http/own-secret.ts'

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-secret-'))
  t.after(() => rm(dir, { recursive: true }))
  return dir
}

const exported = async (path: string): Promise<readonly (string | null)[]> => {
  const { current, former } = await loadOwnSecret(path, 'nothing works')
  return [current, former].map((key) => key?.export().toString('base64url') ?? null)
}

test('a secret is made once, and replaced it stands beside the new one until it is dropped', async (t) => {
  const dir = await folder(t)
  const path = join(dir, 'secret')
  const [first, none] = await exported(path)
  assert.equal(none, null)
  await rotateSecret(path)
  const [second, former] = await exported(path)
  assert.equal(former, first)
  assert.notEqual(second, first)
  assert.equal((await loadSecret(path, 'x')).export().toString('base64url'), second)
  await assert.rejects(rotateSecret(path), { code: 'SECRET_ROTATING' })
  assert.deepEqual(await exported(path), [second, first])
  await dropFormer(path)
  await dropFormer(path)
  assert.deepEqual(await exported(path), [second, null])
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(dir), ['secret'])
})

test('a damaged one is told with what its loss costs, and is not replaced', async (t) => {
  const path = join(await folder(t), 'secret')
  const whole = Buffer.alloc(32, 1).toString('base64url')
  for (const text of ['', 'short', `${whole}\nshort`, `short\n${whole}`, `${whole}\n${whole}\n${whole}`]) {
    await writeFile(path, text, { mode: 0o600 })
    await assert.rejects(loadOwnSecret(path, 'nothing works'), { code: 'SECRET_DAMAGED', message: /nothing works/ })
    assert.equal(await readFile(path, 'utf8'), text)
  }
})
