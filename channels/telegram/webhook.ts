/**
 * The route to which Telegram posts updates, one at a time for each chat. 2xx is what confirms an update, so that is answered only
 * after it was stored; anything else brings it again for a day.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { DeniedError, InvalidError, isJsonObject } from '#contract'
import type { HttpRequest, JsonValue, Route } from '#contract'
import type { Update } from 'grammy/types'

export interface WebhookParts {
  /** Name of the channel. */
  readonly name: string
  readonly secret: string
  /** Rejects when it could not be stored. */
  readonly take: (update: Update) => Promise<void>
}

export function webhookRoute({ name, secret, take }: WebhookParts): Route {
  const expected = digest(secret)
  const screen = (headers: HttpRequest['headers']): void => {
    if (timingSafeEqual(digest(headers['x-telegram-bot-api-secret-token'] ?? ''), expected)) return
    throw new DeniedError('The secret token is not that of this channel. Check `webhook_secret`.', {
      code: 'SIGNATURE_INVALID',
      reason: 'forbidden',
    })
  }
  return {
    method: 'POST',
    path: `/v1/channels/${name}/webhook`,
    permission: 'signed',
    summary: `Takes in what Telegram posts for the channel "${name}"`,
    tag: 'channels',
    responses: { '200': { description: 'Stored' } },
    // All that there is to prove stands in a header.
    screen,
    handle: async ({ headers, raw }) => {
      screen(headers)
      await take(read(raw))
      // Telegram would carry out a method named in the answer.
      return { status: 200, body: {} }
    },
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

function read(raw: Uint8Array): Update {
  try {
    const update = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(raw)) as JsonValue
    if (isJsonObject(update) && typeof update['update_id'] === 'number') return update as unknown as Update
  } catch {
    // Told below.
  }
  throw new InvalidError('The body is no update of the Bot API.', { code: 'INVALID_JSON' })
}
