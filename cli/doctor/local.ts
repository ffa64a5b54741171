/** What can be seen without a gateway: Node, SQLite, the folder, the configuration, the key, the model. */
import { constants } from 'node:fs'
import { access, mkdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../gateway/config/config.ts'
import type { Environment } from '../../gateway/config/interpolate.ts'
import { formatFault } from '../../gateway/config/load.ts'
import type { LoadResult } from '../../gateway/config/load.ts'

export interface Finding {
  readonly name: string
  readonly state: 'ok' | 'warn' | 'fail'
  readonly detail: string
  /** What to do. */
  readonly fix?: string
}

const MIN_NODE = '24.16.0'
/** Older ones lose or cut text in corners that the store relies on. */
const MIN_SQLITE = '3.51.3'
const LOW_DISK_BYTES = 1024 ** 3
const NO_DISK_BYTES = 100 * 1024 ** 2

export function checkRuntime(versions: { readonly node: string; readonly sqlite?: string } = process.versions): readonly Finding[] {
  const { node, sqlite = '0' } = versions
  const fix = 'Run "npm install" in the folder of the gateway: it brings a Node that fits, which "npm start" uses.'
  return [
    isAtLeast(node, MIN_NODE) ? fine('node', node) : { name: 'node', state: 'fail', detail: `${node} is older than ${MIN_NODE}`, fix },
    isAtLeast(sqlite, MIN_SQLITE)
      ? fine('sqlite', sqlite)
      : { name: 'sqlite', state: 'fail', detail: `${sqlite} is older than ${MIN_SQLITE}`, fix },
  ]
}

export async function checkStorage(dir: string): Promise<readonly Finding[]> {
  const probe = join(dir, `.openclaw-doctor-${process.pid}`)
  try {
    await mkdir(probe)
    await rm(probe, { recursive: true })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    const fix =
      code === 'ENOENT'
        ? 'Make it, or set OPENCLAW_DIR to a folder that is there.'
        : 'Give the user of the gateway the right to write there, or set OPENCLAW_DIR.'
    return [{ name: 'folder', state: 'fail', detail: `${dir} cannot be written to (${code})`, fix }]
  }
  const files = ['sessions.db', 'sessions.db-wal', '.openclaw']
  const locked = await Promise.all(files.map(async (name) => ((await isWritable(join(dir, name))) ? [] : [name])))
  const disk = await statfs(dir)
  const free = disk.bavail * disk.bsize
  const gib = `${(free / 1024 ** 3).toFixed(1)} GiB free`
  return [
    locked.flat().length === 0
      ? fine('folder', `${dir} can be written to`)
      : {
          name: 'folder',
          state: 'fail',
          detail: `${locked.flat().join(', ')} cannot be written to`,
          fix: 'They belong to another user. Give them to the user of the gateway (chown).',
        },
    free > LOW_DISK_BYTES
      ? fine('disk', gib)
      : {
          name: 'disk',
          state: free > NO_DISK_BYTES ? 'warn' : 'fail',
          detail: gib,
          fix: 'Make room: when the disk is full the gateway takes no more messages.',
        },
  ]
}

export function checkConfig(loaded: LoadResult): readonly Finding[] {
  if (!loaded.ok) return loaded.faults.map((fault) => ({ name: 'config', state: 'fail', detail: formatFault(fault) }))
  const { agents, routes, fallbacks } = loaded.config
  if (routes.length === 0 && Object.keys(fallbacks).length === 0) {
    const fix = 'Add "routes" or a "fallback", unless every message names its agent.'
    return [{ name: 'config', state: 'warn', detail: `no route leads to the agents ${agents.map((agent) => agent.name).join(', ')}`, fix }]
  }
  return [fine('config', 'no fault')]
}

export async function checkKeyFile(dir: string): Promise<readonly Finding[]> {
  const file = join(dir, '.openclaw', 'admin.key')
  const found = await stat(file).catch(() => null)
  if (!found) return [fine('key', 'none yet; the first start makes one')]
  const mode = found.mode & 0o777
  if (mode === 0o600 || process.platform === 'win32') return [fine('key', '.openclaw/admin.key is for its owner only')]
  return [
    {
      name: 'key',
      state: 'fail',
      detail: `.openclaw/admin.key has mode ${mode.toString(8)}, others may read it`,
      fix: `Run "chmod 600 ${file}", then make a new key if others were on this machine.`,
    },
  ]
}

export function checkModel({ agents, llm }: Config, env: Environment): readonly Finding[] {
  const own = agents.filter((agent) => agent.models.length > 0)
  const named = own.map((agent) => `${agent.name} with ${agent.models.join(', ')}`)
  if (own.length === agents.length) return [fine('model', named.join('; '))]
  if (llm.primary !== null) return [fine('model', [...named, `default ${llm.primary}`].join('; '))]
  const reachable = Object.entries(llm.providers).filter(([, provider]) => provider.apiKey !== null || provider.baseUrl !== null)
  if (reachable.length > 0) return [fine('model', `none chosen; the runtime picks one of ${reachable.map(([name]) => name).join(', ')}`)]
  const local = env['OLLAMA_HOST'] ? ' (OLLAMA_HOST is set)' : ''
  const fix = 'Set OPENAI_API_KEY or ANTHROPIC_API_KEY, run Ollama, or choose one in "llm" of openclaw.yaml.'
  return [{ name: 'model', state: 'warn', detail: `none chosen${local}; without one the builtin model answers, which only echoes`, fix }]
}

const fine = (name: string, detail: string): Finding => ({ name, state: 'ok', detail })

async function isWritable(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT'
  }
}

export function isAtLeast(version: string, least: string): boolean {
  const a = version.split('.').map(Number)
  const b = least.split('.').map(Number)
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) > (b[i] ?? 0)
  return true
}
