/** What this machine has for sandboxes by bubblewrap, tried out and not believed. Starts nothing that lasts. */
import { execFile } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describeError, isJsonObject } from '#contract'
import type { JsonValue } from '#contract'
import { compileSeccomp } from './seccomp.ts'

export interface Host {
  readonly bwrap: string
  readonly version: string
  readonly python: string
  /** null: Node skills run nowhere here. */
  readonly node: string | null
  /** Options that only newer versions know. */
  readonly can: { readonly disableUserns: boolean; readonly size: boolean; readonly bindFd: boolean }
  readonly seccomp: Buffer
}

/** Why not, and what to do about it. */
export interface Lack {
  readonly lacks: string
}

const LIMIT_MS = 5_000
const SYSTEM = ['/usr/bin', '/bin', '/usr/local/bin']
const MIN_PYTHON = 9

/** The program, its version and its options, Python, and the filter compiled. Whether namespaces can be had is for `enter` to find out. */
export async function findHost(folders: readonly string[] = SYSTEM): Promise<Host | Lack> {
  if (process.platform !== 'linux') return { lacks: `bubblewrap is for Linux, and this is ${process.platform}. Use Docker.` }
  if (process.arch !== 'x64' && process.arch !== 'arm64')
    return { lacks: `There is no filter of system calls for ${process.arch}. Use Docker.` }
  const bwrap = findProgram('bwrap', folders)
  if (bwrap === null) return { lacks: 'bubblewrap is not installed. Install the package `bubblewrap`, or use Docker.' }
  // What lies elsewhere is not to be seen in a sandbox.
  const python = findProgram(
    'python3',
    folders.filter((folder) => folder.startsWith('/usr/')),
  )
  if (python === null)
    return { lacks: 'Python 3 is not installed in /usr/bin, and what supervises skills is written in it. Install the package `python3`.' }
  try {
    const [version, help, minor] = await Promise.all([
      output(bwrap, ['--version']),
      output(bwrap, ['--help']),
      output(python, ['-I', '-S', '-c', 'import sys; print(sys.version_info[1])']),
    ])
    if (Number(minor) < MIN_PYTHON) return { lacks: `${python} is older than 3.${MIN_PYTHON}.` }
    return {
      bwrap,
      version: version.trim().replace(/^bubblewrap /, ''),
      python,
      node: findNode(),
      can: { disableUserns: help.includes('--disable-userns'), size: help.includes('--size'), bindFd: help.includes('--ro-bind-fd') },
      seccomp: compileSeccomp(readProfile(), process.arch),
    }
  } catch (error) {
    return { lacks: `bubblewrap cannot be used here: ${describeError(error).message}` }
  }
}

/** Of a supervisor's or bwrap's complaint: what an operator can do about it. */
export function advice(complaint: string): string {
  if (/namespace|uid map|clone|Operation not permitted|Permission denied/i.test(complaint)) {
    return 'Users may not make namespaces here: allow it (`sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu an AppArmor profile for bwrap), or use Docker.'
  }
  return 'See what bwrap says.'
}

/** The gateway's own is newest and knows proxies; where a sandbox cannot be shown it, the system's. */
function findNode(): string | null {
  return isProgram(process.execPath) ? process.execPath : findProgram('node', SYSTEM)
}

function findProgram(name: string, folders: readonly string[]): string | null {
  return folders.map((folder) => join(folder, name)).find((path) => isProgram(path)) ?? null
}

function isProgram(path: string): boolean {
  try {
    const found = statSync(path)
    return found.isFile() && (found.mode & 0o111) !== 0
  } catch {
    return false
  }
}

function readProfile(): { readonly [name: string]: JsonValue } {
  const profile: unknown = JSON.parse(readFileSync(join(import.meta.dirname, '../docker/seccomp.json'), 'utf8'))
  if (!isJsonObject(profile)) throw new TypeError('the list of system calls is no object')
  return profile
}

function output(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { timeout: LIMIT_MS, env: {}, encoding: 'utf8', maxBuffer: 262_144 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout === '' ? stderr : stdout)
      else reject(error)
    })
  })
}
