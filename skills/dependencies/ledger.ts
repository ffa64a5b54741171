/** Which volumes with packages there are, how large they are and when they were used last: a small file that outlives the gateway. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Kept {
  /** Of the volume. */
  readonly name: string
  readonly bytes: number
  readonly usedAt: number
}

const FILE = 'dependencies.json'

export class Ledger {
  readonly #path: string
  #entries: Promise<Map<string, Kept>> | null = null
  #saving: Promise<void> = Promise.resolve()

  /** @param dir the folder `.openclaw` */
  constructor(dir: string) {
    this.#path = join(dir, FILE)
  }

  async find(key: string): Promise<Kept | null> {
    return (await this.#read()).get(key) ?? null
  }

  async all(): Promise<readonly (readonly [key: string, kept: Kept])[]> {
    return [...(await this.#read())]
  }

  async add(key: string, kept: Kept): Promise<void> {
    const entries = await this.#read()
    entries.set(key, kept)
  }

  async remove(key: string): Promise<void> {
    const entries = await this.#read()
    entries.delete(key)
  }

  /** Kept in memory until the next `save`. */
  async use(key: string, at: number): Promise<void> {
    const entries = await this.#read()
    const kept = entries.get(key)
    if (kept !== undefined) entries.set(key, { ...kept, usedAt: at })
  }

  /** One after the other. Without a file nothing is written that was never read. */
  save(): Promise<void> {
    this.#saving = this.#saving.catch(() => {}).then(() => this.#write())
    return this.#saving
  }

  async #write(): Promise<void> {
    if (this.#entries === null) return
    const text = JSON.stringify(Object.fromEntries(await this.#entries))
    await writeFile(`${this.#path}.new`, text, { mode: 0o600 })
    await rename(`${this.#path}.new`, this.#path)
  }

  #read(): Promise<Map<string, Kept>> {
    this.#entries ??= readFile(this.#path, 'utf8').then(parse, () => new Map())
    return this.#entries
  }
}

/** What is damaged is not there: the volumes are made again. */
function parse(text: string): Map<string, Kept> {
  const entries = new Map<string, Kept>()
  try {
    const all: unknown = JSON.parse(text)
    for (const [key, value] of Object.entries({ ...(all as object) })) {
      const { name, bytes, usedAt } = { ...(value as { readonly [member: string]: unknown }) }
      if (typeof name === 'string' && typeof bytes === 'number' && typeof usedAt === 'number') entries.set(key, { name, bytes, usedAt })
    }
  } catch {
    return new Map()
  }
  return entries
}
