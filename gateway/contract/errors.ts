/**
 * Errors, told apart by what the caller can do about them. Every class has a stable `code`; retry decisions read
 * `retryable` and never a message. Codes are listed in `docs/errors.md`, and a test holds list and code together.
 * A message says what failed, on which thing, and what to do next; it never holds a secret or a message's text.
 */
import type { Redact } from './secret.ts'

export interface ErrorOptions {
  readonly code: string
  readonly cause?: unknown
}

export abstract class OpenClawError extends Error {
  readonly code: string
  abstract readonly retryable: boolean
  constructor(message: string, options: ErrorOptions) {
    super(message, { cause: options.cause })
    this.code = options.code
    this.name = new.target.name
  }
}

/** One thing that is wrong in what was given, and where: a JSON Pointer (RFC 6901) with `#` before it, or a config path. */
export interface Fault {
  readonly pointer: string
  readonly detail: string
}

/** What was asked for is malformed or breaks a rule; the caller must change it. */
export class InvalidError extends OpenClawError {
  readonly retryable = false
  readonly faults: readonly Fault[]
  constructor(message: string, options: ErrorOptions & { readonly faults?: readonly Fault[] }) {
    super(message, options)
    this.faults = options.faults ?? []
  }
}

/** The caller is nobody we know (401), or somebody who may not do this (403). */
export class DeniedError extends OpenClawError {
  readonly retryable = false
  readonly reason: 'unauthenticated' | 'forbidden'
  constructor(message: string, options: ErrorOptions & { readonly reason: 'unauthenticated' | 'forbidden' }) {
    super(message, options)
    this.reason = options.reason
  }
}

export class NotFoundError extends OpenClawError {
  readonly retryable = false
}

/** The thing is in a state in which this cannot be done, or the same key was used for something else. */
export class ConflictError extends OpenClawError {
  readonly retryable = false
}

/** Something we depend on cannot be had now (store locked, queue full, draining); waiting helps. Counts as no attempt. */
export class UnavailableError extends OpenClawError {
  readonly retryable = true
  readonly retryAfterMs: number
  constructor(message: string, options: ErrorOptions & { readonly retryAfterMs?: number }) {
    super(message, options)
    this.retryAfterMs = options.retryAfterMs ?? 1_000
  }
}

/** Somebody else owns the session by now: drop the work, write nothing. */
export class FencedError extends OpenClawError {
  readonly retryable = false
}

/**
 * A model could not answer. `retryable`: the same request may succeed later. `retryAfterMs` when the provider said when.
 */
export class ModelError extends OpenClawError {
  readonly retryable: boolean
  readonly retryAfterMs: number | null
  constructor(message: string, options: ErrorOptions & { readonly retryable: boolean; readonly retryAfterMs?: number }) {
    super(message, options)
    this.retryable = options.retryable
    this.retryAfterMs = options.retryAfterMs ?? null
  }
}

/** What can go wrong with one call to a platform, by what the outbox has to do next. */
export type SendFault =
  /** Try again; `maybeSent` says that the platform may already have it. */
  | { readonly is: 'transient'; readonly maybeSent: boolean }
  /** Wait that long, for this chat or for the whole account. Not an attempt. */
  | { readonly is: 'rate'; readonly afterMs: number; readonly scope: 'chat' | 'account' }
  /** Never try again. */
  | { readonly is: 'permanent' }
  /** The platform refused the markup: send the plain form. */
  | { readonly is: 'format' }
  /** The conversation has another address now. */
  | { readonly is: 'moved'; readonly chat: string }
  /** The platform takes no free text now (WhatsApp's 24-hour window). */
  | { readonly is: 'window' }
  /** The account's credentials or settings are wrong: stop the channel, tell the operator. */
  | { readonly is: 'auth' | 'config' }

export class ChannelFault extends OpenClawError {
  readonly fault: SendFault
  readonly retryable: boolean
  constructor(message: string, options: ErrorOptions & { readonly fault: SendFault }) {
    super(message, options)
    this.fault = options.fault
    this.retryable = options.fault.is === 'transient' || options.fault.is === 'rate'
  }
}

/** Why a request to the outside got no answer. refused: an address that may not be reached. broken: the connection ended too early. */
export type OutboundReason = 'refused' | 'unreachable' | 'timeout' | 'broken' | 'too_large'

/** A request to a place that somebody outside named got no usable answer. An answer with any status is none of these. */
export class OutboundFault extends OpenClawError {
  readonly reason: OutboundReason
  readonly retryable: boolean
  constructor(message: string, options: ErrorOptions & { readonly reason: OutboundReason }) {
    super(message, options)
    this.reason = options.reason
    this.retryable = options.reason !== 'refused' && options.reason !== 'too_large'
  }
}

/**
 * `code` and message of anything that was thrown, fit for a log, a row or an API answer. `redact`: where it may have been thrown with the words of a
 * platform or a model in it, and goes elsewhere than to the log, which redacts by itself.
 */
export function describeError(error: unknown, redact: Redact = (text) => text): { readonly code: string; readonly message: string } {
  if (error instanceof OpenClawError) return { code: error.code, message: redact(error.message) }
  return { code: 'INTERNAL', message: redact(error instanceof Error ? error.message : String(error)) }
}
