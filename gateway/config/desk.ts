/**
 * The configuration while the gateway runs: reads it again when the file changes, lays over it what the API changes, and hands each new one
 * to whoever applies it. One thing at a time: of two writers who saw the same, the second is told.
 */
import { ConflictError, InvalidError, NotFoundError, isJsonObject } from '#contract'
import type {
  Clock,
  ConfigChange,
  ConfigDesk,
  ConfigDocument,
  ConfigPart,
  Fault,
  JsonObject,
  JsonValue,
  Log,
  OverlayRow,
  OverlayStore,
  VainOverlay,
} from '#contract'
import { pointer } from './agent.ts'
import { changedPaths, effectiveValues } from './effective.ts'
import { formatFault } from './load.ts'
import type { ConfigFault, Loaded, VainRow } from './load.ts'
import { changeFaults, changeable, mergePatches, pathOf } from './overlay.ts'

export interface LiveConfigParts {
  readonly loaded: Loaded
  /** As it was loaded with. */
  readonly rows: readonly OverlayRow[]
  /** @throws InvalidError with every fault of the file */
  readonly load: (rows: readonly OverlayRow[]) => Promise<Loaded>
  readonly store: Pick<OverlayStore, 'put' | 'remove'>
  /** What an edit of the file changed, by paths, for the record; asked before it is in force, which it never is when this rejects. */
  readonly note: (changed: readonly string[]) => Promise<void>
  /** Puts it in force, whole: whoever changes one part may have read others anew. */
  readonly apply: (loaded: Loaded) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

export class LiveConfig implements ConfigDesk {
  readonly #parts: LiveConfigParts
  #loaded: Loaded
  #rows: readonly OverlayRow[]
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: LiveConfigParts) {
    this.#parts = parts
    this.#loaded = parts.loaded
    this.#rows = parts.rows
    this.#tellVain([])
  }

