/** How often a gateway was started in its folder: a number that no single life knows, kept in a file of its own. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Counts this start too. A number that cannot be read begins again, as counters may. */
export async function countStart(stateDir: string): Promise<number> {
  const file = join(stateDir, 'starts')
  const text = await readFile(file, 'utf8').catch(() => '')
  const starts = (/^\d{1,12}\n$/.test(text) ? Number(text) : 0) + 1
  await writeFile(`${file}.new`, `${starts}\n`, { mode: 0o600 })
  await rename(`${file}.new`, file)
  return starts
}
