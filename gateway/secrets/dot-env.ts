/**
 * `.env.enc` and `.env` beside `openclaw.yaml`, read once: values for `${NAME}` and for nothing else. They never reach the environment of this or
 * another process, so a file that somebody left in the folder cannot set NODE_OPTIONS or a loader (CVE-2026-41294), and
 * never the settings that the environment overrides. Writing them is `openclaw secrets`.
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { isSecretName } from '#contract'
import { isSealed, parseKey, unseal } from './sealed.ts'
import type { EnvKey } from './sealed.ts'
import { failed, missing, secret } from './source.ts'
import type { Environment, Resolution, SecretSource } from './source.ts'

export const PLAIN_FILE = '.env'
export const SEALED_FILE = '.env.enc'
/** Below the folder of the gateway, where nobody else reads. */
export const KEY_FILE: string = join('.openclaw', 'env.key')

const MAX_BYTES = 1_048_576

export interface DotEnvOptions {
  readonly dir: string
  readonly env: Environment
}

export class DotEnv implements SecretSource {
  readonly #options: DotEnvOptions
  #sealed: Promise<Values> | null = null
  #plain: Promise<Values> | null = null
  #key: Promise<KeyFound> | null = null

  constructor(options: DotEnvOptions) {
    this.#options = options
  }

  async resolve(name: string): Promise<Resolution> {
    const sealed = await (this.#sealed ??= valuesOf(join(this.#options.dir, SEALED_FILE)))
    if (typeof sealed === 'string') return failed(sealed)
    const hidden = sealed.get(name)
    if (hidden !== undefined) return this.#open(name, hidden)
    const plain = await (this.#plain ??= valuesOf(join(this.#options.dir, PLAIN_FILE)))
    if (typeof plain === 'string') return failed(plain)
    const value = plain.get(name)
    return value === undefined || value === ''
      ? missing(`${name} is not in ${PLAIN_FILE}`)
      : { is: 'value', value, isSecret: isSecretName(name) }
  }

  async #open(name: string, hidden: string): Promise<Resolution> {
    if (!isSealed(hidden))
      return failed(`${name} stands unencrypted in ${SEALED_FILE}, expected enc:v1:…; run "openclaw secrets set ${name}"`)
    const key = await (this.#key ??= findKey(this.#options))
    if (key.is === 'none') {
      return failed(
        `${name} is encrypted in ${SEALED_FILE} and there is no key for it; set OPENCLAW_ENV_KEY, or OPENCLAW_ENV_KEY_FILE to a file with it`,
      )
    }
    if (key.is === 'bad') return failed(key.problem)
    const value = unseal(key.key, name, hidden)
    if (value === null)
      return failed(
        `${name} in ${SEALED_FILE} cannot be decrypted with this key: it was made with another, for another name, or was changed`,
      )
    return secret(value)
  }
}

export type KeyFound =
  | { readonly is: 'key'; readonly key: EnvKey; readonly text: string; readonly from: string }
  | { readonly is: 'none' }
  | { readonly is: 'bad'; readonly problem: string }

/** `OPENCLAW_ENV_KEY`, else the file that `OPENCLAW_ENV_KEY_FILE` names, else `.openclaw/env.key`. */
export async function findKey({ dir, env }: DotEnvOptions): Promise<KeyFound> {
  const given = env['OPENCLAW_ENV_KEY']
  const named = env['OPENCLAW_ENV_KEY_FILE']
  const file = named || join(dir, KEY_FILE)
  const from = given ? 'OPENCLAW_ENV_KEY' : file
  const text = given ? given.trim() : await textOf(file)
  if (text === null) return named ? { is: 'bad', problem: `OPENCLAW_ENV_KEY_FILE names ${file}, which cannot be read` } : { is: 'none' }
  const key = parseKey(text)
  return key === null
    ? { is: 'bad', problem: `${from} holds no key, expected oek_ and 43 characters as "openclaw secrets encrypt" makes them` }
    : { is: 'key', key, text: text.trim(), from }
}

/** By name; a text: why they cannot be had. */
type Values = ReadonlyMap<string, string> | string

async function valuesOf(file: string): Promise<Values> {
  try {
    const found = await stat(file)
    const { size, mode } = found
    // A pipe would hold up the start until somebody writes to it.
    if (!found.isFile()) return `${file} is no file, expected one with lines NAME=value`
    if ((mode & 0o002) !== 0) return `everybody may write to the file ${file}, expected mode 600 or less; run "chmod 600" on it`
    if (size > MAX_BYTES) return `${file} has ${size} bytes, expected at most ${MAX_BYTES}`
    return new Map(Object.entries(parseEnv(await readFile(file, 'utf8'))).map(([name, value]) => [name, value ?? '']))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    return code === 'ENOENT'
      ? new Map<string, string>()
      : `${file} cannot be read (${code}), expected a file that the user of the gateway may read`
  }
}

async function textOf(file: string): Promise<string | null> {
  return readFile(file, 'utf8').catch(() => null)
}
