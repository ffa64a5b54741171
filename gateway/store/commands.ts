/**
 * All that the workers can be asked, by port: the writer's side and the reader's. What the engine itself looks up stands on
 * the writer's: it is indexed and small, and a gateway that nobody asks anything needs no second thread.
 */
import type { Store } from '#contract'
import { accept, acceptAll } from './accept.ts'
import { agentReads, agentWrites, channelStateReads, channelStateWrites, idempotencyWrites, keyReads, keyWrites } from './access.ts'
import { auditReads, auditWrites } from './audit.ts'
import type { Handlers } from './command.ts'
import { letterReads, letterWrites } from './dead-letters.ts'
import { eraseWrites } from './erase.ts'
import { revocationWrites, roleWrites } from './identity.ts'
import { planReads, planWrites } from './letter-plan.ts'
import { inboxLooks, inboxReads } from './message.ts'
import { outboxLooks, outboxReads, outboxWrites } from './outbox.ts'
import { overlayWrites } from './overlay.ts'
import { pairingWrites } from './pairing.ts'
import { postingReads, postingWrites } from './posting.ts'
import { probe, prune } from './prune.ts'
import { runReads, runWrites } from './runs.ts'
import { sessionReads, sessionWrites } from './sessions.ts'
import { skillWrites } from './skills.ts'
import { turnWrites } from './turns.ts'
import { webhookEngine } from './webhook-engine.ts'
import { webhookLogReads, webhookLogWrites } from './webhook-log.ts'
import { webhookReads, webhookWrites } from './webhooks.ts'

export type Writes = {
  readonly inbox: { readonly accept: typeof accept; readonly acceptAll: typeof acceptAll } & typeof inboxLooks
  readonly turns: Handlers<Store['turns']>
  readonly outbox: typeof outboxWrites & typeof outboxLooks & typeof postingWrites
  readonly sessions: typeof sessionWrites & typeof eraseWrites
  readonly deadLetters: typeof letterWrites & typeof planWrites
  readonly keys: typeof keyWrites & typeof keyReads
  readonly roles: typeof roleWrites
  readonly revocations: typeof revocationWrites
  readonly agents: typeof agentWrites & typeof agentReads
  readonly idempotency: Handlers<Store['idempotency']>
  readonly channelState: typeof channelStateWrites
  readonly pairing: typeof pairingWrites
  readonly skills: typeof skillWrites
  readonly runs: typeof runWrites
  readonly webhooks: typeof webhookWrites & typeof webhookLogWrites & typeof webhookEngine
  readonly audit: typeof auditWrites
  readonly overlay: typeof overlayWrites
  readonly storage: { readonly prune: typeof prune; readonly probe: typeof probe }
}

export const writes: Writes = {
  inbox: { accept, acceptAll, ...inboxLooks },
  turns: turnWrites,
  outbox: { ...outboxWrites, ...outboxLooks, ...postingWrites },
  sessions: { ...sessionWrites, ...eraseWrites },
  deadLetters: { ...letterWrites, ...planWrites },
  keys: { ...keyWrites, ...keyReads },
  roles: roleWrites,
  revocations: revocationWrites,
  agents: { ...agentWrites, ...agentReads },
  idempotency: idempotencyWrites,
  channelState: channelStateWrites,
  pairing: pairingWrites,
  skills: skillWrites,
  runs: runWrites,
  webhooks: { ...webhookWrites, ...webhookLogWrites, ...webhookEngine },
  audit: auditWrites,
  overlay: overlayWrites,
  storage: { prune, probe },
}

export type Reads = {
  readonly inbox: typeof inboxReads
  readonly outbox: typeof outboxReads & typeof postingReads
  readonly sessions: typeof sessionReads
  readonly deadLetters: typeof letterReads & typeof planReads
  readonly channelState: typeof channelStateReads
  readonly runs: typeof runReads
  readonly webhooks: typeof webhookReads & typeof webhookLogReads
  readonly audit: typeof auditReads
}

export const reads: Reads = {
  inbox: inboxReads,
  outbox: { ...outboxReads, ...postingReads },
  sessions: sessionReads,
  deadLetters: { ...letterReads, ...planReads },
  channelState: channelStateReads,
  runs: runReads,
  webhooks: { ...webhookReads, ...webhookLogReads },
  audit: auditReads,
}
