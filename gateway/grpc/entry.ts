/**
 * The way into every call, before anything of its message is read: who it is, whether they may, from where, and how long the message may take to
 * come. Strangers are only told how the gateway is and what it speaks, a few at a time from one address.
 */
import type { Socket } from 'node:net'
import type { Metadata, ServerInterceptingCall, ServerInterceptor } from '@grpc/grpc-js'
import type { Clock, Principal } from '#contract'
import type { Caller } from '../http/call.ts'
import type { Calls, Entered } from '../http/calls.ts'
import { ProtocolError } from '../http/problem.ts'
import type { Doors } from './door.ts'
import type { Ends } from './listener.ts'
import { forwardedFor, headersOf } from './metadata.ts'
import { statusOf } from './status.ts'
import type { Wire } from './status.ts'

/** What of the library is needed here. */
export interface EntryWire extends Wire {
  readonly ServerInterceptingCall: typeof ServerInterceptingCall
}

/** A call that was let in. */
export interface Entry {
  readonly socket: Socket
  /** Aborted when the client is gone, or its deadline has passed. */
  readonly signal: AbortSignal
  /** Who may ask for the row; null: the call is none of a row. */
  readonly entered: Entered | null
  readonly principal: Principal | null
}

export interface EntriesOptions {
  readonly calls: Calls
  readonly doors: Doors
  readonly clock: Clock
  readonly connectionOf: (ends: Ends) => Socket | null
}

const PROBES = '/grpc.health.v1.Health/'
/** As long as a request over HTTP may take to arrive. */
const ARRIVE_MS = 30_000
/** Open at once from one address by those who gave no credential that holds. As for sockets. */
const MAX_GUESTS_PER_ADDRESS = 32

export class Entries {
  readonly #options: EntriesOptions
  /** By the metadata of the call, which is the one thing of it that both sides of the library see. */
  readonly #entries = new WeakMap<Metadata, Entry>()
  /** Address → how many. Bounded by the open connections. */
  readonly #guests = new Map<string, number>()

  constructor(options: EntriesOptions) {
    this.#options = options
  }

  /** Of a call that reached its handler. */
  of(metadata: Metadata): Entry {
    const entry = this.#entries.get(metadata)
    if (entry === undefined) throw new Error('A call came by no entry.')
    return entry
  }

  interceptor(wire: EntryWire): ServerInterceptor {
    return (method, call) => {
      const gone = new AbortController()
      let cancelTimer = (): void => undefined
      let leave = (): void => undefined
      const refuse = (error: unknown): void => {
        const { code, details, metadata } = statusOf(wire, this.#options.calls.problem(error))
        call.sendStatus({ code, details, metadata })
      }
      const letIn = async (metadata: Metadata, next: (metadata: Metadata) => void): Promise<void> => {
        try {
          const socket = this.#options.connectionOf(call.getConnectionInfo())
          if (socket === null) return
          const caller: Caller = { headers: headersOf(metadata), socket, forwardedFor: forwardedFor(metadata) }
          const { entered, principal } = await this.#admit(method.path, caller, gone.signal)
          if (gone.signal.aborted) return
          if (entered === null && principal === null) leave = this.#guest(this.#options.calls.addressOf(caller))
          this.#entries.set(metadata, { socket, signal: gone.signal, entered, principal })
          if (!method.requestStream) cancelTimer = this.#options.clock.after(ARRIVE_MS, () => refuse(late()))
          next(metadata)
        } catch (error) {
          refuse(error)
        }
      }
      return new wire.ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata: (metadata, pass) => void letIn(metadata, pass),
            onReceiveHalfClose: (pass) => {
              cancelTimer()
              pass()
            },
            // Comes at the end of every call, however it ended.
            onCancel: () => {
              cancelTimer()
              leave()
              gone.abort(new Error('The client went away.'))
            },
          }),
      })
    }
  }

  async #admit(path: string, caller: Caller, signal: AbortSignal): Promise<Pick<Entry, 'entered' | 'principal'>> {
    const { calls, doors } = this.#options
    const door = doors.get(path)
    if (door === undefined) return { entered: null, principal: await calls.greet(caller, path.startsWith(PROBES)) }
    if ('row' in door) return { entered: await calls.enter(door.row, caller, signal), principal: null }
    return { entered: null, principal: await calls.admit(caller, door.permission) }
  }

  #guest(address: string): () => void {
    const count = this.#guests.get(address) ?? 0
    if (count >= MAX_GUESTS_PER_ADDRESS) throw tooMany()
    this.#guests.set(address, count + 1)
    return () => {
      const left = (this.#guests.get(address) ?? 1) - 1
      if (left === 0) this.#guests.delete(address)
      else this.#guests.set(address, left)
    }
  }
}

const late = (): ProtocolError =>
  new ProtocolError('The message did not arrive in time.', { code: 'REQUEST_TIMEOUT', slug: 'request-timeout' })

const tooMany = (): ProtocolError =>
  new ProtocolError('Too many calls without a credential are open from this address.', {
    code: 'TOO_MANY_STREAMS',
    slug: 'temporary-reduced-capacity',
    headers: { 'retry-after': '5' },
  })
