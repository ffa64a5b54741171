/**
 * What the gateway's thread and a thread that runs JavaScript skills say to each other. All that a skill has a hand in crosses as
 * text of bounded length; nothing here is trusted because of where it comes from.
 */

/** Compiled once for all threads. */
export interface ThreadData {
  readonly wasm: WebAssembly.Module
}

export type ToThread =
  | (CallStart & { readonly is: 'run' })
  /** What a call of the skill to the outside gave: JSON, or the message of an error. */
  | { readonly is: 'answer'; readonly call: number; readonly id: number; readonly isError: boolean; readonly text: string }
  | { readonly is: 'cancel'; readonly call: number }

export interface CallStart {
  readonly call: number
  /** First word 1: cancelled. It is read while the skill computes, when no message gets through. */
  readonly flag: SharedArrayBuffer
  /** Calls with the same may follow each other in one instance; null: it shares with none. */
  readonly lease: string | null
  readonly entrypoint: string
  /** Those that can be imported. */
  readonly files: ReadonlyMap<string, string>
  /** JSON. */
  readonly input: string
  /** JSON: name → value. */
  readonly secrets: string
  readonly key: string
  readonly memoryBytes: number
  readonly timeoutMs: number
  readonly canFetch: boolean
}

export type FromThread =
  | { readonly is: 'ready' }
  | { readonly is: 'log'; readonly call: number; readonly stream: 'stdout' | 'stderr' | 'log'; readonly text: string }
  /** JSON. */
  | { readonly is: 'progress'; readonly call: number; readonly text: string }
  /** The skill asks for something outside, by JSON; answered by `answer`. */
  | { readonly is: 'ask'; readonly call: number; readonly id: number; readonly what: 'call' | 'fetch'; readonly text: string }
  | { readonly is: 'ended'; readonly call: number; readonly end: CallEnd; readonly isSpent: boolean }

export type CallEnd =
  /** JSON. */
  { readonly is: 'output'; readonly text: string } | { readonly is: 'failed'; readonly code: FailureCode; readonly message: string }

export type FailureCode = 'invalid_output' | 'timeout' | 'cancelled' | 'oom' | 'output_limit' | 'crashed'

/** Of each stream that much is told, the rest dropped. */
export const MAX_LOG_BYTES = 65_536
/** A skill that says more than this is ended. */
export const MAX_FLOOD_BYTES: number = 8 * 1_048_576
export const MAX_MESSAGE_CHARS = 500
/** Of `ctx.call` and `ctx.fetch`: at once, and in all. */
export const MAX_WAITING = 16
export const MAX_CALLS = 64
export const MAX_FETCHES = 20
export const MAX_FETCH_BYTES: number = 1_048_576
export const FETCH_TIMEOUT_MS = 10_000
/** What a cancelled skill has to look at its signal and end. */
export const CANCEL_GRACE_MS = 500
/** A thread that has not answered so long after it should have is ended. */
export const DEADLINE_GRACE_MS = 200
export const TELL_EVERY_MS = 100
