/**
 * What an HTTP request becomes as a message: who says it, in which conversation, under which key. The conversation is the
 * session, user or topic that the client names, always inside the namespace of the principal who asks.
 */
import { fingerprint, may, namespaceOf } from '#contract'
import type { Inbound, Metadata, Principal, Publish } from '#contract'
import { idempotencyKey, withCarriedHeaders, withSaidHeaders } from './request-headers.ts'
import type { RequestHeaders } from './request-headers.ts'

export interface Said {
  readonly publish: Publish
  readonly headers: RequestHeaders
  readonly principal: Principal
  readonly now: number
}

/** @throws InvalidError if the headers are malformed */
export function inboundOf({ publish, headers, principal, now }: Said): Inbound {
  const key = idempotencyKey(headers, publish.key)
  const said = withSaidHeaders(publish.metadata, headers)
  const conversation = conversationOf(said)
  const namespace = namespaceOf(principal)
  return {
    key: key === null ? null : `${namespace}:${key}`,
    fingerprint: key === null ? null : fingerprint({ payload: publish.payload, metadata: said, sender: publish.sender, at: publish.at }),
    lane: `${namespace}/${conversation}`,
    account: principal.id,
    tenant: principal.tenant,
    peer: { kind: 'direct', id: conversation, thread: null },
    sender: publish.sender ?? said.user_id ?? principal.id,
    at: publish.at ?? now,
    payload: publish.payload,
    metadata: withCarriedHeaders(said, headers),
    agent: said.agent_id !== undefined && may(principal, 'agent:execute') ? said.agent_id : null,
    reply: { chat: conversation },
  }
}

const conversationOf = ({ session_id: session, user_id: user, topic }: Metadata): string =>
  session ?? user ?? (topic === undefined ? 'main' : `topic:${topic}`)
