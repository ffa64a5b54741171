/** The port of turns: T1 to T5 put together, and the leases that keep them. */
import type { TurnId, TurnRef, TurnStore } from '#contract'
import { claim } from './claim.ts'
import type { Handlers } from './command.ts'
import { end, fail, release } from './ending.ts'
import type { Sql } from './sql.ts'
import { finishStep, startStep } from './step.ts'

export const turnWrites: Handlers<TurnStore> = { claim, renew, startStep, finishStep, end, fail, release }

function renew(sql: Sql, turns: readonly TurnRef[], until: number): readonly TurnId[] {
  return turns
    .filter(
      (ref) =>
        sql.run('UPDATE session SET lease_until = ? WHERE key = ? AND fence = ? AND turn = ?', until, ref.session, ref.fence, ref.turn) ===
        0,
    )
    .map((ref) => ref.turn)
}
