/**
 * One gateway, composed: reads the configuration, loads the spokes it names, starts the hub with them, tells where it is,
 * and ends on a signal. The only file of the hub that sees both sides.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DEFAULT_TENANT, InvalidError, OpenClawError, describeError, noTracer } from '#contract'
import type { AgentRunner, ChannelKind, Clock, Log, SkillRunner, Skills, Store, Tracer } from '#contract'
import { Agents } from '../agents/agents.ts'
import { BUILTIN } from '../agents/models/choice.ts'
import { channelKinds, standingChannels } from '../channels/registry.ts'
import { SkillSet } from '../skills/skills.ts'
import { AuditTrail } from './audit/trail.ts'
import { defaultPolicy } from './config/access.ts'
import type { Config, TracingConfig } from './config/config.ts'
import { LiveConfig } from './config/desk.ts'
import { heldBack } from './config/held-back.ts'
import { CONFIG_FILE, formatFault, loadConfig } from './config/load.ts'
import type { Loaded, LoadOptions } from './config/load.ts'
import { watchConfig } from './config/watch.ts'
import { Gateway } from './gateway.ts'
import { publicElsewhere } from './guarded/address.ts'
import { loadSecret } from './http/signer.ts'
import { createLog } from './observe/log.ts'
import { LoopLag } from './observe/loop-lag.ts'
import { Registry } from './observe/metrics.ts'
import { ProcessMetrics } from './observe/process.ts'
import { Redactor } from './observe/redact.ts'
import { countStart } from './observe/starts.ts'
import type { TracingOptions } from './observe/trace.ts'
import type { ConfiguredChannel } from './pipeline/channels.ts'
import { Secrets } from './secrets/secrets.ts'
import { readOverlay } from './store/overlay.ts'
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
  /** A faulty configuration changes nothing and is told in the log. */
  reload(): Promise<void>
}

/** Settings that the entry of a reload names. */
const MAX_TOLD = 50

const clock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(ms, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  },
}

/** @throws InvalidError with every fault of the configuration; ConflictError when another gateway uses the folder */
export async function run({ env, print, around = {} }: RunOptions): Promise<Running> {
  const dir = resolve(env['OPENCLAW_DIR'] ?? '.')
  const kinds = { ...channelKinds, ...around.channels }
  const version = await packageVersion()
  const redactor = new Redactor()
  const heard: { log: Log | null } = { log: null }
  const secrets = new Secrets({ dir, env, clock, log: () => heard.log, onSecret: (value) => redactor.add(value) })
  try {
    return await compose({ env, print, around }, { dir, kinds, version, redactor, secrets, heard })
  } catch (error) {
    await secrets.stop()
    throw error
  }
}

interface Ground {
  readonly dir: string
  readonly kinds: { readonly [kind: string]: () => Promise<ChannelKind> }
  readonly version: string
  readonly redactor: Redactor
  readonly secrets: Secrets
  /** Secrets are asked for before it is known where the log goes. */
  readonly heard: { log: Log | null }
}

