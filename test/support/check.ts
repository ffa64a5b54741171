/** `npm run check`: format, lint, types, dead code and the quick tests. In seconds, offline. */
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { quickTestFiles, runPart, staticParts, tell, testPart } from './part.ts'

const LIMIT_MS = 300_000
/** Linux's folder in memory. */
const MEMORY = '/dev/shm'
const WANTED_BYTES = 1024 ** 3

/**
 * Quick tests wait for syncs of the disk most of all, and none of them asks what a sync is worth: that is for the tests that kill a
 * gateway or fill its disk, which `npm test` runs on the disk. null: this machine has no such folder, or a small one.
 */
function folderInMemory(): string | null {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize < WANTED_BYTES ? null : mkdtempSync(join(MEMORY, 'openclaw-check-'))
  } catch {
    return null
  }
}

// The tools run side by side; the tests come after them, because some of them wait with a bound.
const outcomes = await Promise.all(
  staticParts.map(async (part) => {
    const outcome = await runPart(part, { limitMs: LIMIT_MS })
    tell(outcome)
    return outcome
  }),
)
const folder = folderInMemory()
const tests = await runPart(testPart(quickTestFiles()), { limitMs: LIMIT_MS, env: folder === null ? {} : { TMPDIR: folder } })
if (folder !== null) rmSync(folder, { recursive: true, force: true })
tell(tests)
process.exitCode = [...outcomes, tests].every(({ isGreen }) => isGreen) ? 0 : 1
