/**
 * `npm test`: what `npm run check` does, and every test there is, the whole gateway and the browser included. A test whose facility this
 * machine lacks is skipped by name; with CI=true a lack is a failure. The test runner's own summary comes last.
 */
import { availableParallelism } from 'node:os'
import { statSync } from 'node:fs'
import { Dockerd } from './dockerd.ts'
import { facilities } from './machine.ts'
import { runPart, staticParts, tell, testFiles, testPart } from './part.ts'

const STATIC_LIMIT_MS = 300_000
/** More files beside each other end sooner, but a test that holds a limit against the clock then measures its neighbours. */
const AT_ONCE = Math.max(2, availableParallelism())
const TESTS_LIMIT_MS = 60 * 60_000

const isCi = process.env['CI'] === 'true'
const found = facilities(process.env)
const missing = found.filter(({ path }) => path === null)
for (const { name, variable, path, neededFor } of found) {
  const lack = `not here, ${isCi ? 'which is a failure with CI=true' : 'skipped'} (set ${variable})`
  console.log(`${path === null ? (isCi ? 'FAIL' : 'skip') : 'ok  '} ${name} for ${neededFor}: ${path ?? lack}`)
}

const outcomes = await Promise.all(staticParts.map((part) => runPart(part, { limitMs: STATIC_LIMIT_MS })))
outcomes.forEach(tell)

const env = Object.fromEntries(found.flatMap(({ variable, path }) => (path === null ? [] : [[variable, path]])))
const hooks: (() => Promise<void>)[] = []
const docker = found.find(({ name }) => name === 'Docker')
if (docker?.path != null && !statSync(docker.path).isSocket()) {
  // No engine runs here: one for all tests, so that the image is built once.
  env[docker.variable] = (await Dockerd.start({ after: (run) => void hooks.unshift(run) }, docker.path)).socket
}
const tests = await runPart(testPart(testFiles(), AT_ONCE), { limitMs: TESTS_LIMIT_MS, isLive: true, env })
for (const run of hooks) await run()

const red = [...outcomes, tests].filter(({ isGreen }) => !isGreen).map(({ part }) => part.name)
const lacks = isCi ? missing.map(({ name }) => name) : []
if (red.length + lacks.length > 0) console.error(`\nnot green: ${[...red, ...lacks.map((name) => `${name} is missing`)].join(', ')}`)
process.exitCode = red.length + lacks.length > 0 ? 1 : 0
