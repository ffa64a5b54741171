/**
 * The gateway's own secrets in `.openclaw/`: made at the first start, and replaced without losing what was sealed with the one before. While
 * things sealed with that may be left, it stands in the file's second line; so whatever kills whoever replaces it, all can still be opened.
 */
import { createSecretKey, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { ConflictError, InvalidError } from '#contract'
import { privateFile, replaceFile } from './private-file.ts'

const BYTES = 32

export interface OwnSecret {
  readonly current: KeyObject
  /** The one before, until `dropFormer`; null: there is none. */
  readonly former: KeyObject | null
}

/** `loss`: what a new one would cost. */
export async function loadOwnSecret(path: string, loss: string): Promise<OwnSecret> {
  const { text } = await privateFile(path, newSecret)
  const keys = text.split('\n').map((line) => Buffer.from(line, 'base64url'))
  const [current, former] = keys
  if (current === undefined || keys.length > 2 || keys.some((bytes) => bytes.length < BYTES)) {
    throw new InvalidError(`The secret in ${path} is damaged. Put it back from a backup, or remove it: a new one is made, and ${loss}.`, {
      code: 'SECRET_DAMAGED',
    })
  }
  return { current: createSecretKey(current), former: former === undefined ? null : createSecretKey(former) }
}

export const loadSecret = async (path: string, loss: string): Promise<KeyObject> => (await loadOwnSecret(path, loss)).current

/** Another secret, in force at the next start. */
export async function rotateSecret(path: string): Promise<void> {
  const { text } = await privateFile(path, newSecret)
  if (text.includes('\n')) {
    throw new ConflictError(`The secret in ${path} was replaced, and the gateway has not been started since. Start it first.`, {
      code: 'SECRET_ROTATING',
    })
  }
  await replaceFile(path, `${newSecret()}\n${text}`)
}

/** Nothing is sealed with the former one any more. */
export async function dropFormer(path: string): Promise<void> {
  const { text } = await privateFile(path, newSecret)
  const [current = ''] = text.split('\n')
  if (current !== text) await replaceFile(path, current)
}

const newSecret = (): string => randomBytes(BYTES).toString('base64url')
