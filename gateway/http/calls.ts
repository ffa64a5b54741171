/**
 * The way in for doors that are not HTTP (gRPC): the same rows of the route table, with the same permissions, schemas, kept answers
 * and problems. How such a door listens and what its wire looks like is the door's.
 */
import { NotFoundError } from '#contract'
import type { EventSink, HttpReply, Permission, Principal } from '#contract'
import { Call } from './call.ts'
import type { Asked, Caller } from './call.ts'
import { admitted, proveCaller, runStream } from './endpoint.ts'
import type { Door, Endpoint, OpenStream } from './endpoint.ts'
import { newRequestId } from './exchange.ts'
import { problemOf } from './problem.ts'
import type { Problem } from './problem.ts'

/** Somebody who may ask for one row. */
export interface Entered {
  /** Rejects with what `problem` can read. */
  call(asked: Asked): Promise<Answered>
}

export interface Answered {
  readonly reply: HttpReply
  /** Feeds the events of such a reply to `sink` until they or the caller's credential end. */
  stream(sink: OpenStream): Promise<void>
}

export class Calls {
  readonly #endpoints: ReadonlyMap<string, Endpoint>
  readonly #door: Door

  constructor(endpoints: readonly Endpoint[], door: Door) {
    this.#endpoints = new Map(endpoints.map((endpoint) => [`${endpoint.route.method} ${endpoint.route.path}`, endpoint]))
    this.#door = door
  }

  /** Lets in whoever may ask for that row (`POST /v1/messages`), before anything of what they ask is read; counts as one request. Rejects for all others. */
  async enter(row: string, caller: Caller, signal: AbortSignal): Promise<Entered> {
    const endpoint = this.#endpoints.get(row)
    if (endpoint === undefined) throw new NotFoundError('This gateway has nothing of the kind.', { code: 'NOT_FOUND' })
    const call = new Call(caller, { ip: this.addressOf(caller), signal })
    await endpoint.enter(call)
    return {
      call: async (asked) => {
        call.ask(asked)
        const reply = await endpoint.call(call)
        return {
          reply,
          stream: async (sink) => {
            const events: (to: EventSink) => Promise<void> = 'events' in reply ? reply.events : () => Promise.resolve()
            await runStream(this.#door, call.principal, events, () => sink)
          },
        }
      },
    }
  }

  /** Who may hold a conversation that is no single request. Rejects for all others. */
  async admit(caller: Caller, permission: Permission): Promise<Principal> {
    const { meter } = this.#door
    const proven = await proveCaller(this.#door, caller, this.addressOf(caller))
    return admitted(proven, { permission, isGiven: caller.headers['authorization'] !== undefined, meter })
  }

  /**
   * Who asks for what is told to everybody; null: they did not say. Counts as one request, and rejects when that is too many; but no probe of a
   * stranger does, because many may share the prober's address.
   */
  async greet(caller: Caller, isProbe: boolean): Promise<Principal | null> {
    if (isProbe && caller.headers['authorization'] === undefined)
      return this.#door.certified({ socket: caller.socket, headers: {} })?.principal ?? null
    return (await proveCaller(this.#door, caller, this.addressOf(caller)))?.principal ?? null
  }

  addressOf({ socket, forwardedFor }: Caller): string {
    return this.#door.addresses.of({ socket, headers: { 'x-forwarded-for': forwardedFor } })
  }

  /** Calls `gone` once when the credential ends, until the returned function is called. */
  onEnd(principal: Principal, gone: () => void): () => void {
    return this.#door.credentials.onEnd(principal, gone)
  }

  /** One more request of that principal. Seconds to wait: it has asked enough. null: go on. */
  waitOf(principal: Principal): number | null {
    return this.#door.limits.waitOf(this.#door.credentials.countedAs(principal))
  }

  problem(error: unknown): Problem {
    return problemOf(error, newRequestId(), this.#door.redact)
  }
}
