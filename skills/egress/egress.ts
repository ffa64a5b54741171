/**
 * The ports of the way out: what a sandbox mounts so that a skill reaches the hosts it declares and nothing else, and what code
 * without sockets fetches with. `proxy.ts` and `fetch.ts` keep them; sandboxes know only this file.
 */
import type { SkillEvent, SkillOutcome } from '#contract'

/** Where a sandbox mounts a door's directory, and the name of the socket in it. */
export const EGRESS_MOUNT = '/run/egress'
export const EGRESS_SOCKET = 'proxy.sock'

export interface Egress {
  /**
   * A door for one sandbox, made before it starts; nothing goes through before `begin`. `name`: that of a door which a former life of the
   * gateway opened and a sandbox still has mounted (the last part of its `dir`): who comes to it before `begin` waits a while.
   */
  open(name?: string): Promise<EgressDoor>
  /** Removes what former lives left, save the doors of these names. */
  sweep(keep: readonly string[]): Promise<void>
}

export interface EgressDoor {
  /** Absolute path, mounted read-only at EGRESS_MOUNT. */
  readonly dir: string
  /** A call begins, as the only one of its sandbox: counts begin anew, and what the call before left open is closed. */
  begin(call: EgressCall): void
  /** The call has ended: its connections are closed, and nothing goes through. Idempotent: the same report until the next `begin`. */
  end(): EgressReport
  /** With its socket and directory. Idempotent. */
  close(): Promise<void>
}

export interface EgressCall {
  /** For the log. */
  readonly skill: string
  readonly key: string
  /** `host`, `host:port`, `*.domain` and `*`; without a port, 80 and 443. */
  readonly allow: readonly string[]
  /** Told the first few different denials as they happen, in sentences for people, and at the end how many there were. Must not throw. */
  readonly onDenied?: (why: string) => void
}

export interface EgressReport {
  readonly allowed: number
  readonly denied: number
  /** The first few, in sentences for people: which host, and why not. */
  readonly denials: readonly string[]
  readonly bytesUp: number
  readonly bytesDown: number
}

export interface EgressRequest extends EgressCall {
  readonly url: string
  readonly method: string
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array | null
  readonly maxBytes: number
  readonly signal: AbortSignal
}

export interface EgressResponse {
  readonly status: number
  /** Names in lower case. */
  readonly headers: { readonly [name: string]: string }
  readonly body: Uint8Array
}

/**
 * Redirects are followed, each hop judged like the first.
 * @throws DeniedError (`EGRESS_DENIED`) where it may not go; InvalidError (`EGRESS_INVALID`) for what is no request, or too large an
 *   answer; UnavailableError (`EGRESS_UNREACHABLE`)
 */
export type EgressFetch = (request: EgressRequest) => Promise<EgressResponse>

/** As the run's log has it, which is there also when the skill makes do without. */
export const denialOf = (why: string): SkillEvent => ({ is: 'log', stream: 'log', text: `egress: ${why}\n` })

/** A run whose code died after it was denied a host has failed of that. */
export function judgeDenials(outcome: SkillOutcome, { denied, denials }: EgressReport): SkillOutcome {
  if (outcome.status === 'ok' || outcome.code !== 'crashed' || denied === 0) return outcome
  const more = denied > denials.length ? ` (${denied} denials in all)` : ''
  return { ...outcome, code: 'egress_denied', message: `${denials.join(' ')}${more} It then failed: ${outcome.message}` }
}
