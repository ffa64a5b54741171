/**
 * The real gateway as a process of its own, on a free port, in a folder of its own, with nothing of our environment but
 * what it needs: for end-to-end tests and benches. Killed and swept away when the test, or bench, is over.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChild, type Child, type Exit } from './child.ts'

const ENTRY = join(import.meta.dirname, '..', '..', 'gateway', 'main.ts')
/** As `npm start` does. */
const AS_NPM_START = ['--import', new URL('../../gateway/compile-cache.js', import.meta.url).href]
const POLL_MS = 5
const LISTEN_LIMIT_MS = 20_000
/** A test is as many clients as it likes; the limits have tests of their own. */
const UNLIMITED = { OPENCLAW_RATE_PER_IP: '1000000', OPENCLAW_RATE_PER_KEY: '1000000' }
const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ', 'NODE_V8_COVERAGE']

/** A test's context, or whoever else runs `after` hooks at an end, in the order in which they were given. */
export interface Scope {
  after(run: () => Promise<void>): void
}

export interface GatewayOptions {
  /** Where it lives; one that exists is gone on with, after a kill. None: a new temporary one. */
  readonly dir?: string
  /** Content of `openclaw.yaml`: as text, or as a value (JSON is YAML). */
  readonly config?: string | { readonly [key: string]: unknown }
  readonly env?: { readonly [name: string]: string }
  /** From when it listens. */
  readonly readyWithinMs?: number
  /** Another program in its place. */
  readonly entry?: string
}

export interface GatewayProcess {
  readonly url: string
  /** The admin key of its folder. */
  readonly key: string
  readonly pid: number
  readonly dir: string
  /** Epoch milliseconds of the spawn, and of the first 200 of `/readyz`. */
  readonly spawnedAt: number
  readonly readyAt: number
  readonly output: Child['output']
  /** Waits for a line of its output or log. */
  readonly told: Child['told']
  readonly signal: Child['signal']
  readonly ended: Child['ended']
  /** A request with the admin key. */
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>
  readonly kill9: () => Promise<Exit>
  /** SIGTERM, which drains. */
  readonly stop: () => Promise<Exit>
}

/** The process alone, for those that are not expected to become ready. */
export function spawnGateway(scope: Scope, options: GatewayOptions = {}): { readonly child: Child; readonly dir: string } {
  // The folder has to go after the process, so the same hook sweeps it.
  const sweeps: (() => Promise<void>)[] = []
  const dir = options.dir ?? temporaryFolder({ after: (run) => void sweeps.push(run) })
  if (options.config !== undefined) {
    writeFileSync(join(dir, 'openclaw.yaml'), typeof options.config === 'string' ? options.config : JSON.stringify(options.config, null, 2))
  }
  const passedOn = Object.fromEntries(PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))
  const child = startChild([...AS_NPM_START, options.entry ?? ENTRY], {
    env: { ...passedOn, OPENCLAW_DIR: dir, OPENCLAW_PORT: '0', ...UNLIMITED, ...options.env },
    cwd: dir,
  })
  scope.after(async () => {
    await child.kill9()
    for (const sweep of sweeps) await sweep()
  })
  return { child, dir }
}

export async function startGateway(scope: Scope, options: GatewayOptions = {}): Promise<GatewayProcess> {
  const spawnedAt = Date.now()
  const { child, dir } = spawnGateway(scope, options)
  try {
    const [url] = await child.said(/http:\/\/127\.0\.0\.1:\d+/, LISTEN_LIMIT_MS)
    await ready(url, child, Date.now() + (options.readyWithinMs ?? 20_000))
    const readyAt = Date.now()
    const key = readFileSync(join(dir, '.openclaw', 'admin.key'), 'utf8').trim()
    const headers = { authorization: `Bearer ${key}` }
    return {
      url,
      key,
      pid: child.pid,
      dir,
      spawnedAt,
      readyAt,
      output: child.output,
      told: child.told,
      signal: child.signal,
      ended: child.ended,
      fetch: (path, init = {}) =>
        fetch(new URL(path, url), {
          signal: AbortSignal.timeout(30_000),
          ...init,
          headers: { ...headers, ...Object.fromEntries(new Headers(init.headers)) },
        }),
      kill9: child.kill9,
      stop: child.stop,
    }
  } catch (error) {
    await child.kill9()
    throw error
  }
}

export function temporaryFolder(scope: Scope): string {
  const dir = mkdtempSync(join(tmpdir(), 'openclaw-'))
  scope.after(async () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }))
  return dir
}

async function ready(url: string, child: Child, deadline: number): Promise<void> {
  for (;;) {
    const status = await statusOf(`${url}/readyz`)
    if (status === 200) return
    if (!child.isRunning()) throw new Error(`the gateway ended before it was ready; its output:\n${child.output()}`)
    if (Date.now() > deadline)
      throw new Error(`the gateway was not ready in time (${status ?? 'no answer'}); its output:\n${child.output()}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** node:http and not fetch, whose first use costs as much as the wait. */
function statusOf(url: string): Promise<number | null> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 2_000 }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? null)).once('error', () => resolve(null))
    })
    request.once('timeout', () => request.destroy(new Error('no answer'))).once('error', () => resolve(null))
  })
}
