/** Signs the folder of a skill with the key that the command line names. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { isJsonObject } from '#contract'
import { sign } from '../../skills/bundle/signature.ts'
import type { Call } from '../command.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { SkillFolder } from './folder.ts'

/** Detached JWS. @throws CommandError when key or name are missing or unfit */
export async function signFolder({ descriptor, files }: SkillFolder, call: Call, cwd: string): Promise<string> {
  const file = call.text('sign')
  const kid = call.text('kid')
  if (file === undefined || kid === undefined)
    throw new CommandError(
      'Signing needs --sign with the file of a private key, and --kid with its name in skills.signatures.keys.',
      EXIT.usage,
    )
  const privateKey = await readFile(resolve(cwd, file), 'utf8').catch(() => {
    throw new CommandError(`The key ${file} cannot be read.`, EXIT.missing)
  })
  if (!isJsonObject(descriptor)) throw new CommandError('skill.json is no object.', EXIT.failed)
  try {
    return await sign({ descriptor, files }, { privateKey, kid })
  } catch (error) {
    throw new CommandError(
      `${file} is no private key to sign with (PEM, Ed25519; "openssl genpkey -algorithm ed25519" makes one).`,
      EXIT.failed,
      error,
    )
  }
}
