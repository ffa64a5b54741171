/** What is to be said of files with secrets in the folder: who else may read them, and what was left behind. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { KEY_FILE, PLAIN_FILE, SEALED_FILE, findKey } from '../../gateway/secrets/dot-env.ts'
import type { Environment } from '../../gateway/secrets/source.ts'
import type { Finding } from './local.ts'

export async function checkSecrets(dir: string, env: Environment): Promise<readonly Finding[]> {
  const [plain, sealed, keyFile] = await Promise.all([PLAIN_FILE, SEALED_FILE, KEY_FILE].map((name) => modeOf(join(dir, name))))
  const findings: Finding[] = []
  const name = 'secrets'
  if (typeof plain === 'number' && (plain & 0o077) !== 0 && process.platform !== 'win32') {
    findings.push({
      name,
      state: 'warn',
      detail: `${PLAIN_FILE} has mode ${plain.toString(8)}, others may read it`,
      fix: `Run "chmod 600 ${join(dir, PLAIN_FILE)}", or "openclaw secrets encrypt" and remove it.`,
    })
  }
  if (typeof keyFile === 'number' && (keyFile & 0o077) !== 0 && process.platform !== 'win32') {
    findings.push({
      name,
      state: 'fail',
      detail: `${KEY_FILE} has mode ${keyFile.toString(8)}, others may read it`,
      fix: `Run "chmod 600 ${join(dir, KEY_FILE)}", and set the secrets anew if others were on this machine.`,
    })
  }
  if (plain !== null && sealed !== null) {
    findings.push({
      name,
      state: 'warn',
      detail: `${PLAIN_FILE} lies beside ${SEALED_FILE}, unencrypted`,
      fix: `Remove ${PLAIN_FILE}: what is in both is taken from ${SEALED_FILE}.`,
    })
  }
  if (sealed !== null) {
    const key = await findKey({ dir, env })
    if (key.is === 'none')
      findings.push({
        name,
        state: 'fail',
        detail: `there is no key for ${SEALED_FILE}`,
        fix: 'Set OPENCLAW_ENV_KEY, or OPENCLAW_ENV_KEY_FILE to a file with it.',
      })
    if (key.is === 'bad') findings.push({ name, state: 'fail', detail: key.problem, fix: 'Give it the key that "openclaw secrets" made.' })
  }
  if (findings.length > 0) return findings
  return sealed === null && plain === null
    ? []
    : [{ name, state: 'ok', detail: sealed === null ? `${PLAIN_FILE} is for its owner only` : `${SEALED_FILE} has its key` }]
}

/** null: there is no such file. */
async function modeOf(file: string): Promise<number | null> {
  const found = await stat(file).catch(() => null)
  return found === null ? null : found.mode & 0o777
}