async function compose(
  { env, print, around = {} }: RunOptions,
  { dir, kinds, version, redactor, secrets, heard }: Ground,
): Promise<Running> {
  const file = join(dir, 'sessions.db')
  const rows = await readOverlay(file)
  const loaded = await load({ dir, env, secrets, overlay: rows })
  const { config } = loaded
  for (const secret of loaded.secrets) redactor.add(secret)
  const log = createLog({ ...config.log, version, node: hostname(), redactor })
  heard.log = log
  const metrics = new Registry()
  const vitals = new ProcessMetrics({ metrics, version, startedAt: clock.now() })
  const tracing = await startTracing(config, { version, redactor, clock, log, metrics })
  const { tracer } = tracing
  const agents = new Agents({ models: config.llm, env, log, clock, metrics, status: () => `OpenClaw ${version}` })
  const channels = await createChannels(loaded, kinds)
  await mkdir(join(dir, '.openclaw'), { recursive: true, mode: 0o700 })
  const auditKey = await loadSecret(join(dir, '.openclaw', 'audit.key'), 'no entry of the audit until now can be verified')
  const trail = new AuditTrail({ clock, log, redact: (text) => redactor.text(text) })
  const store = (around.store ?? same)(new SqliteStore({ file, log, clock, auditKey: auditKey.export(), audit: trail }))
  trail.use(store.audit)
  const skills = new SkillSet({
    settings: config.skills,
    store,
    dir: join(dir, '.openclaw'),
    env,
    clock,
    log,
    metrics,
    tracer,
    random: Math.random,
    isPublicAddress: publicElsewhere(),
    emit: (tenant, name, data) => gateway.tell(tenant, name, data),
  })
  let starts = 0
  /** A change over the API reads secrets anew too, and may be the first to see that one is another. */
  let inForce = secrets.known
  let later: readonly string[] = []
  const lag = new LoopLag(clock)
  const live = new LiveConfig({
    loaded,
    rows,
    load: async (overlay) => {
      const next = await load({ dir, env, secrets, overlay })
      const vain = channels.flatMap((channel) => vainIn(next, channel))
      if (vain.length > 0) throw faulty(vain)
      return next
    },
    store: store.overlay,
    note: (changed) => trail.note('config.reloaded', { changed: changed.slice(0, MAX_TOLD), settings: changed.length }, DEFAULT_TENANT),
    apply: async (next) => {
      for (const secret of next.secrets) redactor.add(secret)
      log.setLevel(next.config.log.level)
      gateway.reload(next.config)
      agents.reconfigure(next.config.llm)
      later = await skills.reconfigure(next.config.skills)
      const held = heldBack(next.origins, secrets.changedSince(inForce))
      inForce = secrets.known
      if (held.length > 0)
        log.warn({}, `${held.join(', ')}: a secret there is another by now; the one before is used until the next start.`)
    },
    clock,
    log,
  })
  const gateway: Gateway = new Gateway({
    config,
    desk: live,
    channels,
    dir,
    version,
    log,
    clock,
    metrics,
    tracer,
    random: Math.random,
    starts: () => starts,
    lateMs: () => lag.lateMs(),
    redact: (text) => redactor.text(text),
    metricsText: () => metrics.text(),
    store,
    audit: { trail, key: auditKey.export() },
    agents: (around.agents ?? same)(agents),
    skills: around.skills === undefined ? skills : withRunner(skills, around.skills(skills.runner)),
    consoleDir: fileURLToPath(new URL('../console', import.meta.url)),
  })
  await Promise.all([gateway.start(), vitals.start(), lag.start(), agents.start()])
  // Not before the folder is known to be ours.
  starts = await countStart(join(dir, '.openclaw'))
  const addressFile = join(dir, '.openclaw', 'gateway.json')
  await writeFile(addressFile, JSON.stringify({ pid: process.pid, url: gateway.url, startedAt: new Date().toISOString() }), { mode: 0o600 })
  for (const line of greeting(gateway, version, file)) print(line)

  const reloadOnce = async (): Promise<void> => {
    try {
      await live.reload()
      log.info(
        {},
        'The configuration was read again: routes, agents, models, access rules, rate limits, issuers, roles, keys, skills and log level are in force, the rest at the next start.',
      )
      if (later.length > 0) log.warn({}, `${later.join(', ')}: as before until the next start, because sandboxes are made with it.`)
    } catch (error) {
      const what = error instanceof InvalidError ? 'is faulty' : 'could not be taken over'
      log.error(
        { 'error.code': describeError(error).code },
        `The edited configuration ${what}; the one before stays in force. ${explain(error)}`,
      )
    }
  }
  // An edit, a signal and a secret may come at once; each is to see what the one before left.
  let reloading = Promise.resolve()
  const reload = (): Promise<void> => (reloading = reloading.then(reloadOnce))
  secrets.watch(() => void reload())
  const watching = new AbortController()
  watchConfig({ file: join(dir, CONFIG_FILE), debounceMs: 200, signal: watching.signal, onChange: reload }).catch((error: unknown) =>
    log.warn({ 'error.code': describeError(error).code }, 'Edits of the configuration are not seen any more; SIGHUP still reloads it.'),
  )
  return {
    url: gateway.url,
    reload,
    async stop() {
      watching.abort()
      await gateway.stop()
      await tracing.stop()
      await vitals.stop()
      await lag.stop()
      await secrets.stop()
      await rm(addressFile, { force: true })
      await log.flush()
    },
  }
}

interface Telling extends Omit<TracingOptions, keyof TracingConfig | 'node'> {}

/** Without a collector nothing of OpenTelemetry is loaded. */
async function startTracing({ tracing }: Config, telling: Telling): Promise<{ readonly tracer: Tracer; stop(): Promise<void> }> {
  if (tracing === null) return { tracer: noTracer, stop: async () => undefined }
  const { Tracing } = await import('./observe/trace.ts')
  const tracer = new Tracing({ ...tracing, ...telling, node: hostname() })
  return { tracer, stop: () => tracer.stop() }
}

