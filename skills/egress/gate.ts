/**
 * Decides whether a skill may reach a host, and connects to it. The name is resolved once, all addresses behind it are judged, and one
 * of exactly these is dialled, so that no second answer of a name server leads elsewhere. What is said over the connection is not its business.
 */
import { lookup } from 'node:dns/promises'
import { connect, isIP } from 'node:net'
import type { Socket } from 'node:net'
import { authority, parseAuthority, permits } from './match.ts'
import type { Rule, Target } from './match.ts'

export interface GateOptions {
  readonly isPublicAddress: (address: string) => boolean
  /** `host:port` and `address:port` that may be reached although they are not public. */
  readonly privateHosts: readonly string[]
  /** All addresses of a name. Tests have their own. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
  readonly limits?: Partial<GateLimits>
}

export interface GateLimits {
  readonly resolveMs: number
  readonly connectMs: number
}

/** `verdict` is a label of the metric, so its values are few. `why`: a sentence for people. */
export type Judgement =
  | { readonly verdict: 'allowed'; readonly addresses: readonly string[] }
  | { readonly verdict: 'denied_host' | 'denied_address' | 'unresolved'; readonly why: string }

const LIMITS: GateLimits = { resolveMs: 5_000, connectMs: 10_000 }
const MAX_TRIED = 4

export class Gate {
  readonly #isPublic: (address: string) => boolean
  readonly #private: ReadonlySet<string>
  readonly #resolve: (host: string) => Promise<readonly string[]>
  readonly #limits: GateLimits

  constructor(options: GateOptions) {
    this.#isPublic = options.isPublicAddress
    this.#private = new Set(options.privateHosts.map(spelled))
    this.#resolve = options.resolve ?? resolveAll
    this.#limits = { ...LIMITS, ...options.limits }
  }

  /** Never rejects, but when the signal aborts. */
  async judge(rules: readonly Rule[], target: Target, signal: AbortSignal): Promise<Judgement> {
    const place = authority(target)
    const rule = permits(rules, target)
    if (rule === null) {
      const hosts = rules.length === 0 ? 'it may reach none' : `it may reach ${rules.map(({ text }) => text).join(', ')}`
      return { verdict: 'denied_host', why: `${place} is not among the hosts of the skill: ${hosts} (network.allow).` }
    }
    let addresses: readonly string[]
    try {
      addresses = isIP(target.host) === 0 ? await this.#addresses(target.host, signal) : [target.host]
    } catch {
      signal.throwIfAborted()
      addresses = []
    }
    if (addresses.length === 0) return { verdict: 'unresolved', why: `${place} is not known to the name servers.` }
    // `*` is every public host. What is private has to be named by the skill and by the operator.
    const isPrivate = (address: string): boolean => !this.#isPublic(address) && (rule.is === 'any' || !this.#isExcepted(target, address))
    if (addresses.some(isPrivate)) {
      return {
        verdict: 'denied_address',
        why: `${place} is no public address (rule ${rule.text}; skills.private_hosts has the exceptions).`,
      }
    }
    return { verdict: 'allowed', addresses }
  }

  /** To the first of the addresses that answers. Rejects when none does in time. */
  async dial(addresses: readonly string[], port: number, signal: AbortSignal): Promise<Socket> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#limits.connectMs)])
    let last: unknown
    for (const address of addresses.slice(0, MAX_TRIED)) {
      try {
        return await dialOne(address, port, limit)
      } catch (error) {
        if (limit.aborted) throw error
        last = error
      }
    }
    throw last
  }

  #isExcepted({ host, port }: Target, address: string): boolean {
    return this.#private.has(authority({ host, port })) || this.#private.has(authority({ host: address, port }))
  }

  async #addresses(host: string, signal: AbortSignal): Promise<readonly string[]> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#limits.resolveMs)])
    const gone = Promise.withResolvers<never>()
    const onAbort = (): void => gone.reject(limit.reason)
    limit.addEventListener('abort', onAbort, { once: true })
    if (limit.aborted) onAbort()
    try {
      return await Promise.race([this.#resolve(host), gone.promise])
    } finally {
      limit.removeEventListener('abort', onAbort)
    }
  }
}

function dialOne(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, family: isIP(address), noDelay: true, allowHalfOpen: true })
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort)
      socket.off('error', onError)
      socket.off('connect', onConnect)
    }
    const onError = (error: Error): void => {
      settle()
      // The socket may say more after it was given up.
      socket.on('error', () => {})
      socket.destroy()
      reject(error)
    }
    const onAbort = (): void => onError(new Error(`${address} did not answer in time.`))
    const onConnect = (): void => {
      settle()
      resolve(socket)
    }
    socket.on('error', onError)
    socket.on('connect', onConnect)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
  })
}

const resolveAll = async (host: string): Promise<readonly string[]> =>
  (await lookup(host, { all: true, order: 'ipv4first' })).map(({ address }) => address)

function spelled(text: string): string {
  const target = parseAuthority(text)
  return target === null ? text : authority(target)
}
