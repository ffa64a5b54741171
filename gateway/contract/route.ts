/**
 * One row of the route table. From it come mounting, validation, permissions, OpenAPI and tests; what is not in the table
 * cannot be reached. The hub's own resources and the channels that live on HTTP are written in the same terms.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { JsonObject, JsonValue } from './envelope.ts'
import type { Permission } from './permission.ts'

/** Who is asking, from the server's own records only. */
export interface Principal {
  /** Stable name of the owner; the namespace of everything the client names. */
  readonly id: string
  /** Which credential it was, for revocation and logs. */
  readonly credential: string
  /** For whom every query of its is made. */
  readonly tenant: string
  readonly scopes: ReadonlySet<string>
}
export const may = (principal: Principal, permission: Permission): boolean => principal.scopes.has('*') || principal.scopes.has(permission)

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** OpenAPI form: `/v1/messages/{id}`. Served below `/api` too. */
  readonly path: string
  /** Other paths of the same. */
  readonly aliases?: readonly string[]
  /**
   * `public` needs nobody. `signed`: a webhook, whose handler proves the caller by a signature over `raw`; the body comes as bytes of
   * any type, unparsed, and no Host, Origin or key is asked for.
   */
  readonly permission: Permission | 'public' | 'signed'
  /** Tells or changes the gateway as a whole: only for principals of the operator's tenant, whatever the scopes of others. */
  readonly isForOperator?: boolean
  /** Asked by who would restart the gateway over a wrong answer: nobody's requests are counted here, and none is ever too many. */
  readonly isProbe?: boolean
  readonly summary: string
  readonly tag: string
  /** JSON Schema 2020-12 of each query member, all of which are strings on the wire. */
  readonly query?: { readonly [name: string]: JsonObject }
  /** JSON Schema 2020-12 of the body; none: a body is refused. */
  readonly body?: JsonObject
  /** The handler checks the body by itself, faster than a schema can; `body` is then only for documentation. */
  readonly validates?: 'handler'
  /** Media types beside JSON that it takes, as bytes in `raw`: `body` is then undefined, and no schema is held against it. */
  readonly accepts?: readonly string[]
  /** Of the body, where more is needed than the server takes elsewhere. */
  readonly maxBodyBytes?: number
  /** Of all objects in the body together, where more are needed than the 1,000 that others may have. */
  readonly maxMembers?: number
  /** Status → description and schema of the success answers. Problems are added to all. */
  readonly responses: {
    readonly [status: string]: { readonly description: string; readonly schema?: JsonObject; readonly contentType?: string }
  }
  /** Statuses of problems that only this route has, for the document: those that follow from its other members are added to all. */
  readonly problems?: readonly number[]
  /** The same Idempotency-Key gives the same answer for 24 h. `own`: the route sees to it by itself. */
  readonly idempotency?: 'kept' | 'own'
  /** plain: what goes wrong reads `{"error":{message,type,param,code}}`, as clients of OpenAI's API expect. Default: RFC 9457. */
  readonly errors?: 'plain'
  /** Members of the answer that are in the first one and in no other: a kept answer has null in their place. */
  readonly unkept?: readonly string[]
  /**
   * Of `signed` routes, before the body is read: throws DeniedError where the headers alone say that the sender cannot be who it has to be.
   * What it lets through is not proven yet; that is for `handle`.
   */
  screen?(headers: HttpRequest['headers']): void
  handle(request: HttpRequest): Promise<HttpReply> | HttpReply
}

export interface HttpRequest {
  readonly id: string
  readonly params: { readonly [name: string]: string }
  /** Validated and coerced by the route's schema. */
  readonly query: { readonly [name: string]: string | number | boolean | undefined }
  readonly headers: { readonly [name: string]: string | undefined }
  /** Parsed, bounded and validated by the route's schema; undefined where the route takes none. */
  readonly body: JsonValue | undefined
  readonly raw: Uint8Array
  /** The address that it came from; '': the connection is gone. */
  readonly ip: string
  /** The caller; on public routes maybe null. */
  readonly principal: Principal | null
  /** Aborted when the client went away. */
  readonly signal: AbortSignal
}

export type HttpReply =
  | { readonly status: number; readonly headers?: { readonly [name: string]: string }; readonly body?: JsonValue }
  | { readonly status: number; readonly headers?: { readonly [name: string]: string }; readonly text: string; readonly contentType: string }
  | {
      readonly status: number
      readonly headers?: { readonly [name: string]: string }
      readonly bytes: Uint8Array
      readonly contentType: string
    }
  | { readonly status: 200; readonly events: (sink: EventSink) => Promise<void> }

/** Server-sent events (WHATWG HTML §9.2). */
export interface EventSink {
  /** False: the client is gone or too slow; stop. */
  send(event: {
    readonly event?: string
    readonly id?: string
    readonly data: JsonValue
    /** `data` is one line of text that is written as it stands. */
    readonly isText?: true
  }): boolean
  readonly signal: AbortSignal
}

/**
 * A conversation without a transport of its own: what a channel says and hears over its sockets, lent to a door that carries the same JSON
 * frames over another stream.
 */
export interface DialogueRoute {
  readonly permission: Permission
  /** Begins at once. Throws `UnavailableError` when no more fit or nothing is taken in. */
  open(principal: Principal, line: DialogueLine): OpenDialogue
}
/** The door's side. */
export interface DialogueLine {
  readonly isOpen: boolean
  /** Much waits to be read by the client. */
  readonly isFull: boolean
  send(frame: JsonObject): void
  /** Resolves when the frame has left for the client, or never will. */
  sendOut(frame: JsonObject): Promise<void>
  /** One more message of the client's, counted as a request is. Seconds to wait: it has asked enough. null: go on. */
  waitOf(): number | null
  /** Ended from here; nothing is sent any more. */
  close(reason: string): void
  /** `isBusy` may have changed. */
  answered(): void
}
export interface OpenDialogue {
  /** Give it no more frames until something is answered. */
  readonly isBusy: boolean
  hear(frame: JsonValue): void
  /** Resolves when every message that was handed in is answered. */
  settle(): Promise<void>
  /** The client is gone. */
  end(): void
}

/** A path that leaves HTTP by `Upgrade` (RFC 9110 §7.8), WebSocket. Host and Origin are checked before. */
export interface UpgradeRoute {
  readonly path: string
  readonly permission: Permission
  /** `principal`: who the request's header, subprotocol or cookie proved; null: nobody yet, the channel asks in its protocol. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer, caller: UpgradeCaller): void
}
export interface UpgradeCaller {
  readonly principal: Principal | null
  /** Where it comes from; of IPv6 the network, whose addresses count as one. */
  readonly ip: string
  /** Who a token proves; null: nobody. */
  authenticate(token: string): Promise<Principal | null>
  /** One more request of that principal, as over HTTP. Seconds to wait: it has asked enough. null: go on. */
  waitOf(principal: Principal): number | null
  /** Calls `gone` when that credential is revoked or expires, until the returned function is called. */
  onRevoked(principal: Principal, gone: () => void): () => void
}
