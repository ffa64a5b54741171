/**
 * `openclaw.yaml` and the environment → one frozen `Config`, or every fault at once, each with its place. Reads one file and keeps
 * nothing; when to load again is `watch.ts`'s and the caller's.
 */
import { SECRET_MASK, isJsonObject } from '#contract'
import type { JsonObject, JsonValue, OverlayRow } from '#contract'
import { isAccess, isShared } from './access.ts'
import { buildConfig } from './build.ts'
import { byPlace, check } from './check.ts'
import type { Checked, Origin } from './check.ts'
import type { Config } from './config.ts'
import { withEnvironment } from './environment.ts'
import type { Environment } from '../secrets/source.ts'
import type { Secrets } from '../secrets/secrets.ts'
import { secretsOnce } from './once.ts'
import { readTree } from './read.ts'
import type { Read } from './read.ts'
import { configSchema } from './schema.ts'
import { layOverlay } from './overlay.ts'
import { isSecretPath, passwordsIn } from './secret.ts'
import { crossCheck } from './settings.ts'
import type { Settings } from './settings.ts'
import { childPath, emptyMap, isNothing, member, placeOf, withValue } from './tree.ts'
import type { ConfigFault, Node } from './tree.ts'

export type { ConfigFault } from './tree.ts'

export { CONFIG_FILE } from './read.ts'

export type LoadResult = Loaded | NotLoaded
export interface NotLoaded {
  readonly ok: false
  /** Without secrets. */
  readonly faults: readonly ConfigFault[]
}
export interface Loaded {
  readonly ok: true
  readonly config: Config
  /** Path in the file → where the value came from. */
  readonly origins: ReadonlyMap<string, Origin>
  /** The values in the file's own terms, defaults filled in. */
  readonly settings: JsonObject
  /** Every secret among the values, and what was filled into them, for the log's redaction. */
  readonly secrets: readonly string[]
  /** One channel's settings by its kind's schema, which the loader does not know: defaults filled in, or their faults. */
  readonly checkChannel: (name: string, schema: JsonObject) => Pick<Checked, 'settings' | 'faults'>
  /** A fault for each access rule of a channel that no stranger can reach: it would have no effect. */
  readonly vainAccess: (name: string) => readonly ConfigFault[]
  /** A fault if a channel is given to one tenant that all share: it would have no effect. */
  readonly vainTenant: (name: string) => readonly ConfigFault[]
  /** Rows of the overlay that are not in effect, because with them there would be these faults. */
  readonly vain: readonly VainRow[]
}

export interface VainRow {
  readonly row: OverlayRow
  readonly faults: readonly ConfigFault[]
}

export interface LoadOptions {
  readonly dir: string
  readonly env: Environment
  /** What was changed over the API; what has become impossible is left out and told, never a reason not to load. */
  readonly overlay?: readonly OverlayRow[]
  /** Where references are answered; whoever gives them ends them. Default: some of its own, ended after. */
  readonly secrets?: Secrets
}

export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  if (options.secrets !== undefined) return loadWith(options, options.secrets)
  const secrets = secretsOnce(options)
  try {
    return await loadWith(options, secrets)
  } finally {
    await secrets.stop()
  }
}

async function loadWith(options: LoadOptions, secrets: Secrets): Promise<LoadResult> {
  const read = await readTree(options.dir, secrets)
  if (read.unreadable) return { ok: false, faults: read.faults }
  const file = withDefaultAgent(read.tree)
  const laid = layOverlay(file, options.overlay ?? [])
  const vain = laid.orphans.map((row) => ({ row, faults: [orphaned(row)] }))
  let rows = (options.overlay ?? []).filter((row) => !laid.orphans.includes(row))
  for (;;) {
    const result = checkTree(withEnvironment(layOverlay(file, rows).tree, options.env), read)
    if (result.ok) return { ...result, vain }
    const { faults } = result
    // The row in which a fault stands; else the newest, because what it says of another may be the fault. Without any it is the file's.
    const row = rows.find(({ path }) => faults.some(({ overlay }) => overlay?.path === path)) ?? rows.at(-1)
    if (row === undefined) return result
    const own = faults.filter(({ overlay }) => overlay?.path === row.path)
    vain.push({ row, faults: own.length > 0 ? own : [...faults] })
    rows = rows.filter((other) => other !== row)
  }
}

