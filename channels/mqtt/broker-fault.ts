/** What a broker's reason codes mean for the channel and the outbox (MQTT 5 §2.4; MQTT 3.1.1 §3.2.2.3). */
import { ChannelFault } from '#contract'
import type { SendFault } from '#contract'

const REFUSED: SendFault = { is: 'auth' }
const PERMANENT: SendFault = { is: 'permanent' }

/** The version of the protocol is not spoken there. */
export class VersionRefused extends ChannelFault {}

/** 3.1.1: 1 version, 2 client id, 4 and 5 credentials. 5: 0x84 version, 0x85 client id, 0x86, 0x87, 0x8A and 0x8C credentials. */
const VERSION: ReadonlySet<number> = new Set([0x01, 0x84])
const CLIENT_ID: ReadonlySet<number> = new Set([0x02, 0x85])
const CREDENTIALS: ReadonlySet<number> = new Set([0x04, 0x05, 0x86, 0x87, 0x8a, 0x8c])
const TAKEN_OVER = 0x8e
/** Not authorised, topic name invalid, packet too large, payload format invalid. */
const NEVER: ReadonlySet<number> = new Set([0x87, 0x90, 0x95, 0x99])

export function connackFault(error: unknown): ChannelFault {
  const code = codeOf(error)
  if (code !== null && VERSION.has(code))
    return new VersionRefused('The broker does not speak this version of MQTT.', {
      code: 'MQTT_REFUSED',
      fault: { is: 'config' },
      cause: error,
    })
  if (code !== null && CREDENTIALS.has(code))
    return fault('The broker refuses user or password. Check `username` and `password`.', 'MQTT_AUTH', REFUSED, error)
  if (code !== null && CLIENT_ID.has(code))
    return fault('The broker refuses the client id. Check `client_id`.', 'MQTT_REFUSED', { is: 'config' }, error)
  return fault('The broker cannot be reached. It will be tried again.', 'MQTT_UNREACHABLE', { is: 'transient', maybeSent: false }, error)
}

/** The broker ended the connection and said why. */
export function disconnectFault(code: number): ChannelFault {
  if (code === TAKEN_OVER)
    return fault(
      'Another client took over the session. Give each gateway a `client_id` of its own, then start it again.',
      'MQTT_TAKEN_OVER',
      {
        is: 'config',
      },
    )
  if (CREDENTIALS.has(code)) return fault('The broker withdrew the permission.', 'MQTT_AUTH', REFUSED)
  return fault(`The broker ended the connection (0x${code.toString(16)}).`, 'MQTT_UNREACHABLE', { is: 'transient', maybeSent: false })
}

/** 0x10, nobody subscribes, is none: the broker has done what it can. */
export function publishFault(error: unknown): ChannelFault {
  const code = codeOf(error)
  if (code !== null && NEVER.has(code))
    return fault(`The broker refuses the message (0x${code.toString(16)}).`, 'MQTT_REFUSED', PERMANENT, error)
  return fault('The broker did not take the message.', 'MQTT_UNREACHABLE', { is: 'transient', maybeSent: true }, error)
}

const codeOf = (error: unknown): number | null =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number' ? error.code : null

const fault = (message: string, code: string, of: SendFault, cause?: unknown): ChannelFault =>
  new ChannelFault(message, { code, fault: of, cause })
