/** What an error of the client means to the hub: told by the broker's own code for it, or by the kind of trouble on the way there. */
import { ChannelFault } from '#contract'
import type { SendFault } from '#contract'

/** In words for the operator: whom, and what was wanted of him. */
export interface Attempted {
  readonly account: string
  readonly brokers: readonly string[]
  /** null: a place in the group. */
  readonly topic: string | null
}

export function faultOf(error: unknown, attempted: Attempted): ChannelFault {
  if (error instanceof ChannelFault) return error
  const { account, brokers, topic } = attempted
  const settings = `channels.${account}`
  const causes = [...causesOf(error)]
  const told = (code: string, is: SendFault, message: string): ChannelFault => new ChannelFault(message, { code, fault: is, cause: error })
  for (const { type, name, message } of causes) {
    if (SIGN_IN.has(type) || (name === 'KafkaJSSASLAuthenticationError' && !BROKEN.test(message)))
      return told(
        'KAFKA_AUTH_REJECTED',
        { is: 'auth' },
        `Kafka refused the user or password of channel "${account}". Check \`${settings}.sasl\`.`,
      )
    if (type.endsWith('_AUTHORIZATION_FAILED'))
      return topic === null
        ? told(
            'KAFKA_NOT_ALLOWED',
            { is: 'auth' },
            `Kafka does not let channel "${account}" read its topics in its group (${type}). Check the access rules there.`,
          )
        : told(
            'KAFKA_NOT_ALLOWED',
            { is: 'permanent' },
            `Kafka does not let channel "${account}" write to the topic "${topic}" (${type}). Check the access rules there.`,
          )
    if (TOO_LARGE.has(type))
      return told(
        'KAFKA_TOO_LARGE',
        { is: 'permanent' },
        `The topic "${topic}" takes no record of this size. Raise its max.message.bytes, or shorten the reply.`,
      )
    if (MISTAKEN.has(type))
      return told(
        'KAFKA_REFUSED',
        { is: topic === null ? 'config' : 'permanent' },
        `Kafka refused what channel "${account}" asks for (${type}). Check \`${settings}\`.`,
      )
    if (name === 'KafkaJSNotImplemented')
      return told(
        'KAFKA_REFUSED',
        { is: 'config' },
        `Records in the topics of channel "${account}" are compressed with a codec that is not known here; gzip and zstd are.`,
      )
  }
  const { type = '', name = 'Error', message = '' } = causes.at(-1) ?? {}
  const closed = name === 'KafkaJSConnectionClosedError' ? ' It closed the connection: does it ask for `ssl` or `sasl`?' : ''
  const why = type === '' ? withoutStop(message) : type
  return told(
    'KAFKA_UNAVAILABLE',
    { is: 'transient', maybeSent: true },
    `Kafka at ${brokers.join(', ')} cannot be used now by channel "${account}": ${why}.${closed} It is tried again.`,
  )
}

const SIGN_IN: ReadonlySet<string> = new Set(['SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM'])
/** The library calls it a refusal too when the line breaks while we sign in, and leaves nothing but its words to tell the two apart. */
const BROKEN = /closed connection|connection (?:error|closed|timeout)|not connected|timed out/i
const TOO_LARGE: ReadonlySet<string> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
const MISTAKEN: ReadonlySet<string> = new Set([
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_GROUP_ID',
  'INVALID_SESSION_TIMEOUT',
  'INCONSISTENT_GROUP_PROTOCOL',
  'INVALID_RECORD',
  'POLICY_VIOLATION',
])

interface Cause {
  /** The broker's code; empty: it is not from there. */
  readonly type: string
  readonly name: string
  readonly message: string
}

/** The library wraps what happened several times over. Outermost first. */
function* causesOf(error: unknown): Generator<Cause> {
  let cause = error
  for (let depth = 0; depth < 8 && cause instanceof Error; depth++) {
    const type = 'type' in cause && typeof cause.type === 'string' ? cause.type : ''
    yield { type, name: cause.name, message: cause.message }
    cause = cause.cause
  }
}

const withoutStop = (message: string): string => message.replace(/[.\s]+$/, '').slice(0, 200)
