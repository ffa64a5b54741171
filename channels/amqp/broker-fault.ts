/** What an error of the library or a word of the broker means for whoever tries again. */
import { ChannelFault } from '#contract'

/** The reply code of a closed channel or connection (AMQP 0-9-1 §1.8); null: it has none. */
export function replyCode(error: unknown): number | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : null
}

export const NOT_FOUND = 404
export const ACCESS_REFUSED = 403
export const PRECONDITION_FAILED = 406

/** What the broker said, without the library's words around it. */
export function brokerWords(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return /with message "(?:[A-Z_]+ - )?(.*)"/.exec(message)?.[1] ?? message
}

/**
 * Why there is no connection. The library gives the broker's refusal of a login as text only; a virtual host that is refused it
 * does not tell apart from one that is down or full, so that is tried again.
 */
export function connectFault(error: unknown, address: string): ChannelFault {
  if (error instanceof ChannelFault) return error
  const words = brokerWords(error)
  if (error instanceof Error && /\b403 \(ACCESS-REFUSED\)/.test(error.message))
    return new ChannelFault(`The broker at ${address} refused the login (403). Check user and password in \`url\`.`, {
      code: 'AMQP_AUTH',
      fault: { is: 'auth' },
      cause: error,
    })
  if (words.startsWith('SASL mechanism')) return settingsFault(`The broker at ${address} takes no login by password: ${words}.`, error)
  const why = words.startsWith('Expected ConnectionOpenOk')
    ? 'it refused the virtual host: check its name in `url`, the rights of the user, and limits on connections'
    : words
  return unavailable(`No connection to the broker at ${address}: ${why}.`, { cause: error })
}

export const settingsFault = (message: string, cause?: unknown): ChannelFault =>
  new ChannelFault(message, { code: 'AMQP_SETTINGS', fault: { is: 'config' }, cause })

export const unavailable = (message: string, { cause, maybeSent = false }: { cause?: unknown; maybeSent?: boolean } = {}): ChannelFault =>
  new ChannelFault(message, { code: 'AMQP_UNREACHABLE', fault: { is: 'transient', maybeSent }, cause })
