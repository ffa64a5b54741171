/**
 * TLS as the gateway speaks it: 1.3 with AES-256-GCM and nothing else, certificate and key from files that may be replaced while it runs.
 * New connections get what the files hold now; those that are open stay as they are. Files that do not fit together change nothing.
 */
import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { SecureContextOptions, TlsOptions } from 'node:tls'
import { InvalidError, describeError } from '#contract'
import type { Clock, Log, TlsSettings } from '#contract'

/** How often the files are looked at. */
const LOOK_MS = 10_000
/** A hello that takes longer is none. */
const HANDSHAKE_MS = 10_000

export class TlsFiles {
  readonly #settings: TlsSettings
  readonly #clock: Clock
  readonly #log: Log
  #seen = ''
  #cancelTimer: (() => void) | null = null

  constructor(options: { readonly settings: TlsSettings; readonly clock: Clock; readonly log: Log }) {
    this.#settings = options.settings
    this.#clock = options.clock
    this.#log = options.log
  }

  /** @throws InvalidError that names the file and what is wrong with it */
  async read(): Promise<TlsOptions> {
    const { clientCa, isClientRequired } = this.#settings
    this.#seen = await this.#look()
    return {
      ...(await this.#context()),
      handshakeTimeout: HANDSHAKE_MS,
      requestCert: clientCa !== null,
      rejectUnauthorized: clientCa !== null && isClientRequired,
    }
  }

  /** Calls `replace` when the files hold something else, until `stop`. */
  watch(replace: (context: SecureContextOptions) => void): void {
    this.#cancelTimer ??= this.#clock.after(LOOK_MS, () => void this.#again(replace))
  }

  stop(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }

  async #again(replace: (context: SecureContextOptions) => void): Promise<void> {
    try {
      const now = await this.#look()
      if (now !== this.#seen) {
        replace(await this.#context())
        this.#seen = now
        this.#log.info({ file: this.#settings.cert }, 'The TLS certificate was read again; new connections get it.')
      }
    } catch (error) {
      this.#log.error(
        { 'error.code': describeError(error).code },
        `TLS goes on with the certificate it has. ${describeError(error).message}`,
      )
    }
    if (this.#cancelTimer === null) return
    this.#cancelTimer = this.#clock.after(LOOK_MS, () => void this.#again(replace))
  }

  async #look(): Promise<string> {
    const { cert, key, clientCa } = this.#settings
    const files = [cert, key, ...(clientCa === null ? [] : [clientCa])]
    const looks = await Promise.all(
      files.map(async (file) => {
        const { mtimeMs, size, ino } = await stat(file).catch(unreadable(file))
        return `${mtimeMs} ${size} ${ino}`
      }),
    )
    return looks.join()
  }

  async #context(): Promise<SecureContextOptions> {
    const { cert, key, clientCa } = this.#settings
    const read = (file: string): Promise<string> => readFile(file, 'utf8').catch(unreadable(file))
    const [certText, keyText, ca] = await Promise.all([read(cert), read(key), clientCa === null ? null : read(clientCa)])
    const context: SecureContextOptions = {
      cert: certText,
      key: keyText,
      ...(ca !== null && { ca }),
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_256_GCM_SHA384',
    }
    try {
      createSecureContext(context)
    } catch (error) {
      throw unfit(
        `${cert} and ${key} do not make a TLS server: ${describeError(error).message}. They have to be PEM and belong together.`,
        error,
      )
    }
    const { validTo } = new X509Certificate(certText)
    if (Date.parse(validTo) <= this.#clock.now()) throw unfit(`The certificate in ${cert} has expired (${validTo}).`, null)
    return context
  }
}

const unreadable =
  (file: string) =>
  (error: unknown): never => {
    throw unfit(`${file} cannot be read: ${describeError(error).message}. Check server.tls and the file's permissions.`, error)
  }

const unfit = (message: string, cause: unknown): InvalidError => new InvalidError(message, { code: 'TLS_UNFIT', cause })
