/** The session as a row: found or made, its fence checked, its memory appended to. Loaded once a command, saved once. */
import { FencedError } from '#contract'
import type { Message, SessionParts, TurnRef } from '#contract'
import { emit } from './events.ts'
import type { Sql } from './sql.ts'

export interface SessionRow {
  readonly seq: number
  readonly key: string
  readonly tenant: string
  readonly agent: string
  fence: number
  owner: string
  lease_until: number
  turn: string | null
  next_seq: number
  floor_seq: number
}

export const findSession = (sql: Sql, key: string): number | undefined =>
  sql.get<{ seq: number }>('SELECT seq FROM session WHERE key = ?', key)?.seq

export const sessionOf = (sql: Sql, parts: SessionParts, now: number): number =>
  findSession(sql, parts.key) ?? beginSession(sql, parts, now)

/** Of a key that is not there yet. */
export function beginSession(sql: Sql, parts: SessionParts, now: number): number {
  emit(sql, {
    tenant: parts.tenant,
    type: 'session.created',
    now,
    data: () => ({ session: parts.key, agent: parts.agent, channel: parts.channel }),
  })
  return sql.insert(
    `INSERT INTO session (key, tenant, agent, channel, account, peer_kind, peer, thread, created_at, updated_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    parts.key,
    parts.tenant,
    parts.agent,
    parts.channel,
    parts.account,
    parts.peerKind,
    parts.peer,
    parts.thread,
    now,
    now,
  )
}

export const loadSession = (sql: Sql, key: string): SessionRow | undefined =>
  sql.get<SessionRow>(
    'SELECT seq, key, tenant, agent, fence, owner, lease_until, turn, next_seq, floor_seq FROM session WHERE key = ?',
    key,
  )

/** The session of a turn that is still ours to write. */
export function ownSession(sql: Sql, ref: TurnRef): SessionRow {
  const session = loadSession(sql, ref.session)
  if (session === undefined || session.fence !== ref.fence || session.turn !== ref.turn) {
    throw new FencedError(`Turn ${ref.turn} is no longer this gateway's: its session went on without it. Drop the work.`, {
      code: 'TURN_FENCED',
    })
  }
  return session
}

export function saveSession(sql: Sql, session: SessionRow, now: number): void {
  sql.run(
    'UPDATE session SET fence = ?, owner = ?, lease_until = ?, turn = ?, next_seq = ?, floor_seq = ?, updated_at = ? WHERE seq = ?',
    session.fence,
    session.owner,
    session.lease_until,
    session.turn,
    session.next_seq,
    session.floor_seq,
    now,
    session.seq,
  )
}

/** Nobody works on it any more; `turn`: the one that stays unfinished. */
export function free(session: SessionRow, turn: string | null): void {
  session.owner = ''
  session.lease_until = 0
  session.turn = turn
}

/** Adds to the memory. The caller saves the session. */
export function append(sql: Sql, session: SessionRow, added: { turn: string; messages: readonly Message[]; now: number }): void {
  for (const message of added.messages) {
    sql.run(
      'INSERT INTO session_message (session, seq, turn, at, content) VALUES (?, ?, ?, ?, ?)',
      session.seq,
      session.next_seq++,
      added.turn,
      added.now,
      JSON.stringify(message),
    )
  }
}

/** Forgets all that was said up to now; the rows stay. The caller saves the session. */
export function forget(sql: Sql, session: SessionRow): void {
  session.floor_seq = session.next_seq
  sql.run('DELETE FROM summary WHERE session = ?', session.seq)
}
