/**
 * The process entry: runs the gateway, drains on SIGTERM and SIGINT, reloads on SIGHUP. Everything else is loaded by
 * `run.ts`, after the code cache is in place. `--prepare` starts once in
 * a folder of its own and ends, so that the first real start finds its code compiled.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import './compile-cache.js'

async function main(): Promise<void> {
  const { explain, run } = await import('./run.ts')
  if (process.argv.includes('--prepare')) {
    const dir = await mkdtemp(join(tmpdir(), 'openclaw-'))
    const running = await run({ env: { OPENCLAW_DIR: dir, OPENCLAW_PORT: '0', OPENCLAW_LOG_LEVEL: 'error' }, print: () => undefined })
    await running.stop()
    await rm(dir, { recursive: true })
    return
  }
  try {
    // oxlint-disable-next-line no-console -- the start-up block is the program's answer to whoever started it
    const running = await run({ env: process.env, print: (line) => console.log(line) })
    let isStopping = false
    const stop = (): void => {
      if (isStopping) process.exit(130)
      isStopping = true
      void running.stop().then(() => process.exit(0))
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    process.on('SIGHUP', () => void running.reload())
  } catch (error) {
    process.stderr.write(`openclaw: ${explain(error)}\n`)
    process.exit(1)
  }
}

await main()
