/**
 * The positive control: an attack in a container of the same image with none of our defences, as root and with all capabilities; attacks by the
 * network as a bare process of this machine, because engines for tests have no network at all.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { TestEngine } from '../../support/docker.ts'
import type { Attack } from './attack.ts'

export interface Outside {
  readonly host: string
  readonly port: number
}

/** Longer than that is for ever, and more than that nobody reads. */
const FOREVER_MS = 2_500
const FLOOD_BYTES = 4 * 1_048_576

export interface ControlOptions {
  readonly engine: TestEngine
  readonly outside: Outside
  /** Bare: no container. */
  readonly isBare?: boolean
}

export async function control(attack: Pick<Attack, 'code' | 'arg'>, { engine, outside, isBare = false }: ControlOptions): Promise<string> {
  const host = `--host=unix://${engine.socket}`
  const name = `openclaw-control-${process.pid}-${++made}`
  const arg = attack.arg === 'OUTSIDE' ? { ...outside } : (attack.arg ?? null)
  const program = `${attack.code}\nimport json, sys\nanswer = attack(json.loads(${JSON.stringify(JSON.stringify(arg))}))\nprint('\\nANSWER', answer, flush=True)\n`
  const flags = ['--user=0', '--init', '--log-driver=none', '--entrypoint=python3', ...NO_DEFENCES]
  const child = isBare
    ? spawn('python3', ['-'])
    : spawn('docker', [host, 'run', '--rm', '-i', `--name=${name}`, ...flags, engine.image, '-'])
  let told = ''
  let bytes = 0
  const flooded = new Promise<'floods'>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (told.length < 100_000) told += chunk.toString()
        if (bytes > FLOOD_BYTES) resolve('floods')
      })
    }
  })
  child.stdin.on('error', () => undefined)
  child.stdin.end(program)
  const limit = AbortSignal.timeout(FOREVER_MS + 20_000)
  const ended = once(child, 'exit', { signal: limit }).then(() => 'ends' as const)
  const isLong = attack.code.includes('while True') || attack.code.includes('3600') || attack.code.includes('SIGSTOP')
  const late = new Promise<'hangs'>((resolve) => setTimeout(() => resolve('hangs'), isLong ? FOREVER_MS : 20_000))
  const first = await Promise.race([flooded, ended, late])
  if (first !== 'ends') {
    const gone = spawn('docker', [host, 'rm', '-f', name], { stdio: 'ignore' })
    await once(gone, 'exit')
    return first
  }
  if (child.exitCode === 137) return 'dies'
  return told.includes('ANSWER True') ? 'worked' : `held: ${told.slice(-400)}`
}
let made = 0

/** Not `--privileged`: that asks also for the one capability that the machines of CI do not have themselves, SYS_RESOURCE. */
const CAPABILITIES =
  'DAC_READ_SEARCH IPC_LOCK MKNOD NET_ADMIN NET_RAW SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_PTRACE SYS_RAWIO SYS_TIME SYSLOG'
const NO_DEFENCES: readonly string[] = [
  ...CAPABILITIES.split(' ').map((name) => `--cap-add=${name}`),
  ...['seccomp=unconfined', 'apparmor=unconfined', 'systempaths=unconfined'].map((option) => `--security-opt=${option}`),
  // Other tests run beside it, and it has to show what it would get alone.
  '--cpu-shares=262144',
  '--device=/dev/kmsg',
  '--volume=/sys:/sys',
]
