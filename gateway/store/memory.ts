/** What an agent is told of its session: the summary, then the newest messages that fit. */
import type { ClaimRequest, Message } from '#contract'
import type { SessionRow } from './session-row.ts'
import type { Sql } from './sql.ts'

export function historyOf(
  sql: Sql,
  session: SessionRow,
  bound: Pick<ClaimRequest, 'historyBytes' | 'historyMessages'> & { readonly baseSeq: number },
): readonly Message[] {
  const summary = sql.get<{ text: string }>('SELECT text FROM summary WHERE session = ?', session.seq)
  let room = bound.historyBytes - (summary === undefined ? 0 : Buffer.byteLength(summary.text))
  const history: Message[] = []
  const rows = sql.iterate<{ content: string }>(
    'SELECT content FROM session_message WHERE session = ? AND seq >= ? AND seq < ? AND void = 0 ORDER BY seq DESC LIMIT ?',
    session.seq,
    session.floor_seq,
    bound.baseSeq,
    bound.historyMessages,
  )
  for (const { content } of rows) {
    room -= Buffer.byteLength(content)
    if (room < 0) break
    history.push(JSON.parse(content))
  }
  history.reverse()
  // An answer without the call before it, which the cut took away, is refused by every model.
  const first = history.findIndex((message) => message.role !== 'tool')
  const whole = first === -1 ? [] : history.slice(first)
  return summary === undefined ? whole : [{ role: 'summary', text: summary.text }, ...whole]
}
