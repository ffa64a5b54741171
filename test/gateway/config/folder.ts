/** A temporary folder that is gone after the test. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

export async function folder(t: TestContext, files: { readonly [name: string]: string } = {}): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-test-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text)
  return dir
}
