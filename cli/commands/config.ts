/** `openclaw config`: the configuration of this folder, checked and printed without a gateway. */
import { effective, effectiveValues } from '../../gateway/config/effective.ts'
import { gatewayDir } from '../../gateway/config/environment.ts'
import { formatFault, loadConfig } from '../../gateway/config/load.ts'
import { configSchema } from '../../gateway/config/schema.ts'
import type { Command } from '../command.ts'
import { EXIT } from '../exit.ts'
import { plain } from '../output.ts'

export const config: Command = {
  summary: 'The configuration. "check" tells every fault, "print" what is in effect and why, "schema" the JSON Schema.',
  verbs: { check: '', print: '', schema: '' },
  run: async ({ verb, json }, { env, cwd, out }) => {
    if (verb === 'schema') {
      out.line(JSON.stringify(configSchema, null, json ? 0 : 2))
      return EXIT.ok
    }
    const dir = gatewayDir(env, cwd)
    const loaded = await loadConfig({ dir, env })
    if (!loaded.ok) {
      if (json) out.json({ ok: false, faults: loaded.faults.map((fault) => ({ ...fault })) })
      else for (const fault of loaded.faults) out.note(plain(formatFault(fault)))
      return EXIT.failed
    }
    if (verb === 'print') {
      if (json) out.json(effectiveValues(loaded).map((value) => ({ ...value })))
      else out.write(plain(effective(loaded)))
    } else if (json) out.json({ ok: true, faults: [] })
    else out.line(`No fault in the configuration of ${dir}.`)
    return EXIT.ok
  },
}