/** Runs until SIGTERM or SIGINT, which drain; a second one ends it at once: what was accepted goes on at the next start. */
export async function serve(options: RunOptions): Promise<void> {
  const running = await run(options)
  const hangup = (): void => void running.reload()
  process.on('SIGHUP', hangup)
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve)
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  await running.stop()
  process.off('SIGHUP', hangup)
}

/** For whoever started it in vain: what is wrong, each fault in its place. Bugs keep their stack. */
export function explain(error: unknown): string {
  if (!(error instanceof OpenClawError)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const faults = error instanceof InvalidError ? error.faults.map((fault) => `\n  ${fault.detail}`) : []
  return `${error.message}${faults.join('')}`
}

/** The same skills, called another way by turns. */
const withRunner = (skills: Skills, runner: SkillRunner): Skills => ({
  runner,
  catalogue: skills.catalogue,
  runs: skills.runs,
  archives: skills.archives,
  start: () => skills.start(),
  drain: (ms) => skills.drain(ms),
  stop: () => skills.stop(),
  runtime: () => skills.runtime(),
})

const same = <T>(part: T): T => part

async function load(options: LoadOptions): Promise<Loaded> {
  const loaded = await loadConfig(options)
  if (!loaded.ok) throw faulty(loaded.faults)
  return loaded
}

function faulty(faults: readonly Parameters<typeof formatFault>[0][]): InvalidError {
  const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`
  const told = faults.map((fault) => ({ pointer: fault.path, detail: formatFault(fault) }))
  return new InvalidError(`The configuration has ${count}.`, { code: 'CONFIG_INVALID', faults: told })
}

async function createChannels(
  loaded: Loaded,
  kinds: { readonly [kind: string]: () => Promise<ChannelKind> },
): Promise<readonly ConfiguredChannel[]> {
  const { config, checkChannel } = loaded
  const standing = standingChannels.map((kind) => ({ name: kind, kind, tenant: DEFAULT_TENANT, access: defaultPolicy }))
  const byName = new Map([...standing, ...config.channels].map((channel) => [channel.name, channel]))
  return Promise.all(
    [...byName.values()].map(async ({ name, kind, tenant, access }) => {
      const known = Object.hasOwn(kinds, kind) ? await kinds[kind]?.() : undefined
      if (known === undefined) {
        const detail = `channels.${name}.kind: there is no channel kind "${kind}"; there are ${Object.keys(kinds).join(', ')}`
        throw new InvalidError('The configuration has a fault.', {
          code: 'CONFIG_INVALID',
          faults: [{ pointer: `channels.${name}.kind`, detail }],
        })
      }
      const { settings, faults } = checkChannel(name, known.schema)
      if (faults.length > 0) throw faulty(faults)
      const channel = known.create(name, settings)
      const vain = vainIn(loaded, { name, channel })
      if (vain.length > 0) throw faulty(vain)
      return { name, kind, tenant, channel, access }
    }),
  )
}

/** What is said of a channel and cannot hold for one of its kind. */
function vainIn(
  { vainAccess, vainTenant }: Loaded,
  { name, channel }: Pick<ConfiguredChannel, 'name' | 'channel'>,
): ReturnType<Loaded['vainAccess']> {
  const { strangers, isShared = false } = channel.capabilities
  return [...(strangers ? [] : vainAccess(name)), ...(isShared ? vainTenant(name) : [])]
}

async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  const { version } = JSON.parse(text) as { readonly version: string }
  return version
}

function greeting(gateway: Gateway, version: string, file: string): readonly string[] {
  const agents = gateway.agents().map(({ agent, models }) => `${agent.name} (${models.join(', then ')})`)
  const isOffline = gateway.agents().every(({ models }) => models.every((model) => model === BUILTIN))
  return [
    `OpenClaw ${version} is ready.`,
    `  listens  ${gateway.url}`,
    ...(gateway.grpcAddress === null ? [] : [`  grpc     ${gateway.grpcAddress}`]),
    `  data     ${file}`,
    `  agents   ${agents.join(', ')}`,
    ...(isOffline ? ['           (offline; set OPENAI_API_KEY or ANTHROPIC_API_KEY, or run Ollama, for a real model)'] : []),
    `  chat     ${gateway.signInLink()}`,
  ]
}
