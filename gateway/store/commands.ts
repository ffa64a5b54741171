/** All that the workers can be asked, by port: the writer's side and the reader's. */
import type { Store } from '#contract'
import { accept } from './accept.ts'
import { agentReads, agentWrites, channelStateReads, channelStateWrites, idempotencyWrites, keyReads, keyWrites } from './access.ts'
import type { Handlers } from './command.ts'
import { letterReads, letterWrites } from './dead-letters.ts'
import { inboxReads } from './message.ts'
import { outboxReads, outboxWrites } from './outbox.ts'
import { probe, prune } from './prune.ts'
import { sessionReads, sessionWrites } from './sessions.ts'
import { turnWrites } from './turns.ts'

export type Writes = {
  readonly inbox: { readonly accept: typeof accept }
  readonly turns: Handlers<Store['turns']>
  readonly outbox: typeof outboxWrites
  readonly sessions: typeof sessionWrites
  readonly deadLetters: typeof letterWrites
  readonly keys: typeof keyWrites
  readonly agents: typeof agentWrites
  readonly idempotency: Handlers<Store['idempotency']>
  readonly channelState: typeof channelStateWrites
  readonly storage: { readonly prune: typeof prune; readonly probe: typeof probe }
}

export const writes: Writes = {
  inbox: { accept },
  turns: turnWrites,
  outbox: outboxWrites,
  sessions: sessionWrites,
  deadLetters: letterWrites,
  keys: keyWrites,
  agents: agentWrites,
  idempotency: idempotencyWrites,
  channelState: channelStateWrites,
  storage: { prune, probe },
}

export type Reads = {
  readonly inbox: typeof inboxReads
  readonly outbox: typeof outboxReads
  readonly sessions: typeof sessionReads
  readonly deadLetters: typeof letterReads
  readonly keys: typeof keyReads
  readonly agents: typeof agentReads
  readonly channelState: typeof channelStateReads
}

export const reads: Reads = {
  inbox: inboxReads,
  outbox: outboxReads,
  sessions: sessionReads,
  deadLetters: letterReads,
  keys: keyReads,
  agents: agentReads,
  channelState: channelStateReads,
}
