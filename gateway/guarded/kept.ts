/**
 * Connections that are kept to be used again, each for the host and port that it was made for. Who may name hosts could name ever new ones,
 * so there is a bound over all of them as well, and one that was idle long goes.
 */
import { Agent as HttpAgent } from 'node:http'
import type { AgentOptions } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Socket } from 'node:net'

export interface KeptConnections {
  readonly http: HttpAgent
  readonly https: HttpsAgent
}

/** Idle connections, of one host and in all. */
const MAX_IDLE = { host: 8, all: 64 }
/** How long a connection may be idle. */
const IDLE_MS = 15_000

export function keptConnections(): KeptConnections {
  const options: AgentOptions = { keepAlive: true, maxFreeSockets: MAX_IDLE.host, timeout: IDLE_MS, scheduling: 'lifo' }
  const kept = { http: new HttpAgent(options), https: new HttpsAgent(options) }
  for (const agent of [kept.http, kept.https]) {
    const keep = agent.keepSocketAlive.bind(agent)
    agent.keepSocketAlive = (socket) => {
      const idle = idleIn(kept)
      if (idle.length >= MAX_IDLE.all) idle[0]?.destroy()
      return keep(socket)
    }
  }
  return kept
}

/** Hosts stand in the order in which they were idle first, the sockets of each likewise. One that was ended stands there until it is closed. */
const idleIn = ({ http, https }: KeptConnections): readonly Socket[] =>
  [http, https].flatMap(({ freeSockets }) =>
    Object.values(freeSockets).flatMap((sockets) => (sockets ?? []).filter((one) => !one.destroyed)),
  )
