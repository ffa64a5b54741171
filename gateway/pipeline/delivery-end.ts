/**
 * What has to become of a part after a call to its platform: told by the fault's class alone, never by its words. Decides and does
 * nothing; sender.ts does it.
 */
import { ChannelFault, describeError, newDeadLetterId } from '#contract'
import type { Capabilities, Confirmation, DeliveryEnd, Failure, OutboxItem, Redact, SendFault } from '#contract'
import { backoffMs } from './retry.ts'
import type { RetryPolicy } from './retry.ts'

export interface EndContext {
  readonly retry: RetryPolicy
  readonly resend: Capabilities['resend']
  /** The call was cut by our own end. */
  readonly isDraining: boolean
  readonly now: number
  readonly random: () => number
  readonly redact: Redact
}

/** The platform is asked no sooner what became of a part: what is on its way may still arrive. */
export const CONFIRM_AFTER_MS = 1_000
/** A channel that is stopped for its credentials is asked again so often. */
const REFUSED_MS = 60_000

/** What is not a fault of the platform's telling may have happened on either side of the wire. */
export const faultOf = (error: unknown): SendFault => (error instanceof ChannelFault ? error.fault : { is: 'transient', maybeSent: true })

/** After a `send` that threw. */
export function afterSend(error: unknown, item: OutboxItem, context: EndContext): DeliveryEnd {
  const { retry, resend, isDraining, now, random, redact } = context
  const failure = describeError(error, redact)
  const fault = faultOf(error)
  const again = { status: 'retry', at: now, failure, counted: true, to: null, plain: false } as const
  switch (fault.is) {
    case 'transient':
      if (fault.maybeSent && resend === 'none') return unknown(failure.message, now)
      if (fault.maybeSent && resend === 'confirm')
        return { status: 'confirm', at: now + CONFIRM_AFTER_MS, failure, counted: false, to: null }
      if (isDraining) return { ...again, counted: false }
      if (item.attempt >= retry.attempts) return dead(failure, now)
      return { ...again, at: now + backoffMs(retry, item.attempt, random) }
    case 'rate':
      return { ...again, at: now + fault.afterMs, counted: false }
    case 'format':
      return item.rendered.plain === undefined || item.rendered.plain === item.rendered.text
        ? dead(failure, now)
        : { ...again, plain: true }
    case 'moved':
      return { ...again, counted: false, to: { ...item.to, chat: fault.chat } }
    case 'auth':
    case 'config':
      return { ...again, at: now + REFUSED_MS, counted: false }
    case 'permanent':
    case 'window':
      return dead(failure, now)
  }
}

/** After a `confirm` that answered. */
export function afterAnswer(answer: Confirmation, item: OutboxItem, { retry, now, random }: EndContext): DeliveryEnd {
  switch (answer.outcome) {
    case 'sent':
      return { status: 'sent', platformId: answer.id }
    case 'absent':
      if (item.attempt >= retry.attempts) return dead(ABSENT, now)
      return { status: 'retry', at: now + backoffMs(retry, item.attempt, random), failure: ABSENT, counted: true, to: null, plain: false }
    case 'unknown':
      return unknown('The platform was asked and does not know.', now)
  }
}

/** After a `confirm` that threw: it is asked again as often as a part is sent. */
export function afterSilence(error: unknown, item: OutboxItem, { retry, isDraining, now, random, redact }: EndContext): DeliveryEnd {
  const failure = describeError(error, redact)
  const fault = faultOf(error)
  const again = { status: 'confirm', at: now, failure, counted: true, to: null } as const
  const asked = item.asked + 1
  switch (fault.is) {
    case 'transient':
      if (isDraining) return { ...again, counted: false }
      if (asked >= retry.attempts) return unknown(failure.message, now)
      return { ...again, at: now + backoffMs(retry, asked, random) }
    case 'rate':
      return { ...again, at: now + fault.afterMs, counted: false }
    case 'moved':
      return asked >= retry.attempts ? unknown(failure.message, now) : { ...again, to: { ...item.to, chat: fault.chat } }
    case 'auth':
    case 'config':
      return { ...again, at: now + REFUSED_MS, counted: false }
    case 'permanent':
    case 'format':
    case 'window':
      return unknown(failure.message, now)
  }
}

/** Nobody wants it any more. */
export const expired = (now: number): DeliveryEnd =>
  dead(
    {
      code: 'DELIVERY_EXPIRED',
      message: 'Its receiver stopped waiting for it before it could be sent. Replay it to send it all the same.',
    },
    now,
  )

export const unknown = (message: string, now: number): DeliveryEnd => ({
  status: 'unknown',
  failure: {
    code: 'DELIVERY_UNKNOWN',
    message: `It may or may not have been sent, and a repeat would be a second message. ${message}`,
  },
  deadLetter: newDeadLetterId(now),
})

const dead = (failure: Failure, now: number): DeliveryEnd => ({ status: 'dead', failure, deadLetter: newDeadLetterId(now) })

const ABSENT: Failure = {
  code: 'DELIVERY_ABSENT',
  message: 'The platform did not answer, and said when it was asked that it does not have it.',
}
