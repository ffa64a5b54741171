/** `openclaw start`: becomes the gateway, until a signal ends it. */
import '../../gateway/compile-cache.js'
import type { Command } from '../command.ts'
import { EXIT } from '../exit.ts'

export const start: Command = {
  summary: 'Runs the gateway of this folder until Ctrl-C. OPENCLAW_DIR and OPENCLAW_PORT say where.',
  verbs: { '': '' },
  run: async (_, { env, out }) => {
    const { serve } = await import('../../gateway/run.ts')
    await serve({ env, print: (line) => out.line(line) })
    return EXIT.ok
  },
}
