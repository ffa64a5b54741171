/**
 * A part of the checks: a command with a name, run with the project's own tools, offline. What parts there are, and how
 * their outcome is told, is `check.ts`'s and `run.ts`'s business.
 */
import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join } from 'node:path'

export interface Part {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
}

export interface Outcome {
  readonly part: Part
  readonly isGreen: boolean
  readonly output: string
  readonly tookMs: number
}

const root = join(import.meta.dirname, '..', '..')
const bin = join(root, 'node_modules', '.bin')
/** Every test file is a process of its own that loads the same modules; with the cache it does so in half the time. */
const compileCache = join(root, 'node_modules', '.cache', 'openclaw-test')
/** What the compiler found the last time: it looks again only at what changed and at what depends on it, which takes a quarter of the time. */
const typesCache = join(root, 'node_modules', '.cache', 'openclaw-types.tsbuildinfo')
/** Kept of one part's output, its end. */
const MAX_OUTPUT_CHARS = 200_000

/** What needs no test runner: format, lint, types, dead code. */
export const staticParts: readonly Part[] = [
  { name: 'format', command: 'oxfmt', args: ['--check', '.'] },
  { name: 'lint', command: 'oxlint', args: ['--type-aware', '--deny-warnings'] },
  { name: 'types', command: 'tsc', args: ['--incremental', '--tsBuildInfoFile', typesCache] },
  { name: 'dead code', command: 'knip', args: ['--no-progress', '--no-config-hints'] },
]

/** `node --test` over these files. With no list it would run every file below `test`, fakes and benches included. */
export function testPart(files: readonly string[], atOnce: number = availableParallelism()): Part {
  const flags = ['--test', '--test-reporter=spec', `--test-concurrency=${atOnce}`]
  return { name: 'tests', command: process.execPath, args: [...flags, ...files] }
}

/** All test files, in the order of their names. */
export const testFiles = (): readonly string[] => globSync('test/**/*.test.ts', { cwd: root }).sort()

/** Those that take milliseconds: none of a whole gateway or a browser, and none that its name calls slow. */
export const quickTestFiles = (): readonly string[] =>
  testFiles().filter((file) => !/^test\/(e2e|console|bench)\/|\.slow\.test\.ts$/.test(file))

/** `isLive`: its output goes straight to ours. Ends the part, red, when it takes longer than `limitMs`. */
export function runPart(
  part: Part,
  { limitMs, isLive = false, env = {} }: { limitMs: number; isLive?: boolean; env?: NodeJS.ProcessEnv },
): Promise<Outcome> {
  const startedAt = performance.now()
  const child = spawn(part.command, part.args, {
    cwd: root,
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache, ...env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const take = (chunk: Buffer): void => {
    if (isLive) process.stdout.write(chunk)
    output = (output + chunk.toString()).slice(-MAX_OUTPUT_CHARS)
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  let hard: NodeJS.Timeout | undefined
  const limit = setTimeout(() => {
    take(Buffer.from(`\n${part.name}: ended after ${limitMs / 1000} s\n`))
    child.kill('SIGTERM')
    hard = setTimeout(() => child.kill('SIGKILL'), 5_000)
  }, limitMs)
  return new Promise((resolve) => {
    const end = (isGreen: boolean): void => {
      clearTimeout(limit)
      clearTimeout(hard)
      resolve({ part, isGreen, output, tookMs: performance.now() - startedAt })
    }
    child.once('error', (error) => {
      take(Buffer.from(String(error)))
      end(false)
    })
    child.once('close', (code) => end(code === 0))
  })
}

/** One line: verdict, name, seconds, what the test runner counted; then, if it is red, all that it said. */
export function tell(outcome: Outcome): void {
  const counted = /^ℹ tests (\d+)$/m.exec(outcome.output)?.[1]
  const seconds = `${(outcome.tookMs / 1000).toFixed(1)} s`
  console.log(
    `${outcome.isGreen ? 'ok  ' : 'FAIL'} ${outcome.part.name.padEnd(10)} ${seconds.padStart(7)}${counted === undefined ? '' : `  ${counted} tests`}`,
  )
  if (!outcome.isGreen) console.log(outcome.output.trimEnd())
}
