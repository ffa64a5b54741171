/** `openclaw config`: the configuration of this folder, checked and printed without a gateway, or asked of the one that runs. */
import { join } from 'node:path'
import type { JsonObject, OverlayRow } from '#contract'
import { effective, effectiveValues } from '../../gateway/config/effective.ts'
import { gatewayDir } from '../../gateway/config/environment.ts'
import { formatFault, loadConfig } from '../../gateway/config/load.ts'
import type { Loaded, LoadResult } from '../../gateway/config/load.ts'
import { configSchema } from '../../gateway/config/schema.ts'
import { readOverlay } from '../../gateway/store/overlay.ts'
import type { Command, World } from '../command.ts'
import { rowsIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import { plain } from '../output.ts'
import type { Output } from '../output.ts'
import { Remote } from '../remote.ts'

export const config: Command = {
  summary:
    'The configuration. "check" tells every fault, "print" what is in effect and why, "show" the same of the gateway that runs, value by value, "schema" the JSON Schema.',
  verbs: { check: '', print: '', show: '', schema: '' },
  options: { origin: { help: 'show: where each value comes from' } },
  run: async (call, world) => {
    const { env, cwd, out } = world
    const { verb, json } = call
    const hasOrigin = call.has('origin')
    if (verb === 'schema') {
      out.line(JSON.stringify(configSchema, null, json ? 0 : 2))
      return EXIT.ok
    }
    const running = verb === 'show' ? await ofGateway(world) : null
    if (running !== null) {
      show(running, { out, json, hasOrigin })
      return EXIT.ok
    }
    const dir = gatewayDir(env, cwd)
    const loaded = await loadConfig({ dir, env, overlay: await readOverlay(join(dir, 'sessions.db')) })
    if (!loaded.ok) return tellFaults(loaded.faults, out, json)
    for (const { row } of loaded.vain) out.note(vainNote(row))
    if (verb === 'show') show(documents(loaded), { out, json, hasOrigin })
    else if (verb === 'print') {
      if (json) out.json(documents(loaded))
      else out.write(plain(effective(loaded)))
    } else if (json) out.json({ ok: true, faults: [] })
    else out.line(`No fault in the configuration of ${dir}.`)
    return EXIT.ok
  },
}

const documents = (loaded: Loaded): readonly JsonObject[] => effectiveValues(loaded).map((value) => ({ ...value }))

const vainNote = ({ path, by }: Pick<OverlayRow, 'path' | 'by'>): string =>
  plain(`What ${by} changed over the API at ${path} has no effect any more.`)

function tellFaults(faults: Extract<LoadResult, { ok: false }>['faults'], out: Output, json: boolean): typeof EXIT.failed {
  if (json)
    out.json({
      ok: false,
      faults: faults.map((fault) => ({
        path: fault.path,
        file: fault.file,
        line: fault.line,
        column: fault.column,
        message: fault.message,
        ...(fault.nearest !== undefined && { nearest: fault.nearest }),
      })),
    })
  else for (const fault of faults) out.note(plain(formatFault(fault)))
  return EXIT.failed
}

/** null: none runs in this folder. One that was asked for by its address has to answer. */
async function ofGateway(world: World): Promise<readonly JsonObject[] | null> {
  try {
    const { values, vain } = await (await Remote.find(world)).get('/v1/config')
    for (const row of rowsIn(vain)) world.out.note(vainNote({ path: text(row['path']), by: text(row['by']) }))
    return rowsIn(values)
  } catch (error) {
    if (error instanceof CommandError && error.exit === EXIT.unreachable && !world.env['OPENCLAW_URL']) return null
    throw error
  }
}

function show(
  values: readonly JsonObject[],
  { out, json, hasOrigin }: { readonly out: Output; readonly json: boolean; readonly hasOrigin: boolean },
): void {
  if (json) {
    out.json(values)
    return
  }
  for (const { path, value, origin } of values) {
    const line = `${text(path)}: ${JSON.stringify(value)}`
    out.line(plain(hasOrigin ? `${line.padEnd(COMMENT_COLUMN)} # ${text(origin)}` : line))
  }
}

const COMMENT_COLUMN = 56
