/**
 * Who we are to Vault: a token that was given, or one from a login (AppRole, Kubernetes), renewed in time and replaced when it cannot be. What
 * hangs on a token ends with it, which `onReplaced` tells. Reading secrets is the source's.
 */
import { readFile } from 'node:fs/promises'
import { DeniedError, UnavailableError, describeError, isJsonObject } from '#contract'
import type { Clock, JsonObject, JsonValue, Log } from '#contract'
import type { AskVault } from './client.ts'

export type VaultAuth =
  | { readonly method: 'token'; readonly token: string }
  | { readonly method: 'approle'; readonly mount: string; readonly roleId: string; readonly secretId: string | null }
  /** `jwtFile` is read at each login: the cluster replaces it. */
  | { readonly method: 'kubernetes'; readonly mount: string; readonly role: string; readonly jwtFile: string }

export interface SessionParts {
  readonly ask: AskVault
  readonly clock: Clock
  readonly log: () => Log | null
  /** Told each token before it is used. */
  readonly onSecret: (value: string) => void
  /** The token is another one; leases of the one before end with it. */
  readonly onReplaced: () => void
}

/** A share of its time after which a token or lease is renewed: late enough to be worth it, early enough for a few more tries. */
export const RENEW_AT: number = 2 / 3
/** When a renewal gains no more than this share, it has met its longest time. */
export const LEAST_GAIN: number = 1 / 3
const RETRY_MS = 5_000

interface Token {
  readonly text: string
  readonly ttlMs: number
}

export class VaultSession {
  readonly #auth: VaultAuth
  readonly #parts: SessionParts
  #token: Promise<Token> | null = null
  #current: string | null = null
  #cancel: () => void = () => undefined
  #isClosed = false
  #count = 0

  constructor(auth: VaultAuth, parts: SessionParts) {
    this.#auth = auth
    this.#parts = parts
  }

  /** Logs in if need be; all who ask meanwhile get the same. */
  token(): Promise<string> {
    const pending = (this.#token ??= this.#obtain())
    return pending.then(({ text }) => text)
  }

  /** Something was denied to it. True: the token itself is no good any more, and another one may be had. */
  async isSpent(text: string): Promise<boolean> {
    if (this.#auth.method === 'token') return false
    try {
      await this.#parts.ask({ method: 'GET', path: 'auth/token/lookup-self', token: text })
      return false
    } catch (error) {
      if (!(error instanceof DeniedError)) return false
      if (this.#current === text) this.#forget()
      return true
    }
  }

  /** Gives back what a login got, and with it all leases that hang on it. */
  async stop(): Promise<void> {
    this.#isClosed = true
    this.#cancel()
    if (this.#auth.method === 'token' || this.#token === null) return
    const token = await this.#token.catch(() => null)
    // It ends by itself too; nobody is to wait for a Vault that is away.
    if (token !== null) await this.#parts.ask({ method: 'POST', path: 'auth/token/revoke-self', token: token.text }).catch(() => undefined)
  }

  #forget(): void {
    this.#cancel()
    this.#token = null
  }

  async #obtain(): Promise<Token> {
    try {
      const token = await this.#login()
      this.#current = token.text
      this.#parts.onSecret(token.text)
      this.#renewLater(token.text, token.ttlMs, token.ttlMs, token.isRenewable)
      if (this.#count++ > 0) this.#parts.onReplaced()
      return token
    } catch (error) {
      this.#token = null
      throw error
    }
  }

  async #login(): Promise<Token & { readonly isRenewable: boolean }> {
    const auth = this.#auth
    if (auth.method === 'token') {
      const answer = await this.#parts.ask({ method: 'GET', path: 'auth/token/lookup-self', token: auth.token })
      const data = isJsonObject(answer['data']) ? answer['data'] : {}
      return { text: auth.token, ttlMs: milliseconds(data['ttl']), isRenewable: data['renewable'] === true }
    }
    const body: JsonObject =
      auth.method === 'approle'
        ? { role_id: auth.roleId, ...(auth.secretId !== null && { secret_id: auth.secretId }) }
        : { role: auth.role, jwt: await this.#jwt(auth.jwtFile) }
    const answer = await this.#parts.ask({ method: 'POST', path: `auth/${auth.mount}/login`, body }).catch((error: unknown) => {
      // Vault says 400 for credentials it does not know.
      throw error instanceof UnavailableError
        ? error
        : new DeniedError(
            `Vault let nobody in by ${auth.method} at auth/${auth.mount}: look at secrets.vault_auth. ${describeError(error).message}`,
            { code: 'VAULT_DENIED', reason: 'unauthenticated' },
          )
    })
    const granted = isJsonObject(answer['auth']) ? answer['auth'] : {}
    const text = granted['client_token']
    if (typeof text !== 'string' || text === '')
      throw new DeniedError(`Vault's answer to the login at auth/${auth.mount} holds no token.`, {
        code: 'VAULT_DENIED',
        reason: 'unauthenticated',
      })
    return { text, ttlMs: milliseconds(granted['lease_duration']), isRenewable: granted['renewable'] === true }
  }

  async #jwt(file: string): Promise<string> {
    const text = (await readFile(file, 'utf8').catch(() => '')).trim()
    if (text === '')
      throw new DeniedError(`There is no token of a service account in ${file} (secrets.vault_auth.jwt_file).`, {
        code: 'VAULT_DENIED',
        reason: 'unauthenticated',
      })
    this.#parts.onSecret(text)
    return text
  }

  /** 0: it never ends. */
  #renewLater(text: string, leftMs: number, ttlMs: number, isRenewable: boolean): void {
    if (leftMs <= 0 || this.#isClosed) return
    const endsAt = this.#parts.clock.now() + leftMs
    this.#cancel = this.#parts.clock.after(leftMs * RENEW_AT, () => void this.#renew({ text, endsAt, ttlMs, isRenewable }))
  }

  async #renew(held: {
    readonly text: string
    readonly endsAt: number
    readonly ttlMs: number
    readonly isRenewable: boolean
  }): Promise<void> {
    const { ask, clock, log } = this.#parts
    const { text, endsAt, ttlMs, isRenewable } = held
    try {
      const answer = isRenewable ? await ask({ method: 'POST', path: 'auth/token/renew-self', token: text, body: {} }) : {}
      const granted = isJsonObject(answer['auth']) ? answer['auth'] : {}
      const leftMs = milliseconds(granted['lease_duration'])
      if (leftMs > ttlMs * LEAST_GAIN) return this.#renewLater(text, leftMs, ttlMs, isRenewable)
    } catch (error) {
      if (this.#isClosed) return
      if (error instanceof UnavailableError && clock.now() + RETRY_MS < endsAt) {
        this.#cancel = clock.after(RETRY_MS, () => void this.#renew(held))
        return
      }
      log()?.warn({ 'error.code': describeError(error).code }, `The token for Vault could not be renewed. ${describeError(error).message}`)
    }
    if (this.#isClosed) return
    if (this.#auth.method === 'token') {
      log()?.error(
        { ends_at: new Date(endsAt).toISOString() },
        'The token for Vault (secrets.vault_auth.token) soon ends and cannot be renewed; give another and reload.',
      )
      return
    }
    this.#forget()
    await this.token().catch((error: unknown) => {
      log()?.warn(
        { 'error.code': describeError(error).code },
        `Logging in to Vault again failed; the next read tries again. ${describeError(error).message}`,
      )
    })
  }
}

const milliseconds = (seconds: JsonValue | undefined): number => (typeof seconds === 'number' && seconds > 0 ? seconds * 1_000 : 0)
