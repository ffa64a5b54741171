/**
 * Many letters at once: which are meant, and when each is to be brought back. The plan stands in their rows, so that nothing of it is lost
 * with the process; bringing one back is dead-letters.ts's.
 */
import { asDeadLetterId } from '#contract'
import type { DeadLetterStore, LetterFilter } from '#contract'
import type { Handlers } from './command.ts'

export const MATCHES = `tenant = ?1 AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR channel = ?3) AND (?4 IS NULL OR reason_code = ?4)
  AND (?5 IS NULL OR created_at >= ?5) AND (?6 IS NULL OR created_at < ?6)`

export const matching = ({ tenant, kind, channel, reason, since, until }: LetterFilter): readonly (string | number | null)[] => [
  tenant,
  kind ?? null,
  channel ?? null,
  reason ?? null,
  since ?? null,
  until ?? null,
]

const UNASKED = `FROM dead_letter WHERE ${MATCHES} AND status = 'open' AND replay_at IS NULL
  AND (?7 IS NULL OR id IN (SELECT value FROM json_each(?7)))`

export const planReads: Handlers<Pick<DeadLetterStore, 'match'>> = {
  match(sql, { ids, ...filter }, limit) {
    const values = [...matching(filter), ids === undefined ? null : JSON.stringify(ids)]
    const first = sql.all<{ id: string }>(`SELECT id ${UNASKED} ORDER BY seq LIMIT ?8`, ...values, limit)
    const all = sql.get<{ count: number }>(`SELECT count(*) AS count ${UNASKED}`, ...values)
    return { matched: all?.count ?? 0, ids: first.map(({ id }) => asDeadLetterId(id)) }
  },
}

interface PlannedRow {
  readonly tenant: string
  readonly id: string
  readonly replay_at: number
}

export const planWrites: Handlers<Pick<DeadLetterStore, 'plan' | 'planned' | 'unplan'>> = {
  plan(sql, tenant, ids, { now, everyMs }) {
    const planned: { readonly tenant: string; readonly id: (typeof ids)[number]; readonly at: number }[] = []
    for (const id of ids) {
      const at = now + Math.round(planned.length * everyMs)
      const changed = sql.run(
        `UPDATE dead_letter SET replay_at = ? WHERE id = ? AND tenant = ? AND status = 'open' AND replay_at IS NULL`,
        at,
        id,
        tenant,
      )
      if (changed === 1) planned.push({ tenant, id, at })
    }
    return planned
  },
  planned(sql, now, limit) {
    const rows = sql.all<PlannedRow>(
      `SELECT tenant, id, replay_at FROM dead_letter WHERE status = 'open' AND replay_at IS NOT NULL ORDER BY replay_at, seq LIMIT ?`,
      limit,
    )
    const letters = rows.map(({ tenant, id, replay_at: at }) => ({ tenant, id: asDeadLetterId(id), at }))
    return { letters: letters.filter(({ at }) => at <= now), nextAt: letters.find(({ at }) => at > now)?.at ?? null }
  },
  unplan(sql, tenant, id) {
    sql.run('UPDATE dead_letter SET replay_at = NULL WHERE id = ? AND tenant = ?', id, tenant)
  },
}
