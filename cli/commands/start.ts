/** `openclaw start`: becomes the gateway, until a signal ends it. */
import '../../gateway/compile-cache.js'
import type { Running } from '../../gateway/run.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit.ts'

export const start: Command = {
  summary: 'Runs the gateway of this folder until Ctrl-C. OPENCLAW_DIR and OPENCLAW_PORT say where.',
  verbs: { '': '' },
  run: async (_, { env, out }) => {
    const { run } = await import('../../gateway/run.ts')
    const running = await run({ env, print: (line) => out.line(line) })
    process.on('SIGHUP', () => void running.reload())
    await stopped(running)
    return EXIT.ok
  },
}

/** The first signal drains, a second one ends it at once: what was accepted is durable and goes on at the next start. */
async function stopped(running: Running): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve)
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  await running.stop()
}
