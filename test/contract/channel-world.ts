/**
 * What the channel suite asks of the outside of a channel: a platform (real or a fake that speaks its protocol) with people on
 * it, seen and driven only from there. A channel's own test implements it once.
 */
import type { JsonObject } from '#contract'
import type { GatewayProcess, Scope } from '../support/gateway-process.ts'

/** What a channel or its platform may lack; the tests of it are then skipped by name, with this reason. */
export type Lack =
  /** The platform gives a message again that was not acknowledged, or was and is given twice. */
  | 'redelivery'
  /** Live connections can be cut and are made again by the channel. */
  | 'cut'
  | 'pause'
  | 'push'
  | 'permanent'
  | 'transient'
  | 'rate'
  | 'lost'
  | 'split'
  | 'groups'
  | 'echo'
  | 'edits'
  | 'undecodable'
  | 'auth'

export interface Saying {
  /** Default: `ann`. People, chats and groups are the suite's names; the world maps them to the platform's. */
  readonly from?: string
  /** A direct chat with `from` unless this names a group. */
  readonly group?: string
  /** In a group: it mentions us. */
  readonly mention?: boolean
}

/** One part that reached somebody, in the order of arrival. */
export interface Arrived {
  /** The platform's id of it. */
  readonly id: string
  /** Name of the person or group. */
  readonly chat: string
  /** As the reader sees it: markup taken away, entities decoded. */
  readonly text: string
  /** As it was sent. */
  readonly raw: string
  /** Epoch milliseconds. */
  readonly at: number
}

/** What happens to the next send: a fault as the platform tells it, or done without an answer. */
export type Mishap = 'permanent' | 'transient' | 'rate' | 'lost'

export interface ChannelWorld {
  /** Name of a channel that is always there; default: one that the suite configures. */
  readonly standing?: string
  /** The account's settings, `kind` included. The suite adds `access: open` where strangers can write. */
  readonly settings: JsonObject
  readonly strangers: boolean
  readonly resend: 'id' | 'confirm' | 'none'
  /** What must never stand in the log. */
  readonly secrets: readonly string[]
  readonly lacks: { readonly [lack in Lack]?: string }
  /** Longest rendered part, in UTF-16 units; null: unbounded. */
  readonly maxText: number | null
  /** A module that the gateway process imports first (a test's trust root). */
  readonly preload?: string
  /** So many answers to one chat need not wait for the platform's rate; default 50. */
  readonly most?: number
  /** How long the platform's rate mishap says to wait. */
  readonly rateMs?: number
  /** A gateway for this world is up, maybe again after a kill. Resolves when the channel is connected. */
  attach(gateway: GatewayProcess): Promise<void>
  /** Somebody says it: resolves with its key when the platform (or, without one, the client that will try until it is taken) has it. */
  says(text: string, how?: Saying): Promise<string>
  /** The platform gives it again although it was acknowledged. */
  redeliver(key: string): Promise<void>
  /** Keys that were not acknowledged yet. */
  unacknowledged(): readonly string[]
  arrived(): readonly Arrived[]
  /** Resolves when anything has happened since it was called: said, acknowledged, arrived, connected. */
  changed(): Promise<void>
  /** For the next `times` sends (default 1), after letting `after` pass (default 0). */
  mishap(kind: Mishap, times?: number, after?: number): void
  /** All live connections break now. */
  cut(): Promise<void>
  /** Live sockets, pollers or consumers of the account. */
  connections(): number
  /** What we sent comes back to us as the platform would give it. */
  echo(arrived: Arrived): Promise<void>
  edit(key: string, text: string): Promise<void>
  /** Something comes that can never be understood. */
  garbage(): Promise<void>
  /** From now on the credentials are refused; how often they were tried is `refusals`. */
  refuseCredentials(): Promise<void>
  refusals(): number
}

/** Starts a world of its own for one test; sweeps it away with the scope. */
export type OpenWorld = (scope: Scope) => Promise<ChannelWorld>
