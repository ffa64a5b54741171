/**
 * The way in for doors that are not HTTP (gRPC): the same rows of the route table, with the same permissions, schemas, kept answers
 * and problems. How such a door listens and what its wire looks like is the door's.
 */
import { NotFoundError } from '#contract'
import type { EventSink, HttpReply, Permission, Principal } from '#contract'
import { Call } from './call.ts'
import type { Asked } from './call.ts'
import { admitted, proveBearer, runStream } from './endpoint.ts'
import type { Door, Endpoint, OpenStream } from './endpoint.ts'
import { newRequestId } from './exchange.ts'
import { problemOf } from './problem.ts'
import type { Problem } from './problem.ts'

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

  /** Rejects with what `problem` can read. */
  async call(asked: Asked): Promise<Answered> {
    const endpoint = this.#endpoints.get(asked.row)
    if (endpoint === undefined) throw new NotFoundError('This gateway has nothing of the kind.', { code: 'NOT_FOUND' })
    const call = new Call(asked)
    const reply = await endpoint.call(call)
    return {
      reply,
      stream: async (sink) => {
        const events: (to: EventSink) => Promise<void> = 'events' in reply ? reply.events : () => Promise.resolve()
        await runStream(this.#door, call.principal, events, () => sink)
      },
    }
  }

  /** Who may hold a conversation that is no single request. Rejects for all others. */
  async admit({ headers, ip }: Pick<Asked, 'headers' | 'ip'>, permission: Permission): Promise<Principal> {
    const { meter } = this.#door
    const { authorization } = headers
    const proven = await proveBearer(this.#door, ip, authorization)
    return admitted(proven, { permission, isGiven: authorization !== undefined, meter })
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
