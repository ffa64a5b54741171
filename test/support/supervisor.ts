/** A supervisor as a plain child process, for what it says and does: no namespaces, no limits, a temporary folder for its `/tmp`. */
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import type { JsonValue, SkillEvent, SkillLanguage, SkillOutcome } from '#contract'
import type { Bundle } from '../../skills/bundle/bundle.ts'
import { Cell } from '../../skills/sandbox/cell.ts'
import type { Job } from '../../skills/sandbox/sandbox.ts'
import { realClock } from './real-clock.ts'
import { skillDescriptor } from './skill.ts'

const SUPERVISOR: string = join(import.meta.dirname, '../../skills/sandbox/supervisor/supervisor.py')

export interface Supervised {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>
  readonly folder: string
  readonly stderr: () => string
  readonly cell: Cell
  readonly stop: () => Promise<void>
}

export async function startSupervisor(language: SkillLanguage): Promise<Supervised> {
  const folder = await mkdtemp(join(tmpdir(), 'openclaw-inside-'))
  const child = spawn('python3', ['-I', '-S', '-B', SUPERVISOR, '--language', language, '--work', folder], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter) },
  })
  const killWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', killWithUs)
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const closed = once(child, 'close')
  const cell = new Cell({ stdin: child.stdin, stdout: child.stdout, ended: closed, clock: realClock, graceMs: 3_000 })
  return {
    process: child,
    folder,
    stderr: () => stderr,
    cell,
    stop: async () => {
      cell.close()
      child.stdin.end()
      const hard = setTimeout(killWithUs, 2_000)
      await closed
      clearTimeout(hard)
      process.removeListener('exit', killWithUs)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export function bundleOf(language: SkillLanguage, files: { readonly [path: string]: string }): Bundle {
  const [entrypoint = ''] = Object.keys(files)
  return {
    digest: `sha256-${entrypoint}`,
    descriptor: skillDescriptor({
      id: 'tried',
      runtime: { language, entrypoint },
      resources: { memoryMb: 256, cpus: 1, pids: 64, tmpMb: 32 },
    }),
    files: Object.fromEntries(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)])),
  }
}

export interface Heard {
  readonly events: SkillEvent[]
  /** Of one stream, put together. */
  readonly text: (stream: 'stdout' | 'stderr' | 'log') => string
  readonly progress: () => readonly JsonValue[]
}

export function jobOf(
  input: JsonValue,
  more: Partial<Job> = {},
): { readonly job: Omit<Job, 'bundle' | 'tenant' | 'egress'>; readonly heard: Heard } {
  const events: SkillEvent[] = []
  const notHere: SkillOutcome = { status: 'error', code: 'not_found', message: 'there is none' }
  return {
    job: {
      key: 'key-1',
      input,
      secrets: {},
      grade: 'lease',
      timeoutMs: 10_000,
      traceparent: null,
      signal: new AbortController().signal,
      tell: (event) => void events.push(event),
      call: () => Promise.resolve(notHere),
      ...more,
    },
    heard: {
      events,
      text: (stream) => events.map((event) => (event.is === 'log' && event.stream === stream ? event.text : '')).join(''),
      progress: () => events.flatMap((event) => (event.is === 'progress' ? [event.data] : [])),
    },
  }
}
