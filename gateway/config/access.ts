/**
 * The keys that all channels share: what kind it is, and who may talk to an agent through it. Read here into the policy that the hub
 * applies; the kind's own schema sees the rest.
 */
import type { AccessPolicy, JsonObject } from '#contract'
import { choice, list, tenant, text } from './schema-parts.ts'

/** One entry below `channels`, checked. */
export type ChannelSettings = AccessSettings & { readonly kind?: string; readonly tenant: string }

type AccessSettings = JsonObject & {
  readonly access?: AccessPolicy['direct']
  readonly allow?: readonly string[]
  readonly group_access?: AccessPolicy['group']
  readonly group_allow?: readonly string[]
  readonly require_mention?: boolean
  readonly bots?: AccessPolicy['bots']
}

/** Stands for everybody in `allow`, for every group in `group_allow`. */
const ALL = '*'

/** Lists without a default, so that what is written can be told from what is not. */
const names = (description: string): JsonObject => {
  const { default: _, ...schema } = list(description, text('One of them'))
  return schema
}

export const accessSchema: { readonly [key: string]: JsonObject } = {
  access: choice(
    'Who may write directly; pairing: a stranger gets a code that you approve; allowlist: strangers get no answer. Default: pairing',
    ['allowlist', 'pairing', 'open', 'off'],
  ),
  allow: names('Senders who may, by any name the platform gives them; `*`: everybody may write directly'),
  group_access: choice('In which groups it listens. Default: open or off if `access` is, else allowlist', ['allowlist', 'open', 'off']),
  group_allow: names('Groups in which everybody may speak; `*`: all groups'),
  require_mention: { type: 'boolean', description: 'In groups it hears only what is addressed to it. Default: true' },
  bots: choice('What other bots say. Default: ignore', ['ignore', 'allow']),
}

export const tenantSchema: JsonObject = tenant('Whose the account is: what comes in by it is for agents of this tenant')

export const isAccess = (key: string): boolean => Object.hasOwn(accessSchema, key)

export const isShared = (key: string): boolean => key === 'kind' || key === 'tenant' || isAccess(key)

/** What is left for the kind's own schema. */
export function withoutShared(settings: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(settings).filter(([key]) => !isShared(key)))
}

export function accessPolicy(settings: AccessSettings): AccessPolicy {
  const { access = 'pairing', allow = [], group_allow: groupAllow = [] } = settings
  const group = settings.group_access ?? (access === 'open' || access === 'off' ? access : 'allowlist')
  return {
    direct: access !== 'off' && allow.includes(ALL) ? 'open' : access,
    allow: allow.filter((name) => name !== ALL),
    group: group !== 'off' && groupAllow.includes(ALL) ? 'open' : group,
    groupAllow: groupAllow.filter((id) => id !== ALL),
    isMentionRequired: settings.require_mention ?? true,
    bots: settings.bots ?? 'ignore',
  }
}

/** What a channel that is not configured has: it came with the gateway. */
export const defaultPolicy: AccessPolicy = accessPolicy({})
