/**
 * A child process that cannot outlive us: its output is kept (the end of it), lines of it can be awaited with a bound, and
 * it is killed when our own process exits. Knows nothing of what it runs.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

const MAX_OUTPUT_CHARS = 100_000
/** After SIGTERM; a gateway drains within less. */
const STOP_LIMIT_MS = 30_000

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Child {
  readonly pid: number
  /** stdout and stderr as they came. */
  readonly output: () => string
  readonly isRunning: () => boolean
  /** The first match in stdout, also in what was said before. Rejects after `withinMs` or when the child ended without it. */
  readonly said: (pattern: RegExp, withinMs: number) => Promise<RegExpExecArray>
  /** The same in stdout and stderr together, where the log is. */
  readonly told: (pattern: RegExp, withinMs: number) => Promise<RegExpExecArray>
  readonly signal: (name: NodeJS.Signals) => void
  /** Resolves when the process is gone and its output read. */
  readonly ended: Promise<Exit>
  /** SIGTERM, and SIGKILL when that takes too long. */
  readonly stop: () => Promise<Exit>
  readonly kill9: () => Promise<Exit>
}

export interface ChildOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** All it can read; without it nothing. */
  readonly input?: string
  /** Its input has no end as long as we live. */
  readonly isHeldOpen?: boolean
}

export function startChild(args: readonly string[], { env, cwd, input, isHeldOpen = false }: ChildOptions = {}): Child {
  const child = spawn(process.execPath, args, {
    cwd,
    env: env ?? process.env,
    stdio: [input === undefined && !isHeldOpen ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const { pid, stdout, stderr } = child
  if (pid === undefined || stdout === null || stderr === null) throw new Error(`could not start node ${args.join(' ')}`)
  if (input !== undefined) child.stdin?.end(input)

  let said = ''
  let all = ''
  const listeners = new Set<() => void>()
  stdout.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-MAX_OUTPUT_CHARS)
    all = (all + text).slice(-MAX_OUTPUT_CHARS)
    for (const listen of listeners) listen()
  })
  stderr.setEncoding('utf8').on('data', (text: string) => {
    all = (all + text).slice(-MAX_OUTPUT_CHARS)
    for (const listen of listeners) listen()
  })

  const killWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', killWithUs)
  const ended = once(child, 'close').then(([code, signal]: readonly (number | NodeJS.Signals | null)[]): Exit => {
    process.removeListener('exit', killWithUs)
    for (const listen of listeners) listen()
    return { code: typeof code === 'number' ? code : null, signal: typeof signal === 'string' ? signal : null }
  })
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null
  const end = (signal: NodeJS.Signals): Promise<Exit> => {
    child.kill(signal)
    const hard = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS)
    return ended.finally(() => clearTimeout(hard))
  }
  const awaited = (read: () => string, pattern: RegExp, withinMs: number): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(bound)
        listeners.delete(look)
      }
      const fail = (why: string): void => {
        finish()
        reject(new Error(`node ${args.join(' ')} ${why} without saying ${String(pattern)}; its output:\n${all}`))
      }
      const bound = setTimeout(() => fail(`went on for ${withinMs} ms`), withinMs)
      const look = (): void => {
        const match = pattern.exec(read())
        if (match !== null) {
          finish()
          resolve(match)
        } else if (!isRunning()) fail('ended')
      }
      listeners.add(look)
      look()
    })
  return {
    pid,
    output: () => all,
    isRunning,
    ended,
    stop: () => end('SIGTERM'),
    kill9: () => end('SIGKILL'),
    signal: (name) => void child.kill(name),
    said: (pattern, withinMs) => awaited(() => said, pattern, withinMs),
    told: (pattern, withinMs) => awaited(() => all, pattern, withinMs),
  }
}

/** Of one started otherwise: resolves when it is gone; with SIGKILL when the signal alone does not do in this time. */
export async function endProcess(child: ChildProcess, signal: NodeJS.Signals, limitMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill(signal)
  const hard = setTimeout(() => child.kill('SIGKILL'), limitMs)
  await closed
  clearTimeout(hard)
}
