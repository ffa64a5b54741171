/**
 * All sources behind one door: a reference goes to the source that it names, and a plain `${NAME}` to those that are asked for names, in order. Asks for
 * everything at once, within bounds; notices when what it gave has changed since. Knows nothing of settings.
 */
import { isSecretName } from '#contract'
import type { Clock, Log } from '#contract'
import { DotEnv } from './dot-env.ts'
import { FileSource } from './file-source.ts'
import { failed, missing } from './source.ts'
import type { Environment, Resolution } from './source.ts'
import type { VaultSettings, VaultSource } from './vault/vault.ts'

export type Resolutions = ReadonlyMap<string, Resolution>

/** By the block `secrets` of the configuration. */
export interface SecretsSettings {
  /** null: there is none. */
  readonly vault: VaultSettings | null
  readonly refreshMs: number
}

export interface SecretsParts {
  readonly dir: string
  readonly env: Environment
  readonly clock: Clock
  /** What happens later is told there; null: nobody hears it. */
  readonly log: () => Log | null
  /** Told every secret before anybody can use it. */
  readonly onSecret?: (value: string) => void
}

/** Sources that a reference can name, for messages. */
const SOURCES: readonly string[] = ['file', 'vault']

const MAX_AT_ONCE = 8

export class Secrets {
  readonly #parts: SecretsParts
  readonly #files: FileSource
  #vault: VaultSource | null = null
  /** What the last round gave, to see what changed since. */
  #known: Resolutions = new Map()
  #refreshMs = 0
  #changed: (() => void) | null = null
  #cancel: () => void = () => undefined
  #isStopped = false
  #turn: Promise<void> = Promise.resolve()

  constructor(parts: SecretsParts) {
    this.#parts = parts
    this.#files = new FileSource(parts)
  }

  /** Called before a round. A Vault whose settings are the same keeps its token and leases. */
  async configure(settings: SecretsSettings): Promise<void> {
    this.#refreshMs = settings.refreshMs
    if (JSON.stringify(this.#vault?.settings ?? null) === JSON.stringify(settings.vault)) return
    const old = this.#vault
    const { clock, log } = this.#parts
    const parts = { clock, log, onSecret: (value: string) => this.#tell(value), onChange: () => this.#changed?.() }
    if (settings.vault === null) this.#vault = null
    else {
      const { VaultSource: Source } = await import('./vault/vault.ts')
      this.#vault = new Source(settings.vault, parts)
    }
    await old?.stop()
  }

  /** For what says where Vault is, which cannot itself lie there. */
  resolveWithoutVault(references: readonly string[]): Promise<Resolutions> {
    return this.#inTurn(() => this.#ask(references, null))
  }

  /** Answers for all of them, each once. What Vault keeps for nobody any more is let go. */
  resolve(references: readonly string[]): Promise<Resolutions> {
    return this.#inTurn(async () => {
      this.#known = await this.#ask(references, this.#vault)
      this.#refreshLater()
      return this.#known
    })
  }

  /** `onChange` is called when a value that was given is another by now. Until `stop`. */
  watch(onChange: () => void): void {
    this.#changed = onChange
    this.#refreshLater()
  }

  /** What the last round gave. */
  get known(): Resolutions {
    return this.#known
  }

  /** The references whose answers in the last round are others than these. */
  changedSince(before: Resolutions): readonly string[] {
    return [...this.#known]
      .filter(([reference, now]) => before.has(reference) && isOther(before.get(reference), now))
      .map(([reference]) => reference)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel()
    await this.#vault?.stop()
  }

  /** One round after the other: a round decides what Vault keeps. */
  #inTurn<Answer>(round: () => Promise<Answer>): Promise<Answer> {
    const turn = this.#turn.then(round)
    this.#turn = turn.then(
      () => undefined,
      () => undefined,
    )
    return turn
  }

  async #ask(references: readonly string[], vault: VaultSource | null): Promise<Resolutions> {
    const key = this.#parts.env['OPENCLAW_ENV_KEY']
    if (key) this.#tell(key.trim())
    const dotEnv = new DotEnv(this.#parts)
    vault?.begin()
    const answers = new Map<string, Resolution>()
    const left = [...new Set(references)]
    const work = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const answer = await this.#one(next, dotEnv, vault)
        if (answer.is === 'value' && answer.isSecret) this.#tell(answer.value)
        answers.set(next, answer)
      }
    }
    await Promise.all(Array.from({ length: MAX_AT_ONCE }, work))
    vault?.end()
    return answers
  }

  async #one(reference: string, dotEnv: DotEnv, vault: VaultSource | null): Promise<Resolution> {
    const colon = reference.indexOf(':')
    const name = reference.slice(colon + 1)
    if (colon < 0) return this.#named(reference, dotEnv, vault)
    switch (reference.slice(0, colon)) {
      case 'file':
        return this.#files.resolve(name)
      case 'vault':
        return vault === null
          ? failed('there is no Vault to ask here, expected secrets.backend: vault and a reference outside of the block `secrets`')
          : vault.resolve(name)
      default:
        return failed(
          `there is no source ${JSON.stringify(reference.slice(0, colon))}, expected one of ${SOURCES.join(', ')}, or the name of a variable`,
        )
    }
  }

  /** The real environment always has the first word. */
  async #named(name: string, dotEnv: DotEnv, vault: VaultSource | null): Promise<Resolution> {
    const value = this.#parts.env[name]
    if (value !== undefined && value !== '') return { is: 'value', value, isSecret: isSecretName(name) }
    const written = await dotEnv.resolve(name)
    if (written.is !== 'missing') return written
    if (vault !== null && vault.settings.home !== null) {
      const kept = await vault.resolve(`#${name}`)
      if (kept.is !== 'missing') return kept
      return missing(`${name} is neither a variable of the environment nor a field of ${vault.settings.home} in Vault`)
    }
    return value === '' ? { is: 'value', value, isSecret: false } : missing(`the environment variable ${name} is not set`)
  }

  #tell(value: string): void {
    this.#parts.onSecret?.(value)
  }

  /** Files and Vault's plain entries tell nobody when they change: they are looked at. */
  #refreshLater(): void {
    this.#cancel()
    if (this.#changed === null || this.#isStopped || this.#refreshMs === 0 || this.#known.size === 0) return
    this.#cancel = this.#parts.clock.after(this.#refreshMs, () => void this.#refresh())
  }

  async #refresh(): Promise<void> {
    const before = this.#known
    const now = await this.#inTurn(() => this.#ask([...before.keys()], this.#vault))
    if (this.#isStopped) return
    if (this.#known === before && [...now].some(([reference, answer]) => answer.is === 'value' && isOther(before.get(reference), answer)))
      this.#changed?.()
    else
      for (const [reference, answer] of now)
        if (answer.is !== 'value')
          this.#parts
            .log()
            ?.warn({}, `\${${reference}} is not to be had any more; its value stays until the next start: ${answer.problem}.`)
    this.#refreshLater()
  }
}

const isOther = (before: Resolution | undefined, now: Resolution): boolean =>
  before?.is !== now.is || (before.is === 'value' && now.is === 'value' && before.value !== now.value)
