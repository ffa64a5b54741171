/**
 * The packages of skills, unpacked once for each lock file into a volume that containers mount read-only. Unpacking happens in a hardened
 * container without network, from the operator's store; what is not used any more goes when there is too much of it.
 */
import { readFile } from 'node:fs/promises'
import { InvalidError, UnavailableError } from '#contract'
import type { Clock, JsonObject, Log } from '#contract'
import type { Bundle } from '../bundle/bundle.ts'
import { EngineRefusal } from '../sandbox/docker/engine.ts'
import type { Engine, EngineVolumes } from '../sandbox/docker/engine.ts'
import type { Terms } from '../sandbox/docker/terms.ts'
import { Ledger } from './ledger.ts'
import { lockKey, readLock } from './lock.ts'
import type { Lock } from './lock.ts'
import { fetchArchives } from './shelf.ts'
import type { Archive, Shelf } from './shelf.ts'
import { unpackerBody } from './unpacker.ts'

export interface PackagesOptions {
  readonly engine: Engine & EngineVolumes
  readonly image: string
  readonly runtime: string | null
  /** Which gateway's, as on its containers. */
  readonly instance: () => Promise<string>
  readonly terms: () => Promise<Terms>
  /** The folder `.openclaw`: what is kept, and when it was used, is written there. */
  readonly dir: string
  readonly shelf: Shelf
  readonly clock: Clock
  readonly log: Log
  /** Of all volumes together; default 2 GiB. */
  readonly maxBytes?: number
}

const MAX_BYTES = 2 * 1_073_741_824
const UNPACK_LIMIT_MS = 120_000
const LOOK_MS = 50
const MAX_LOOKS = 200
const MAX_ANSWER_BYTES = 65_536
const VOLUME_LABELS = { instance: 'openclaw.instance', key: 'openclaw.deps' } as const

export class Packages {
  readonly #options: PackagesOptions
  readonly #ledger: Ledger
  /** Volumes that are there, or are being made. */
  readonly #volumes = new Map<string, Promise<string>>()
  #swept: Promise<void> | null = null

  constructor(options: PackagesOptions) {
    this.#options = options
    this.#ledger = new Ledger(options.dir)
  }

  /**
   * The volume with what the bundle's lock file names.
   * @throws InvalidError (`DEPS_FAILED`) when it cannot be had; UnavailableError when the engine cannot be
   */
  async volume({ descriptor, files }: Bundle): Promise<string> {
    const { language } = descriptor.runtime
    const path = descriptor.dependencies ?? ''
    const bytes = Object.hasOwn(files, path) ? files[path] : undefined
    if (language !== 'python' && language !== 'node') throw failed(`Skills in ${language} have no packages.`)
    if (bytes === undefined) throw failed(`The bundle has no file "${path}".`)
    const read = readLock(language, path, bytes)
    if (!read.ok) throw failed(read.faults.map(({ detail }) => detail).join(' '))
    const image = await this.#options.engine.image(this.#options.image)
    if (image === null) throw new UnavailableError(`The engine has no image ${this.#options.image}.`, { code: 'SANDBOX_UNAVAILABLE' })
    const key = lockKey(read.lock, image.id)
    // One failure is not everybody's for ever: the next asks again.
    const volume = this.#volumes.get(key) ?? this.#have(key, read.lock)
    this.#volumes.set(key, volume)
    try {
      const name = await volume
      await this.#ledger.use(key, this.#options.clock.now())
      return name
    } catch (error) {
      this.#volumes.delete(key)
      throw error
    }
  }

