/** Runs the real command as a process. */
import { spawn } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestContext } from 'node:test'
import { FakeGateway } from './fake-gateway.ts'

const ENTRY = fileURLToPath(new URL('../../cli/openclaw.ts', import.meta.url))

export interface Run {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface Bench {
  readonly dir: string
  readonly gateway: FakeGateway
  readonly run: (
    args: readonly string[],
    options?: { readonly stdin?: string; readonly env?: { readonly [name: string]: string } },
  ) => Promise<Run>
  readonly spawn: (args: readonly string[]) => ChildProcessWithoutNullStreams & { readonly done: Promise<Run> }
}

/** A folder in which a fake gateway seems to run. */
export async function bench(t: TestContext): Promise<Bench> {
  const dir = await mkdtemp(join(tmpdir(), 'openclaw-cli-'))
  const gateway = await new FakeGateway().start()
  await mkdir(join(dir, '.openclaw'))
  const left = { pid: 4242, url: gateway.url, startedAt: Date.now() - 65_000 }
  await writeFile(join(dir, '.openclaw', 'gateway.json'), JSON.stringify(left))
  await writeFile(join(dir, '.openclaw', 'admin.key'), `${gateway.token}\n`, { mode: 0o600 })
  t.after(async () => {
    await gateway.stop()
    await rm(dir, { recursive: true, force: true })
  })
  const start: Bench['spawn'] = (args) => launch(t, args, dir, {})
  return {
    dir,
    gateway,
    spawn: start,
    run: async (args, { stdin = '', env = {} } = {}) => {
      const child = launch(t, args, dir, env)
      child.stdin.end(stdin)
      return await child.done
    },
  }
}

function launch(
  t: TestContext,
  args: readonly string[],
  dir: string,
  env: { readonly [name: string]: string },
): ReturnType<Bench['spawn']> {
  const child = spawn(process.execPath, [ENTRY, ...args], { env: { PATH: process.env['PATH'], OPENCLAW_DIR: dir, ...env } })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  child.stdin.on('error', () => undefined)
  const done = new Promise<Run>((resolve) => child.once('close', (code) => resolve({ code, out, err })))
  t.after(() => child.kill('SIGKILL'))
  return Object.assign(child, { done })
}
