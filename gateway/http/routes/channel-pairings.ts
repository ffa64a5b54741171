/** Strangers who ask to be let in on a channel, and senders who were: listed, approved, denied, revoked. */
import { isoTime } from '#contract'
import type { Grant, HttpRequest, JsonObject, Pairing, Route } from '#contract'
import { PAGING } from '../cursor.ts'
import { viewOf } from './channels.ts'
import { TEXT, TIME, TIME_OR_NULL, objectOf, pageOf } from './schema.ts'
import type { Hub } from './hub.ts'

const PAIRING = objectOf({
  code: TEXT,
  sender: TEXT,
  aliases: { type: 'array', items: TEXT },
  created_at: TIME,
  expires_at: TIME,
  noticed_at: TIME_OR_NULL,
})
const GRANT = objectOf({ sender: TEXT, aliases: { type: 'array', items: TEXT }, since: TIME, by: TEXT })

export function channelPairingRoutes({ services, cursors }: Hub): readonly Route[] {
  const { pairings } = services
  const channelOf = (request: HttpRequest): string => viewOf(services, request).name
  return [
    {
      method: 'GET',
      path: '/v1/channels/{name}/pairings',
      permission: 'channels:read',
      summary: 'Strangers who were given a code and wait to be let in',
      tag: 'channels',
      query: PAGING,
      responses: { 200: { description: 'Oldest first.', schema: pageOf(PAIRING) } },
      handle: async (request) => ({
        status: 200,
        body: await cursors.whole({ request, list: 'pairings', rows: pairings.open(channelOf(request)), show: pairingDocument }),
      }),
    },
    {
      method: 'POST',
      path: '/v1/channels/{name}/pairings/{code}/approve',
      permission: 'channels:write',
      summary: 'Lets in the sender who was given this code',
      tag: 'channels',
      idempotency: 'kept',
      responses: { 200: { description: 'Who may write from now on.', schema: GRANT } },
      handle: async (request) => {
        const grant = await pairings.approve(channelOf(request), request.params['code'] ?? '', request.principal?.id ?? '')
        return { status: 200, body: grantDocument(grant) }
      },
    },
    {
      method: 'DELETE',
      path: '/v1/channels/{name}/pairings/{code}',
      permission: 'channels:write',
      summary: 'Denies it; the same stranger gets no other code within the hour',
      tag: 'channels',
      responses: { 204: { description: 'It is denied.' } },
      handle: async (request) => {
        await pairings.deny(channelOf(request), request.params['code'] ?? '')
        return { status: 204 }
      },
    },
    {
      method: 'GET',
      path: '/v1/channels/{name}/grants',
      permission: 'channels:read',
      summary: 'Senders who were let in by a code',
      tag: 'channels',
      query: PAGING,
      responses: { 200: { description: 'Oldest first.', schema: pageOf(GRANT) } },
      handle: async (request) => ({
        status: 200,
        body: await cursors.whole({ request, list: 'grants', rows: pairings.grants(channelOf(request)), show: grantDocument }),
      }),
    },
    {
      method: 'DELETE',
      path: '/v1/channels/{name}/grants/{sender}',
      permission: 'channels:write',
      summary: 'The sender may not write any more, unless the configuration allows it',
      tag: 'channels',
      responses: { 204: { description: 'It is revoked.' } },
      handle: async (request) => {
        await pairings.revoke(channelOf(request), request.params['sender'] ?? '')
        return { status: 204 }
      },
    },
  ]
}

const pairingDocument = (pairing: Pairing): JsonObject => ({
  code: pairing.code,
  sender: pairing.sender,
  aliases: pairing.aliases,
  created_at: isoTime(pairing.createdAt),
  expires_at: isoTime(pairing.expiresAt),
  noticed_at: isoTime(pairing.noticedAt),
})

const grantDocument = (grant: Grant): JsonObject => ({
  sender: grant.sender,
  aliases: grant.aliases,
  since: isoTime(grant.since),
  by: grant.by,
})
