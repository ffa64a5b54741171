/**
 * The process entry: runs the gateway, drains on SIGTERM and SIGINT, reloads on SIGHUP. Everything else is loaded by
 * `run.ts`, after the code cache is in place. `--prepare` loads all that a start loads, for the cache, and ends.
 */
import { flushCompileCache } from 'node:module'
import './compile-cache.js'

async function main(): Promise<void> {
  const { explain, prepare, run } = await import('./run.ts')
  if (process.argv.includes('--prepare')) {
    await prepare()
    flushCompileCache()
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
