/** Which agent gets an envelope: rules as the configuration gives them. */
import type { JsonValue } from './envelope.ts'

/** All members that are given must hold. Strings may hold `*` for any characters; see `topic` for its own wildcards. */
export interface RouteMatch {
  readonly channel?: string
  readonly account?: string
  readonly sender?: string
  /** Lower-case header names. */
  readonly headers?: { readonly [name: string]: string }
  /** Dotted path into the metadata → value (strings may hold `*`). */
  readonly metadata?: { readonly [path: string]: JsonValue }
  /** Words separated by dots; `*` stands for one word, `#` for any number, as in AMQP 0-9-1 topic exchanges. */
  readonly topic?: string
}

export interface RouteRule {
  /** Shown where somebody asks why: its place in the file, or a name. */
  readonly id: string
  readonly match: RouteMatch
  /** Name of the agent. */
  readonly agent: string
  /** The agent's: only messages of this tenant are held against it. */
  readonly tenant: string
}

export interface Routing {
  readonly rules: readonly RouteRule[]
  /** By tenant, for what no rule matches; none: a dead letter. */
  readonly fallbacks: { readonly [tenant: string]: string }
  /** One person under several addresses: name → `channel:peer`. */
  readonly identityLinks: { readonly [person: string]: readonly string[] }
}
