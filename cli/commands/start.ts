/** `openclaw start`: becomes the gateway. */
import type { Command } from '../command.ts'
import { CommandError, EXIT } from '../exit.ts'

export const start: Command = {
  summary: 'Runs the gateway in this folder until it is stopped (Ctrl-C). OPENCLAW_DIR and OPENCLAW_PORT say where.',
  verbs: { '': '' },
  run: async (_, { env }) => {
    const main: unknown = await import(new URL('../../gateway/main.ts', import.meta.url).href)
    if (!hasRun(main)) throw new CommandError('gateway/main.ts has no run(). The installation is not whole.', EXIT.failed)
    await main.run({ env })
    return EXIT.ok
  },
}

const hasRun = (main: unknown): main is { run(options: { env: { readonly [name: string]: string | undefined } }): Promise<unknown> } =>
  typeof main === 'object' && main !== null && 'run' in main && typeof main.run === 'function'
