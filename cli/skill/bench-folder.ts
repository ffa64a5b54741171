/**
 * Folders of runs without a gateway, and whose each is. A run that was killed leaves its folder, and with it what its sandboxes are known by;
 * a later one takes it over and sweeps up behind it. What is swept is `workbench.ts`.
 */
import { mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'

/** Of this machine: elsewhere the same number is another process. */
const prefix = (): string => `openclaw-skills-${hostname().replaceAll(/[^A-Za-z0-9]/g, '')}-`
const OWNER = 'owner-'
/** Folders swept in one go. */
const MAX_TAKEN = 20

export async function newFolder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), prefix()))
  await own(dir, 0)
  return dir
}

/** Those whose owners are no more; they are ours now, and nobody else's. */
export async function takeLeft(): Promise<readonly string[]> {
  const taken: string[] = []
  const names = await readdir(tmpdir()).catch(() => [])
  for (const name of names.filter((each) => each.startsWith(prefix())).slice(0, MAX_TAKEN)) {
    const dir = join(tmpdir(), name)
    // Another user's, or one that is gone by now.
    if (await take(dir).catch(() => false)) taken.push(dir)
  }
  return taken
}

/** Each owner has a number of its own, which nobody gets twice: of two that come at once one does not get it. */
async function take(dir: string): Promise<boolean> {
  const numbers = (await readdir(dir)).filter((name) => name.startsWith(OWNER)).map((name) => Number(name.slice(OWNER.length)))
  const last = Math.max(...numbers)
  // Nobody's yet: it is being made.
  if (numbers.length === 0 || !Number.isSafeInteger(last)) return false
  const pid = Number(await readFile(join(dir, `${OWNER}${last}`), 'utf8'))
  if (!Number.isSafeInteger(pid) || pid <= 0 || isAlive(pid)) return false
  await own(dir, last + 1)
  return true
}

const own = (dir: string, number: number): Promise<void> =>
  writeFile(join(dir, `${OWNER}${number}`), String(process.pid), { flag: 'wx', mode: 0o600 })

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
