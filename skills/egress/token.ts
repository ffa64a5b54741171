/**
 * What a door is told first by the supervisor of its sandbox, and by nobody else: other users of this machine find the path of any socket in
 * /proc/net/unix. Made of the door's name and a secret that stays in the gateway's folder, so that the next life knows it too.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const FILE = 'egress-secret'
const SECRET = /^[\da-f]{64}$/

/** Kept from the first door on. One that is damaged is made anew: only runs that outlived a gateway lose their way out. @param dir the folder `.openclaw` */
export async function egressSecret(dir: string): Promise<string> {
  const path = join(dir, FILE)
  const known = (await readFile(path, 'utf8').catch(() => '')).trim()
  if (SECRET.test(known)) return known
  const secret = randomBytes(32).toString('hex')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  // Never half of it, also when this life ends here.
  await writeFile(`${path}.new`, `${secret}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
  return secret
}

export const tokenOf = (secret: string, door: string): string => createHmac('sha256', secret).update(door).digest('hex')
