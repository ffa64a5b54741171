/** What can be set for a WhatsApp account, and its reading. */
import type { JsonObject } from '#contract'

export interface Settings {
  readonly socketUrl: string
  readonly mediaUrl: string
  /** null: the one that Baileys was made for. */
  readonly version: readonly [number, number, number] | null
  readonly maxAgeMs: number
}

export const schema: JsonObject = {
  type: 'object',
  properties: {
    web_socket_url: {
      type: 'string',
      pattern: '^wss?://',
      default: 'wss://web.whatsapp.com/ws/chat',
      description: "WhatsApp's server for linked devices.",
    },
    media_url: {
      type: 'string',
      pattern: '^https?://',
      default: 'https://mmg.whatsapp.net',
      description: 'Where pictures and files are fetched from.',
    },
    version: {
      type: 'string',
      pattern: '^[0-9]+[.][0-9]+[.][0-9]+$',
      description: 'Version of WhatsApp Web to pass for, such as 2.3000.1043857760, when the one built in is refused (405).',
    },
    max_age_days: {
      type: 'integer',
      minimum: 1,
      maximum: 30,
      default: 14,
      description: 'Messages that waited longer while the gateway was away become dead letters in place of turns.',
    },
  },
  additionalProperties: false,
}

const DAY_MS = 86_400_000

/** The settings were checked against `schema`. */
export function readSettings(settings: JsonObject): Settings {
  const { web_socket_url: socketUrl, media_url: mediaUrl, version, max_age_days: days } = settings
  const [major, minor, patch] = typeof version === 'string' ? version.split('.').map(Number) : []
  return {
    socketUrl: typeof socketUrl === 'string' ? socketUrl : '',
    mediaUrl: typeof mediaUrl === 'string' ? mediaUrl : '',
    version: major === undefined || minor === undefined || patch === undefined ? null : [major, minor, patch],
    maxAgeMs: Number(days) * DAY_MS,
  }
}
