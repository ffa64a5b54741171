/**
 * The definition of "works" for every store: what each port promises, over whatever keeps it. An implementation's own test
 * calls `storeSuite` with a way to make one; what only it can do (locks, full disks) it tests beside that.
 */
import { describe } from 'node:test'
import { accessSuite } from './store/access.ts'
import { auditSuite } from './store/audit.ts'
import { deadLetterSuite } from './store/dead-letters.ts'
import type { StoreFeatures, UseStore } from './store/given.ts'
import { inboxSuite } from './store/inbox.ts'
import { outboxSuite } from './store/outbox.ts'
import { overlaySuite } from './store/overlay.ts'
import { pairingSuite } from './store/pairing.ts'
import { recoverySuite } from './store/recovery.ts'
import { retentionSuite } from './store/retention.ts'
import { runSuite } from './store/runs.ts'
import { sessionSuite } from './store/sessions.ts'
import { skillSuite } from './store/skills.ts'
import { stepSuite } from './store/steps.ts'
import { tenantSuite } from './store/tenants.ts'
import { turnSuite } from './store/turns.ts'
import { webhookSuite } from './store/webhooks.ts'
import { webhookEventSuite } from './store/webhook-events.ts'

export function storeSuite(name: string, use: UseStore, features: StoreFeatures): void {
  describe(`store: ${name}`, () => {
    auditSuite(use)
    inboxSuite(use)
    turnSuite(use)
    stepSuite(use)
    recoverySuite(use, features)
    outboxSuite(use)
    sessionSuite(use)
    deadLetterSuite(use)
    accessSuite(use)
    overlaySuite(use)
    pairingSuite(use)
    skillSuite(use)
    runSuite(use)
    webhookSuite(use)
    webhookEventSuite(use)
    retentionSuite(use)
    tenantSuite(use)
  })
}