  /** What was used is written down. */
  async stop(): Promise<void> {
    await Promise.allSettled(this.#volumes.values())
    await this.#ledger.save()
  }

  async #have(key: string, lock: Lock): Promise<string> {
    const { engine, shelf, instance, log, clock } = this.#options
    const owner = await instance()
    const name = `openclaw-deps-${owner.slice(0, 8)}-${key.slice(0, 32)}`
    await (this.#swept ??= this.#sweep(owner))
    const { bytes: known } = (await this.#ledger.find(key)) ?? { bytes: null }
    if (known !== null && (await engine.volumes({ [VOLUME_LABELS.key]: key })).includes(name)) return name
    const fetched = await fetchArchives(lock, shelf)
    if (!fetched.ok) throw failed(fetched.message)
    const from = clock.now()
    await engine.removeVolume(name)
    await engine.createVolume(name, { [VOLUME_LABELS.instance]: owner, [VOLUME_LABELS.key]: key })
    let bytes: number
    try {
      bytes = await this.#unpack(name, lock, fetched.archives)
    } catch (error) {
      await engine.removeVolume(name).catch(() => {})
      throw error
    }
    await this.#ledger.add(key, { name, bytes, usedAt: clock.now() })
    await this.#ledger.save()
    log.info({ packages: lock.packages.length, bytes, ms: clock.now() - from }, 'packages of a skill unpacked')
    await this.#evict(key)
    return name
  }

  async #unpack(volume: string, lock: Lock, archives: readonly Archive[]): Promise<number> {
    const { engine, image, runtime, terms, clock } = this.#options
    const script = await readFile(new URL('installer.py', import.meta.url), 'utf8')
    const id = await engine.create(unpackerBody({ image, runtime, terms: await terms(), volume, script }))
    try {
      const line = await engine.attach(id)
      const tooLate = Promise.withResolvers<never>()
      const disarm = clock.after(UNPACK_LIMIT_MS, () => tooLate.reject(failed('Unpacking the packages took too long.')))
      try {
        // Heard from the beginning, so that nothing is missed.
        const answered = answerOf(line.output, line.ended)
        await engine.start(id)
        line.input.on('error', () => {})
        for (const part of parcel(lock, archives)) line.input.write(part)
        return bytesOf(await Promise.race([answered, tooLate.promise]))
      } finally {
        disarm()
        line.close()
      }
    } finally {
      await this.#end(id)
    }
  }

  /** It goes by itself when it ends, so that a removal may be under way already; the volume is free only after that. */
  async #end(id: string): Promise<void> {
    const { engine, clock } = this.#options
    await engine.remove(id)
    for (let tries = 0; tries < MAX_LOOKS && (await engine.state(id)) !== null; tries++) {
      await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve))
    }
  }

  /** What a former life did not finish, or nobody knows of. */
  async #sweep(owner: string): Promise<void> {
    const { engine } = this.#options
    const known = new Set((await this.#ledger.all()).map(([, { name }]) => name))
    for (const name of await engine.volumes({ [VOLUME_LABELS.instance]: owner })) if (!known.has(name)) await this.#drop(name)
  }

  /** The longest unused go first. */
  async #evict(keep: string): Promise<void> {
    const { maxBytes = MAX_BYTES } = this.#options
    const all = (await this.#ledger.all()).toSorted(([, a], [, b]) => a.usedAt - b.usedAt)
    let total = all.reduce((sum, [, { bytes }]) => sum + bytes, 0)
    for (const [key, { name, bytes }] of all) {
      if (total <= maxBytes) break
      if (key === keep || !(await this.#drop(name))) continue
      total -= bytes
      this.#volumes.delete(key)
      await this.#ledger.remove(key)
    }
    await this.#ledger.save()
  }

  /** False: a container has it. */
  async #drop(name: string): Promise<boolean> {
    try {
      return await this.#options.engine.removeVolume(name)
    } catch (error) {
      if (error instanceof EngineRefusal) return false
      throw error
    }
  }
}

/** What the unpacker reads: how long its table is, the table, the archives. */
function parcel({ language }: Lock, archives: readonly Archive[]): readonly Buffer[] {
  const table: JsonObject = {
    language,
    archives: archives.map(({ package: { name, path }, file, bytes }) => ({ name, path, file, size: bytes.byteLength })),
  }
  const json = Buffer.from(JSON.stringify(table))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(json.byteLength)
  return [length, json, ...archives.map(({ bytes }) => bytes)]
}

/** Its first line, or '' when it ended without one. */
function answerOf(output: NodeJS.ReadableStream, ended: Promise<void>): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let text = ''
  output.on('error', () => resolve(''))
  output.on('data', (chunk: Buffer | string) => {
    text += chunk.toString()
    if (text.includes('\n') || text.length > MAX_ANSWER_BYTES) resolve(text)
  })
  output.once('end', () => resolve(text))
  void ended.then(() => output.resume())
  return promise
}

function bytesOf(answer: string): number {
  let told: unknown = null
  try {
    told = JSON.parse(answer)
  } catch {
    // Killed, most likely for its memory.
  }
  const { bytes, error } = { ...(told as { readonly bytes?: unknown; readonly error?: unknown } | null) }
  if (typeof bytes === 'number') return bytes
  throw failed(
    typeof error === 'string' ? `The packages were not unpacked: ${error}.` : 'The packages were not unpacked: the unpacker died.',
  )
}

const failed = (message: string): InvalidError => new InvalidError(message.slice(0, 1_000), { code: 'DEPS_FAILED' })