function orphaned({ path, by, at }: OverlayRow): ConfigFault {
  const place = { file: 'overlay', line: 0, column: 0, overlay: { path, by, at } }
  return {
    path: path.slice(1).replaceAll('/', '.'),
    ...place,
    message: 'nothing of this name, expected it to be declared in openclaw.yaml',
  }
}

type CheckedTree = Omit<Loaded, 'vain'> | { readonly ok: false; readonly faults: readonly ConfigFault[] }

function checkTree(tree: Node, read: Pick<Read, 'faults' | 'secrets'>): CheckedTree {
  const checked = check(tree, configSchema)
  const faults = [...read.faults, ...checked.faults]
  if (faults.length === 0) {
    crossCheck(checked.settings as unknown as Settings, (at, message, nearest = null) => {
      faults.push({ path: at.reduce<string>(childPath, ''), ...placeOf(tree, at), message, ...(nearest !== null && { nearest }) })
    })
  }
  const told = [...new Set([...read.secrets, ...secretsIn(checked.settings, '')])]
  if (faults.length > 0) return { ok: false, faults: faults.toSorted(byPlace).map((fault) => without(told, fault)) }
  return {
    ok: true,
    config: buildConfig(checked.settings as unknown as Settings, checked.origins),
    origins: checked.origins,
    settings: checked.settings,
    secrets: told,
    checkChannel: (name, schema) => checkChannel(tree, name, schema),
    vainAccess: (name) => vainAccess(tree, name),
    vainTenant: (name) => vainTenant(tree, name),
  }
}

/** `openclaw.yaml:3:9 server.prot: unknown key "prot", expected … Did you mean "port"?` */
export function formatFault(fault: ConfigFault): string {
  const place = fault.line === 0 ? fault.file : `${fault.file}:${fault.line}:${fault.column}`
  const path = fault.path === '' ? '' : ` ${fault.path}`
  const guess = fault.nearest === undefined ? '' : `. Did you mean ${JSON.stringify(fault.nearest)}?`
  return `${place}${path}: ${fault.message}${guess}`
}

/** There is always one agent to talk to. */
function withDefaultAgent(tree: Node): Node {
  const agents = member(tree, 'agents')?.node
  const none = !agents || isNothing(agents) || (agents.kind === 'map' && agents.entries.length === 0)
  return tree.kind === 'map' && none ? withValue(tree, ['agents', DEFAULT_AGENT], emptyMap(tree.place)) : tree
}
const DEFAULT_AGENT = 'assistant'

function checkChannel(tree: Node, name: string, schema: JsonObject): Checked {
  const node = channelNode(tree, name)
  return check({ ...node, entries: node.entries.filter(({ key }) => !isShared(key)) }, schema, `channels.${name}`)
}

function vainAccess(tree: Node, name: string): readonly ConfigFault[] {
  const message = 'an access rule, expected none: who may write to this channel is told by keys and brokers, not by a list of senders'
  return channelNode(tree, name)
    .entries.filter(({ key, place }) => isAccess(key) && place.overlay === undefined)
    .map(({ key, place }) => ({ path: childPath(`channels.${name}`, key), ...place, message }))
}

function vainTenant(tree: Node, name: string): readonly ConfigFault[] {
  const message = 'a tenant, expected none: whoever writes to this channel brings the tenant of their key'
  return channelNode(tree, name)
    .entries.filter(({ key }) => key === 'tenant')
    .map(({ key, place }) => ({ path: childPath(`channels.${name}`, key), ...place, message }))
}

function channelNode(tree: Node, name: string): Node & { readonly kind: 'map' } {
  const node = member(member(tree, 'channels')?.node, name)?.node
  return node?.kind === 'map' ? node : { kind: 'map', place: tree.place, entries: [] }
}

function secretsIn(value: JsonValue, path: string): readonly string[] {
  if (typeof value === 'string') return isSecretPath(path) ? [value, ...passwordsIn(value)] : passwordsIn(value)
  if (Array.isArray(value)) return value.flatMap((item: JsonValue, i) => secretsIn(item, `${path}[${i}]`))
  return isJsonObject(value)
    ? Object.entries(value).flatMap(([key, member]) => secretsIn(member, path === '' ? key : `${path}.${key}`))
    : []
}

/** A rule about two settings may quote one of them, and that one may be a secret. Shorter ones would mask ordinary words. */
function without(secrets: readonly string[], fault: ConfigFault): ConfigFault {
  const long = secrets.filter((secret) => secret.length >= 6)
  return { ...fault, message: long.reduce((message, secret) => message.replaceAll(secret, SECRET_MASK), fault.message) }
}
