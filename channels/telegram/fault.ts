/**
 * What an error of a Bot API call means for whoever called. Descriptions of the server and errors of the client are not
 * passed on: the one may repeat words of a message, the other holds the whole request.
 */
import { GrammyError, HttpError } from 'grammy'
import { ChannelFault } from '#contract'
import type { Address } from '#contract'
import { Unsent, codeOf } from './bot-api.ts'

/** `to`: whom it was meant for, where it was a message. */
export function faultOf(error: unknown, name: string, to?: Address): ChannelFault {
  if (error instanceof GrammyError) return refusal(error, name, to)
  const cause = error instanceof HttpError ? error.error : error
  const code = codeOf(cause)
  const reason = code === null ? '' : ` (${code})`
  if (cause instanceof Unsent) {
    return new ChannelFault(`Telegram cannot be reached for channel "${name}"${reason}. Check the network and \`api_root\`.`, {
      code: 'TELEGRAM_UNREACHABLE',
      fault: { is: 'transient', maybeSent: false },
    })
  }
  return new ChannelFault(`Telegram did not answer a call of channel "${name}"${reason}.`, {
    code: 'TELEGRAM_NO_ANSWER',
    fault: { is: 'transient', maybeSent: true },
  })
}

function refusal({ error_code: status, description, parameters }: GrammyError, name: string, to: Address | undefined): ChannelFault {
  const { retry_after: retryAfterS, migrate_to_chat_id: movedTo } = parameters
  if (movedTo !== undefined) {
    return new ChannelFault('The group became a supergroup and has another id.', {
      code: 'TELEGRAM_CHAT_MOVED',
      fault: { is: 'moved', chat: String(movedTo) },
    })
  }
  if (status === 401 || status === 404) {
    return new ChannelFault(`Telegram refused the token of channel "${name}" (${status}). Check \`channels.${name}.token\`.`, {
      code: 'TELEGRAM_UNAUTHORIZED',
      fault: { is: 'auth' },
    })
  }
  if (status === 429) {
    const afterMs = (retryAfterS ?? 1) * 1_000
    return new ChannelFault(`Telegram wants ${afterMs / 1_000} s of peace from channel "${name}".`, {
      code: 'TELEGRAM_RATE_LIMITED',
      // Telegram does not say whose limit it was. The hub keeps to that of a direct chat, so there it is the bot's.
      fault: { is: 'rate', afterMs, scope: to?.kind === 'group' ? 'chat' : 'account' },
    })
  }
  if (status >= 500) {
    return new ChannelFault(`Telegram answered channel "${name}" with ${status}.`, {
      code: 'TELEGRAM_SERVER_FAILED',
      // Of these only 504 says that the request went on to the server and that its end is not known.
      fault: { is: 'transient', maybeSent: status === 504 },
    })
  }
  if (status === 409) {
    const why = description.includes('webhook')
      ? `Somebody has set a webhook for the bot of channel "${name}". Remove it, or start the gateway again, which does so.`
      : `Somebody else fetches the messages of the bot of channel "${name}", with the same token. Stop the other one.`
    return new ChannelFault(why, { code: 'TELEGRAM_CONFLICT', fault: { is: 'transient', maybeSent: false } })
  }
  if (/can't parse entities/i.test(description)) {
    return new ChannelFault('Telegram cannot read the markup of the message.', { code: 'TELEGRAM_MARKUP_REFUSED', fault: { is: 'format' } })
  }
  return new ChannelFault(`Telegram refused a call of channel "${name}": ${description}.`, {
    code: 'TELEGRAM_REFUSED',
    fault: { is: 'permanent' },
  })
}
