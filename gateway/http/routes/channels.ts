/** Channels: by what ways messages come and go, how those do, pausing them, and sending by one without being asked. */
import { NotFoundError, isJsonObject, isOperator, isoTime } from '#contract'
import type { Address, HttpReply, HttpRequest, JsonObject, Route } from '#contract'
import type { Posting } from '../../pipeline/deliver.ts'
import { tagged } from '../conditional.ts'
import { PAGING } from '../cursor.ts'
import type { ChannelView, Services } from '../services.ts'
import { operatorOnly } from '../operator.ts'
import { principalOf } from './caller.ts'
import { COUNT, FLAG, TEXT, TEXT_OR_NULL, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

export const CHANNEL: JsonObject = objectOf({
  name: TEXT,
  kind: TEXT,
  state: { enum: ['linking', 'connecting', 'open', 'degraded', 'stopped'] },
  reason: TEXT_OR_NULL,
  paused: { type: 'boolean', description: 'It takes nothing in; what is to go out goes out.' },
  delivery: { enum: ['push', 'collect'] },
  last_inbound_at: TIME_OR_NULL,
  last_sent_at: TIME_OR_NULL,
  capabilities: objectOf({
    strangers: FLAG,
    groups: FLAG,
    threads: FLAG,
    media: FLAG,
    typing: FLAG,
    link: { type: 'boolean', description: 'It can be linked to a phone.' },
    max_text: objectOf({ max: COUNT, unit: { enum: ['utf16', 'bytes'] } }),
  }),
  access: {
    description: 'Who may write; null: no stranger reaches it.',
    oneOf: [
      objectOf({
        access: { enum: ['allowlist', 'pairing', 'open', 'off'] },
        allow: { type: 'array', items: TEXT },
        group_access: { enum: ['allowlist', 'open', 'off'] },
        group_allow: { type: 'array', items: TEXT },
        require_mention: FLAG,
        bots: { enum: ['ignore', 'allow'] },
      }),
      { type: 'null' },
    ],
  },
  open_pairings: COUNT,
})

const NAME = { type: 'string', minLength: 1, maxLength: 1_000 }
const POSTING: JsonObject = {
  type: 'object',
  required: ['to'],
  additionalProperties: false,
  properties: {
    to: {
      type: 'object',
      description: "Where to, in the channel's own terms.",
      required: ['chat'],
      additionalProperties: false,
      properties: { chat: NAME, thread: NAME, kind: { enum: ['direct', 'group', 'channel'] } },
    },
    // What people are told is no matter of the audit.
    text: { type: 'string', minLength: 1, maxLength: 100_000, description: 'CommonMark.', writeOnly: true },
    extra: { description: 'What only this platform knows, such as a template.', writeOnly: true },
  },
  anyOf: [{ required: ['text'] }, { required: ['extra'] }],
  examples: [{ to: { chat: '+491511234567', kind: 'direct' }, text: 'Your parcel is **here**.' }],
}

export function channelRoutes({ services, cursors }: Hub): readonly Route[] {
  const { channels } = services
  const switching = (verb: 'pause' | 'resume', summary: string): Route => ({
    method: 'POST',
    path: `/v1/channels/{name}/${verb}`,
    permission: 'channels:write',
    summary,
    tag: 'channels',
    idempotency: 'kept',
    responses: { 200: { description: 'The channel as it is now.', schema: CHANNEL } },
    handle: async (request) => {
      const { name } = ownOf(services, request)
      await channels.setPaused(name, verb === 'pause')
      return { status: 200, body: channelDocument(viewOf(services, request)) }
    },
  })
  return [
    {
      method: 'GET',
      path: '/v1/channels',
      permission: 'channels:read',
      summary: 'All channels and their state',
      tag: 'channels',
      query: PAGING,
      responses: { 200: { description: 'A page of them.', schema: pageOf(CHANNEL) } },
      handle: async (request) => ({
        status: 200,
        body: await cursors.whole({ request, list: 'channels', rows: viewsOf(services, request), show: channelDocument }),
      }),
    },
    {
      method: 'GET',
      path: '/v1/channels/{name}',
      permission: 'channels:read',
      summary: 'One channel, its state and its rules',
      tag: 'channels',
      responses: { 200: { description: 'The channel.', schema: CHANNEL } },
      handle: (request) => {
        const view = viewOf(services, request)
        return tagged(rulesOf(services, view.name), channelDocument(view))
      },
    },
    switching('pause', 'Takes nothing in by this channel until it is resumed, also after a restart'),
    switching('resume', 'Takes in by this channel again'),
    {
      method: 'POST',
      path: '/v1/channels/{name}/send',
      permission: 'channels:write',
      summary: 'Sends by this channel without a message before it',
      tag: 'channels',
      body: POSTING,
      idempotency: 'kept',
      responses: {
        202: {
          description: 'It is stored and on its way; the id is that of its first part.',
          schema: objectOf({ delivery_id: TEXT }),
        },
      },
      handle: (request) => send(services, request),
    },
  ]
}

/** Those of the caller's tenant, and those that all share; when something came in by these last is the operator's to know. */
function viewsOf({ channels }: Services, request: HttpRequest): readonly ChannelView[] {
  const caller = principalOf(request)
  const seen = channels.list().filter(({ tenant }) => tenant === null || tenant === caller.tenant)
  if (isOperator(caller)) return seen
  return seen.map((view) => (view.tenant === null ? { ...view, lastInboundAt: null, lastSentAt: null } : view))
}

/** @throws NotFoundError when the caller's tenant has no such channel */
export function viewOf(services: Services, request: HttpRequest): ChannelView {
  const name = request.params['name'] ?? ''
  const view = viewsOf(services, request).find((each) => each.name === name)
  if (view !== undefined) return view
  throw new NotFoundError('There is no channel of this name. GET /v1/channels lists those there are.', { code: 'CHANNEL_UNKNOWN' })
}

/** Its access rules as they are written; none: it has none. */
export const rulesOf = ({ config }: Services, name: string): JsonObject => config.read({ is: 'channel', name })?.value ?? {}

/**
 * One that the caller may change: what all share only the operator may.
 * @throws NotFoundError when the caller's tenant has no such channel
 */
export function ownOf(services: Services, request: HttpRequest): ChannelView {
  const view = viewOf(services, request)
  if (view.tenant === null && !isOperator(principalOf(request))) throw operatorOnly()
  return view
}

async function send(services: Services, request: HttpRequest): Promise<HttpReply> {
  const { name } = viewOf(services, request)
  const id = await services.channels.post(postingOf(name, isJsonObject(request.body) ? request.body : {}))
  return { status: 202, headers: { location: `/v1/deliveries/${id}` }, body: { delivery_id: id } }
}

function postingOf(channel: string, { to, text, extra }: JsonObject): Posting {
  const given = isJsonObject(to) ? to : {}
  const { chat, thread, kind } = given
  const address: Address = {
    chat: typeof chat === 'string' ? chat : '',
    ...(typeof thread === 'string' && { thread }),
    ...(isKind(kind) && { kind }),
  }
  // In order among what is sent there; how a channel names the lanes of what comes in is its own affair.
  const lane = address.thread === undefined ? address.chat : `${address.chat}/${address.thread}`
  const words = typeof text === 'string' ? text : ''
  return { channel, lane, to: address, ...(extra === undefined ? { text: words } : { rendered: { text: words, extra } }) }
}

const isKind = (value: unknown): value is NonNullable<Address['kind']> => value === 'direct' || value === 'group' || value === 'channel'

export function channelDocument(view: ChannelView): JsonObject {
  const { capabilities, access } = view
  const { strangers, groups, threads, media, typingMs, text } = capabilities
  return {
    name: view.name,
    kind: view.kind,
    state: view.state,
    reason: view.reason,
    paused: view.isPaused,
    delivery: capabilities.delivery,
    last_inbound_at: isoTime(view.lastInboundAt),
    last_sent_at: isoTime(view.lastSentAt),
    capabilities: {
      strangers,
      groups,
      threads,
      media,
      typing: typingMs !== null,
      link: view.isLinkable,
      max_text: { max: text.max, unit: text.unit },
    },
    access:
      access === null
        ? null
        : {
            access: access.direct,
            allow: access.allow,
            group_access: access.group,
            group_allow: access.groupAllow,
            require_mention: access.isMentionRequired,
            bots: access.bots,
          },
    open_pairings: view.openPairings,
  }
}
