/** Sessions and their memory, as the API shows them. */
import type { Message } from '../agent.ts'
import type { SessionKey, TurnId } from '../ids.ts'
import type { SessionParts } from './inbox.ts'

export interface SessionView extends SessionParts {
  readonly seq: number
  readonly status: 'idle' | 'queued' | 'running' | 'waiting' | 'retrying'
  readonly turn: TurnId | null
  readonly messages: number
  readonly createdAt: number
  readonly updatedAt: number
}

export interface SessionMessage {
  readonly seq: number
  readonly turn: TurnId
  readonly at: number
  readonly message: Message
}

/** What is another tenant's is missing to whoever asks, as if it were not there. */
export interface SessionStore {
  /** Most recently made first. */
  list(
    filter: { readonly tenant: string; readonly agent?: string; readonly channel?: string; readonly account?: string },
    before: number | null,
    limit: number,
  ): Promise<readonly SessionView[]>
  get(tenant: string, key: SessionKey): Promise<SessionView | null>
  /** Newest first. */
  messages(tenant: string, key: SessionKey, before: number | null, limit: number): Promise<readonly SessionMessage[]>
  /** The memory is forgotten from here on (its rows stay). False: no such session. */
  reset(tenant: string, key: SessionKey, now: number): Promise<boolean>
  /**
   * The session is gone, for everybody and for good; what was said in it goes in slices, by `eraseOn`. busy: a turn of it is being worked on,
   * and nothing was done.
   */
  erase(tenant: string, key: SessionKey, now: number): Promise<'begun' | 'busy' | 'missing'>
  /**
   * One slice, a transaction, of what erased sessions left: messages, replies, steps, letters, runs, memory. Of a message that came with a
   * dedupe key that key stays, with the message's id, its channel and its times, until retention takes them: or it would be answered again when
   * it comes again. False: nothing is left of any.
   */
  eraseOn(now: number): Promise<boolean>
}
