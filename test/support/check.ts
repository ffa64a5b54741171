/** `npm run check`: format, lint, types, dead code and the quick tests. In seconds, offline. */
import { quickTestFiles, runPart, staticParts, tell, testPart } from './part.ts'

const LIMIT_MS = 300_000

// The tools run side by side; the tests come after them, because some of them wait with a bound.
const outcomes = await Promise.all(
  staticParts.map(async (part) => {
    const outcome = await runPart(part, { limitMs: LIMIT_MS })
    tell(outcome)
    return outcome
  }),
)
const tests = await runPart(testPart(quickTestFiles()), { limitMs: LIMIT_MS })
tell(tests)
process.exitCode = [...outcomes, tests].every(({ isGreen }) => isGreen) ? 0 : 1
