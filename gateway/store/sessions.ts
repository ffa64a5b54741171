/** Sessions and their memory, as the API shows them; and the reset that somebody asks for from outside. */
import { asSessionKey, asTurnId } from '#contract'
import type { SessionParts, SessionStore, SessionView } from '#contract'
import type { Handlers } from './command.ts'
import { forget, loadSession, saveSession } from './session-row.ts'

interface ViewRow {
  readonly seq: number
  readonly key: string
  readonly tenant: string
  readonly agent: string
  readonly channel: string
  readonly account: string
  readonly peer_kind: SessionParts['peerKind']
  readonly peer: string
  readonly thread: string | null
  readonly turn: string | null
  readonly next_seq: number
  readonly created_at: number
  readonly updated_at: number
  readonly status: SessionView['status']
}

const VIEW = `SELECT s.seq, s.key, s.tenant, s.agent, s.channel, s.account, s.peer_kind, s.peer, s.thread, s.turn, s.next_seq, s.created_at,
  s.updated_at,
  coalesce(t.status, CASE WHEN EXISTS (SELECT 1 FROM inbox i WHERE i.session = s.seq AND i.open = 1) THEN 'queued' ELSE 'idle' END) AS status
  FROM session s LEFT JOIN turn t ON t.id = s.turn`

export const sessionReads: Handlers<Pick<SessionStore, 'list' | 'get' | 'messages'>> = {
  list: (sql, filter, before, limit) =>
    sql
      .all<ViewRow>(
        `${VIEW} WHERE s.tenant = ?6 AND s.seq < ?1 AND (?2 IS NULL OR s.agent = ?2) AND (?3 IS NULL OR s.channel = ?3)
         AND (?4 IS NULL OR s.account = ?4) ORDER BY s.seq DESC LIMIT ?5`,
        before ?? Number.MAX_SAFE_INTEGER,
        filter.agent ?? null,
        filter.channel ?? null,
        filter.account ?? null,
        limit,
        filter.tenant,
      )
      .map(toView),
  get(sql, tenant, key) {
    const row = sql.get<ViewRow>(`${VIEW} WHERE s.key = ? AND s.tenant = ?`, key, tenant)
    return row === undefined ? null : toView(row)
  },
  messages: (sql, tenant, key, before, limit) =>
    sql
      .all<{ seq: number; turn: string; at: number; content: string }>(
        `SELECT m.seq, m.turn, m.at, m.content FROM session s JOIN session_message m ON m.session = s.seq
         WHERE s.key = ? AND s.tenant = ? AND m.seq < ? ORDER BY m.seq DESC LIMIT ?`,
        key,
        tenant,
        before ?? Number.MAX_SAFE_INTEGER,
        limit,
      )
      .map((row) => ({ seq: row.seq, turn: asTurnId(row.turn), at: row.at, message: JSON.parse(row.content) })),
}

const toView = (row: ViewRow): SessionView => ({
  seq: row.seq,
  key: asSessionKey(row.key),
  tenant: row.tenant,
  agent: row.agent,
  channel: row.channel,
  account: row.account,
  peerKind: row.peer_kind,
  peer: row.peer,
  thread: row.thread,
  status: row.status,
  turn: row.turn === null ? null : asTurnId(row.turn),
  messages: row.next_seq - 1,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
})

export const sessionWrites: Handlers<Pick<SessionStore, 'reset'>> = {
  reset(sql, tenant, key, now) {
    const session = loadSession(sql, key)
    if (session?.tenant !== tenant) return false
    forget(sql, session)
    saveSession(sql, session, now)
    return true
  },
}
