/**
 * `${file:…}`: a secret that the system lays down as a file, as Docker, Kubernetes and systemd do. A bare name is looked up where they put it;
 * a path with a slash counts from the folder of the gateway.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { failed, missing, secret } from './source.ts'
import type { Environment, Resolution, SecretSource } from './source.ts'

const MAX_BYTES = 65_536
/** Where Docker and Podman mount secrets. */
const RUN_SECRETS = '/run/secrets'

export class FileSource implements SecretSource {
  readonly #dir: string
  readonly #env: Environment

  constructor(options: { readonly dir: string; readonly env: Environment }) {
    this.#dir = options.dir
    this.#env = options.env
  }

  /** systemd.exec(5), "Credentials": the folder is named by `CREDENTIALS_DIRECTORY`. */
  path(name: string): string {
    if (name.includes('/')) return resolve(this.#dir, name)
    return join(this.#env['CREDENTIALS_DIRECTORY'] || RUN_SECRETS, name)
  }

  async resolve(name: string): Promise<Resolution> {
    const path = this.path(name)
    try {
      return await read(path)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
      if (code === 'ENOENT' || code === 'ENOTDIR') return missing(`there is no file ${path}, expected the secret in it`)
      return failed(`the file ${path} cannot be read (${code}), expected one that the user of the gateway may read`)
    }
  }
}

async function read(path: string): Promise<Resolution> {
  // A pipe of that name must not hold up the start until somebody writes to it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    // Asked of what was opened: between two looks at a name another file may stand there.
    const stat = await file.stat()
    if (!stat.isFile()) return failed(`${path} is no file, expected one with the secret in it`)
    if ((stat.mode & 0o002) !== 0)
      return failed(`everybody may write to the file ${path}, expected mode 600 or less; run "chmod 600" on it`)
    if (stat.size > MAX_BYTES) return failed(`the file ${path} has ${stat.size} bytes, expected at most ${MAX_BYTES}`)
    return textOf(path, await file.readFile())
  } finally {
    await file.close()
  }
}

function textOf(path: string, bytes: Buffer): Resolution {
  const text = new TextDecoder('utf-8', { fatal: false }).decode(bytes)
  if (text.includes('\u0000') || text.includes('\ufffd')) return failed(`the file ${path} holds no text, expected UTF-8`)
  // The end of line that editors and `echo` leave, and no more: a secret may end with a space.
  const value = text.replace(/\r?\n$/, '')
  return value === '' ? missing(`the file ${path} is empty, expected the secret in it`) : secret(value)
}