  /** Rejects with `InvalidError`, and nothing is changed, when the file is faulty. */
  reload(): Promise<Loaded> {
    return this.#alone(async () => {
      const next = await this.#parts.load(this.#rows)
      const changed = changedPaths(this.#loaded.settings, next.settings)
      if (changed.length > 0) await this.#parts.note(changed)
      await this.#become(next, this.#rows)
      return this.#loaded
    })
  }

  effective(): ReturnType<ConfigDesk['effective']> {
    return { values: effectiveValues(this.#loaded), vain: this.#loaded.vain.map(told) }
  }

  read(part: ConfigPart): ConfigDocument | null {
    const value = this.#valueOf(part)
    if (value === null) return null
    const row = this.#rowOf(part)
    const isVain = this.#loaded.vain.some((vain) => vain.row.path === row?.path)
    return { value, changed: row === undefined || isVain ? null : { by: row.by, at: row.at } }
  }

  change(part: ConfigPart, change: ConfigChange): Promise<void> {
    return this.#alone(() => (change.value === null ? this.#remove(part, change) : this.#put(part, { ...change, value: change.value })))
  }

  async #put(part: ConfigPart, { value, by, check }: ConfigChange & { readonly value: JsonObject }): Promise<void> {
    const current = this.read(part)
    check(current)
    if (current === null) throw missing(part)
    const faults = changeFaults(part, value)
    if (faults.length > 0) throw unfit(faults)
    const before = this.#rowOf(part)
    const isPatch = changeable(part) !== null
    const row: OverlayRow = {
      path: pathOf(part),
      value: isPatch ? mergePatches(before?.value ?? {}, value) : value,
      by,
      at: this.#parts.clock.now(),
    }
    const rows = [...this.#rows.filter(({ path }) => path !== row.path), row]
    const next = await this.#candidate(rows)
    const known = new Set(this.#loaded.vain.map((vain) => vain.row.path))
    const broken = next.vain.filter((vain) => vain.row.path === row.path || !known.has(vain.row.path))
    if (broken.length > 0) throw unfit(broken.flatMap((vain) => vain.faults.map((fault) => faultOf(fault, vain, row))))
    await this.#parts.store.put(row)
    await this.#become(next, rows)
  }

  async #remove(part: ConfigPart, { check }: ConfigChange): Promise<void> {
    check(this.read(part))
    const row = this.#rowOf(part)
    if (row === undefined)
      throw new NotFoundError('Nothing of this was changed over the API; it is as openclaw.yaml has it.', { code: 'OVERLAY_NOT_FOUND' })
    const rows = this.#rows.filter((other) => other !== row)
    const next = await this.#candidate(rows)
    await this.#parts.store.remove(row.path)
    await this.#become(next, rows)
  }

  async #candidate(rows: readonly OverlayRow[]): Promise<Loaded> {
    try {
      return await this.#parts.load(rows)
    } catch (error) {
      if (!(error instanceof InvalidError)) throw error
      const message = 'openclaw.yaml has faults now, so nothing can be changed over it. Mend it first: openclaw config check.'
      throw new ConflictError(message, { code: 'CONFIG_FILE_FAULTY', cause: error })
    }
  }

  async #become(loaded: Loaded, rows: readonly OverlayRow[]): Promise<void> {
    const before = this.#loaded.vain
    this.#loaded = loaded
    this.#rows = rows
    this.#tellVain(before)
    await this.#parts.apply(loaded)
  }

  /** Once each time that something becomes vain. */
  #tellVain(before: readonly VainRow[]): void {
    for (const vain of this.#loaded.vain) {
      if (before.some(({ row }) => row.path === vain.row.path)) continue
      const { path, reason } = told(vain)
      this.#parts.log.warn({ path }, `What was changed over the API at ${path} has no effect any more: ${reason}`)
    }
  }

  #rowOf(part: ConfigPart): OverlayRow | undefined {
    const path = pathOf(part)
    return this.#rows.find((row) => row.path === path)
  }

  #valueOf(part: ConfigPart): JsonObject | null {
    const { settings } = this.#loaded
    switch (part.is) {
      case 'routes':
        return {
          routes: settings['rules'] ?? settings['routes'] ?? [],
          ...(settings['fallback'] !== undefined && { fallback: settings['fallback'] }),
        }
      case 'limits':
        return objectIn(objectIn(settings['server'])?.['rate_limits'])
      case 'agent':
        return memberIn(settings['agents'], part.name)
      case 'channel': {
        const channel = memberIn(settings['channels'], part.name)
        const known = changeable(part) ?? []
        return channel === null ? null : Object.fromEntries(Object.entries(channel).filter(([key]) => known.includes(key)))
      }
    }
  }

  /** In the order of asking; one that failed holds up none. */
  #alone<Result>(run: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(run)
    this.#last = result.catch(() => undefined)
    return result
  }
}

const objectIn = (value: JsonValue | undefined): JsonObject | null => (isJsonObject(value) ? value : null)

const memberIn = (value: JsonValue | undefined, name: string): JsonObject | null =>
  isJsonObject(value) && Object.hasOwn(value, name) ? objectIn(value[name]) : null

const told = ({ row, faults }: VainRow): VainOverlay => ({
  path: row.path,
  by: row.by,
  at: row.at,
  reason: faults.map(formatFault).join('; '),
})

/** Pointers are into what was sent; a fault elsewhere keeps its place in its words. */
function faultOf(fault: ConfigFault, vain: VainRow, row: OverlayRow): Fault {
  const message = fault.nearest === undefined ? fault.message : `${fault.message}; did you mean ${JSON.stringify(fault.nearest)}?`
  const prefix = row.path === '/routes' ? '' : row.path.slice(1).replaceAll('/', '.')
  if (vain.row !== row || fault.overlay?.path !== row.path) return { pointer: '#', detail: formatFault(fault) }
  const inside = fault.path.startsWith(prefix) ? fault.path.slice(prefix.length).replace(/^\./, '') : fault.path
  return { pointer: pointer(inside), detail: message }
}

const unfit = (faults: readonly Fault[]): InvalidError =>
  new InvalidError('The configuration would be faulty; nothing was changed.', { code: 'CONFIG_CHANGE_INVALID', faults })

const missing = (part: ConfigPart): NotFoundError =>
  part.is === 'channel'
    ? new NotFoundError('openclaw.yaml has no channel of this name.', { code: 'CHANNEL_UNKNOWN' })
    : new NotFoundError('There is no agent of this name or id.', { code: 'AGENT_UNKNOWN' })
