/**
 * Which session a message belongs to: `agent:<agent>:<channel>:<account>:<kind>:<peer>[:thread:<id>]`, each part
 * percent-encoded, `*` where the agent's scope leaves a part out, and `tenant:<tenant>:` before it for all tenants but `default`. A channel is one configured account, so the scopes
 * per-channel-peer and per-account-channel-peer come to the same here.
 */
import { hash } from 'node:crypto'
import { DEFAULT_TENANT, asSessionKey } from '#contract'
import type { AgentDefinition, Inbound, Routing, SessionKey, SessionParts } from '#contract'

export class SessionKeys {
  readonly #people = new Map<string, string>()

  constructor(links: Routing['identityLinks']) {
    for (const [person, addresses] of Object.entries(links)) for (const address of addresses) this.#people.set(address, person)
  }

  of(
    agent: Pick<AgentDefinition, 'tenant' | 'name' | 'sessionScope'>,
    channel: string,
    message: Pick<Inbound, 'account' | 'peer'>,
  ): SessionParts {
    const { kind, id, thread } = message.peer
    const parts = { tenant: agent.tenant, agent: agent.name, channel, account: message.account, peerKind: kind, peer: id, thread }
    // A group is a conversation of its own, whatever the scope of its members.
    if (kind === 'direct' && message.peer.isApart !== true) {
      switch (agent.sessionScope) {
        case 'main':
          return keyed({ ...parts, channel: ALL, account: ALL, peer: ALL, thread: null })
        case 'per-peer': {
          const person = this.#people.get(`${channel}:${id}`)
          return keyed(person === undefined ? { ...parts, channel: ALL } : { ...parts, channel: ALL, account: ALL, peer: person })
        }
        case 'per-channel-peer':
        case 'per-account-channel-peer':
          break
      }
    }
    return keyed(parts)
  }
}

/** What a log says of a session: the same for the same one, and nothing of who it is with. */
export const sessionHash = (key: SessionKey): string => hash('sha256', key).slice(0, 16)

/** A part that is left out. No text of a sender can be it: a bare `*` from outside is encoded. */
const ALL = Symbol('*')
type Part = string | typeof ALL

interface Parts {
  readonly tenant: string
  readonly agent: string
  readonly channel: Part
  readonly account: Part
  readonly peerKind: SessionParts['peerKind']
  readonly peer: Part
  readonly thread: string | null
}

function keyed({ tenant, agent, channel, account, peerKind, peer, thread }: Parts): SessionParts {
  const tail = thread === null ? '' : `:thread:${encode(thread)}`
  const head = tenant === DEFAULT_TENANT ? '' : `tenant:${encode(tenant)}:`
  const key = asSessionKey(`${head}agent:${encode(agent)}:${encode(channel)}:${encode(account)}:${peerKind}:${encode(peer)}${tail}`)
  return { key, tenant, agent, channel: plain(channel), account: plain(account), peerKind, peer: plain(peer), thread }
}

const plain = (part: Part): string => (part === ALL ? '*' : part)

const UNRESERVED = /^[A-Za-z0-9._~@+-]*$/
function encode(part: Part): string {
  if (part === ALL) return '*'
  if (UNRESERVED.test(part)) return part
  // encodeURIComponent throws at a lone surrogate and lets `*` pass.
  return encodeURIComponent(part.isWellFormed() ? part : JSON.stringify(part)).replaceAll('*', '%2A')
}
