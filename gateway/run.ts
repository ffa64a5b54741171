/**
 * One gateway, composed: reads the configuration, loads the spokes it names, starts the hub with them, tells where it is.
 * The only file of the hub that sees both sides. Signals and exit codes are `main.ts`.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InvalidError, OpenClawError } from '#contract'
import type { AgentRunner, ChannelKind, Clock, SkillRunner, Store } from '#contract'
import { Agents } from '../agents/agents.ts'
import { channelKinds, standingChannels } from '../channels/registry.ts'
import { InProcessSkills } from '../skills/runner.ts'
import type { Config } from './config/config.ts'
import { CONFIG_FILE, formatFault, loadConfig } from './config/load.ts'
import { watchConfig } from './config/watch.ts'
import { Gateway } from './gateway.ts'
import { createLog } from './observe/log.ts'
import { Registry } from './observe/metrics.ts'
import { ProcessMetrics } from './observe/process.ts'
import type { ConfiguredChannel } from './pipeline/channels.ts'
import { SqliteStore } from './store/sqlite.ts'

export interface RunOptions {
  readonly env: { readonly [name: string]: string | undefined }
  /** Where the start-up block goes. */
  readonly print: (line: string) => void
  /** Puts something around a part before it is used: what tests do to kill the process at a named point. */
  readonly around?: Around
}
export interface Around {
  readonly store?: (store: Store) => Store
  readonly agents?: (agents: AgentRunner) => AgentRunner
  readonly skills?: (skills: SkillRunner) => SkillRunner
  readonly channels?: { readonly [kind: string]: () => Promise<ChannelKind> }
}

export interface Running {
  readonly url: string
  /** Resolves when everything has ended. */
  stop(): Promise<void>
  reload(): Promise<void>
}

const clock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(ms, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  },
}

/** @throws InvalidError with every fault of the configuration; ConflictError when another gateway uses the directory */
export async function run({ env, print, around = {} }: RunOptions): Promise<Running> {
  const dir = resolve(env['OPENCLAW_DIR'] ?? '.')
  const config = await configured(dir, env)
  const version = await packageVersion()
  const log = createLog({ level: config.log.level, format: config.log.format, version })
  const registry = new Registry()
  const vitals = new ProcessMetrics({ metrics: registry, version, startedAt: clock.now() })
  await vitals.start()
  await mkdir(join(dir, '.openclaw'), { recursive: true, mode: 0o700 })
  const file = join(dir, 'sessions.db')
  const store = (around.store ?? same)(new SqliteStore({ file, log, clock }))
  const status = (): string => `OpenClaw ${version}, agents: ${config.agents.map((agent) => agent.name).join(', ')}.`
  const agents = (around.agents ?? same)(new Agents({ models: config.llm, env, log, clock, metrics: registry, status }))
  const skills = (around.skills ?? same)(new InProcessSkills({ clock, log }))
  const gateway = new Gateway({
    config,
    dir,
    version,
    store,
    agents,
    skills,
    log,
    clock,
    channels: await createChannels(config, { ...channelKinds, ...around.channels }),
    consoleDir: fileURLToPath(new URL('../console', import.meta.url)),
    metrics: registry,
    metricsText: () => registry.text(),
    random: Math.random,
  })
  await gateway.start()
  const addressFile = join(dir, '.openclaw', 'gateway.json')
  await writeFile(addressFile, JSON.stringify({ pid: process.pid, url: gateway.url, startedAt: new Date().toISOString() }), { mode: 0o600 })
  for (const line of greeting(gateway, version, file)) print(line)

  const watching = new AbortController()
  const reload = async (): Promise<void> => {
    try {
      gateway.reload(await configured(dir, env))
      log.info({}, 'The configuration was read again; routes and agents are in force.')
    } catch (error) {
      const faults = error instanceof InvalidError ? error.faults.map((fault) => `${fault.pointer}: ${fault.detail}`) : [String(error)]
      log.error({ faults, 'error.code': 'CONFIG_INVALID' }, 'The edited configuration is faulty; the one before stays in force.')
    }
  }
  void watchConfig({ file: join(dir, CONFIG_FILE), debounceMs: 200, signal: watching.signal, onChange: reload })
  return {
    url: gateway.url,
    reload,
    async stop() {
      watching.abort()
      await gateway.stop()
      await vitals.stop()
      log.flush()
      await rm(addressFile, { force: true })
    },
  }
}

const same = <T>(part: T): T => part

async function configured(dir: string, env: RunOptions['env']): Promise<Config> {
  const loaded = await loadConfig({ dir, env })
  if (loaded.ok) return loaded.config
  const faults = loaded.faults.map((fault) => ({ pointer: fault.path, detail: formatFault(fault) }))
  throw new InvalidError(`The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}.`, {
    code: 'CONFIG_INVALID',
    faults,
  })
}

async function createChannels(
  config: Config,
  kinds: { readonly [kind: string]: () => Promise<ChannelKind> },
): Promise<readonly ConfiguredChannel[]> {
  const declared = [...standingChannels.map((kind) => ({ name: kind, kind, settings: {} })), ...config.channels]
  const byName = new Map(declared.map((channel) => [channel.name, channel]))
  return Promise.all(
    [...byName.values()].map(async ({ name, kind, settings }) => {
      const load = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
      if (load === undefined) {
        const detail = `There is no channel kind "${kind}". There are: ${Object.keys(kinds).join(', ')}.`
        throw new InvalidError(`Channel "${name}" cannot be made.`, {
          code: 'CONFIG_INVALID',
          faults: [{ pointer: `channels.${name}.kind`, detail }],
        })
      }
      return { name, kind, channel: (await load()).create(name, settings) }
    }),
  )
}

async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string }
  return version
}

function greeting(gateway: Gateway, version: string, file: string): readonly string[] {
  const agents = gateway.agents().map(({ agent, models }) => `${agent.name} (${models.join(', then ')})`)
  return [
    `OpenClaw ${version} is ready.`,
    `  listens  ${gateway.url}`,
    `  data     ${file}`,
    `  agents   ${agents.join(', ')}`,
    `  chat     ${gateway.signInLink()}`,
  ]
}

/** Loads what a usual start loads beyond this file's own imports, so that its compiled form is kept. */
export async function prepare(): Promise<void> {
  await Promise.all(standingChannels.map((kind) => channelKinds[kind]?.()))
}

/** For whoever started it in vain: what is wrong, each fault in its place. Bugs keep their stack. */
export function explain(error: unknown): string {
  if (!(error instanceof OpenClawError)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const faults = error instanceof InvalidError ? error.faults.map((fault) => `\n  ${fault.detail}`) : []
  return `${error.message}${faults.join('')}`
}
