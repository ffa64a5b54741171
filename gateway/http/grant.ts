/** The one rule for whoever gives permissions away: nobody gives more than they have, by whatever name it goes. */
import { DeniedError } from '#contract'
import type { Principal } from '#contract'

/** @throws DeniedError naming what is beyond the giver */
export function checkGrant(giver: Principal | null, permissions: Iterable<string>): void {
  if (giver === null || giver.scopes.has('*')) return
  const beyond = [...permissions].filter((permission) => !giver.scopes.has(permission))
  if (beyond.length === 0) return
  throw new DeniedError(`Nobody can give what they do not have: ${beyond.join(', ')}.`, { code: 'SCOPE_ESCALATION', reason: 'forbidden' })
}
