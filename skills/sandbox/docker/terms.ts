/** What Docker and Podman want to be told in different words. What lets no call through but those that programs need stands in `seccomp.json`. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Engine } from './engine.ts'

export interface Terms {
  readonly isPodman: boolean
  /** Value of the security option of that name. */
  readonly seccomp: string
}

const FILE = new URL('seccomp.json', import.meta.url)

/**
 * Docker takes the filter itself. Podman takes the path of a file and reads it where it runs, so it has to see the gateway's installation
 * (https://github.com/containers/podman/issues/27710).
 */
export async function termsOf(engine: Pick<Engine, 'name'>): Promise<Terms> {
  const isPodman = (await engine.name()) === 'Podman'
  // Without the white space that makes it readable.
  return { isPodman, seccomp: isPodman ? fileURLToPath(FILE) : JSON.stringify(JSON.parse(await readFile(FILE, 'utf8'))) }
}
