/** `openclaw version`. */
import { readFile } from 'node:fs/promises'
import { isJsonObject } from '#contract'
import type { Command } from '../command.ts'
import { EXIT } from '../exit.ts'

export const version: Command = {
  summary: 'Prints the version of this command and of Node.',
  verbs: { '': '' },
  run: async ({ json }, { out }) => {
    const own = await ownVersion()
    if (json) out.json({ name: 'openclaw', version: own, node: process.version })
    else out.line(`openclaw ${own} (Node ${process.version})`)
    return EXIT.ok
  },
}

export async function ownVersion(): Promise<string> {
  const manifest: unknown = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  return isJsonObject(manifest) && typeof manifest['version'] === 'string' ? manifest['version'] : 'unknown'
}
