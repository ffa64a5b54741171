/**
 * The process entry. Everything is loaded by `run.ts`, after the code cache is in place. `--prepare` starts once in a folder
 * of its own and ends, so that the first real start finds its code compiled.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import './compile-cache.js'

const { explain, run, serve } = await import('./run.ts')

async function prepare(): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-'))
  const running = await run({ env: { OPENCLAW_DIR: dir, OPENCLAW_PORT: '0', OPENCLAW_LOG_LEVEL: 'error' }, print: () => undefined })
  await running.stop()
  await rm(dir, { recursive: true })
}

try {
  if (process.argv.includes('--prepare')) await prepare()
  // oxlint-disable-next-line no-console -- the start-up block is the program's answer to whoever started it
  else await serve({ env: process.env, print: (line) => console.log(line) })
  process.exit(0)
} catch (error) {
  process.stderr.write(`openclaw: ${explain(error)}\n`)
  process.exit(1)
}
