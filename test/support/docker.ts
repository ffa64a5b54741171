/**
 * What tests of sandboxes stand on: an engine (this machine's, or one of our own where none runs), and the image in which skills run, built
 * once from this machine's own files and kept under a name that changes with what it is made of.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Dockerd } from './dockerd.ts'
import type { Scope } from './gateway-process.ts'
import { facilities } from './machine.ts'

const BUILD_LIMIT_MS = 180_000
const POLL_MS = 200
const root = join(import.meta.dirname, '..', '..')

export interface TestEngine {
  readonly socket: string
  /** Tag of the image in which skills run. */
  readonly image: string
}

/** A socket, or a program that makes one; null: this machine has neither. */
export const dockerPath = (): string | null => facilities(process.env).find(({ name }) => name === 'Docker')?.path ?? null

/** Why a suite that needs an engine is skipped; false: it is not. */
export const withoutDocker = (): string | false => (dockerPath() === null && process.env['CI'] !== 'true' ? 'Docker is not here' : false)

/** A program for an engine of our own; null: there is none, or we may not run it. */
export const dockerdPath = (): string | null => {
  const found = ['/usr/bin/dockerd', '/usr/sbin/dockerd', '/usr/local/bin/dockerd'].find((path) => existsSync(path))
  return process.getuid?.() === 0 ? (found ?? null) : null
}

/** What it started goes with its scope; the images stay for the next time. `hasBridge` is of one of our own. */
export async function startEngine(scope: Scope, options: { readonly hasBridge?: boolean } = {}): Promise<TestEngine> {
  const path = dockerPath()
  if (path === null) throw new Error('No container engine is on this machine; set OPENCLAW_TEST_DOCKER.')
  const socket = statSync(path).isSocket() ? path : (await Dockerd.start(scope, path, options)).socket
  return { socket, image: await runtimeImage(socket) }
}

/** Asks the engine through its own client, which is not what is tested. */
export async function docker(socket: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('docker', ['--host', `unix://${socket}`, ...args], { timeout: 60_000, maxBuffer: 2 ** 24 })
  return stdout.trim()
}

export async function runtimeImage(socket: string): Promise<string> {
  const base = `openclaw/base:test-${sumOf([process.version], ['docker/base-from-host.sh'])}`
  const supervisor = readdirSync(join(root, 'skills/sandbox/supervisor'))
    .filter((name) => /\.(py|mjs)$/.test(name))
    .map((name) => `skills/sandbox/supervisor/${name}`)
  const image = `openclaw/skill-runtime:test-${sumOf([base], ['docker/skill-runtime/Dockerfile', 'docker/build.sh', ...supervisor])}`
  if (await has(socket, image)) return image
  await alone(`${image}-${socket}`, async () => {
    if (await has(socket, image)) return
    if (!(await has(socket, base))) await script(socket, 'docker/base-from-host.sh', [base], { NODE: process.execPath })
    await script(socket, 'docker/build.sh', ['runtime'], { BASE: base, RUNTIME_TAG: image, NETWORK: 'none' })
  })
  return image
}

async function has(socket: string, tag: string): Promise<boolean> {
  return (await docker(socket, 'images', '--quiet', tag)) !== ''
}

async function script(socket: string, path: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const given = { PATH: process.env['PATH'], HOME: tmpdir(), DOCKER_BUILDKIT: '0', DOCKER_HOST: `unix://${socket}`, ...env }
  await promisify(execFile)('bash', [join(root, path), ...args], { env: given, timeout: BUILD_LIMIT_MS })
}

/** Test files run in processes of their own; one of them builds, the others wait. */
async function alone(name: string, run: () => Promise<void>): Promise<void> {
  const lock = join(tmpdir(), `openclaw-${createHash('sha256').update(name).digest('hex').slice(0, 16)}.lock`)
  const end = Date.now() + BUILD_LIMIT_MS
  for (;;) {
    try {
      mkdirSync(lock)
      break
    } catch {
      // Whoever made it may have been killed.
      if (existsSync(lock) && Date.now() - statSync(lock).mtimeMs > BUILD_LIMIT_MS) rmdirSync(lock)
      if (Date.now() > end) throw new Error(`${lock} did not go away; delete it when no test is building an image.`)
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }
  try {
    await run()
  } finally {
    rmdirSync(lock)
  }
}

function sumOf(words: readonly string[], paths: readonly string[]): string {
  const sum = createHash('sha256')
  for (const word of words) sum.update(`${word}\n`)
  for (const path of paths) sum.update(path).update(readFileSync(join(root, path)))
  return sum.digest('hex').slice(0, 12)
}
