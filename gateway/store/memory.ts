/** What an agent is told of its session: the summary, then the newest messages that fit. */
import type { ClaimRequest, Message } from '#contract'
import type { SessionRow } from './session-row.ts'
import type { Sql } from './sql.ts'

/** Answers JSON: a list of messages. */
export function historyOf(
  sql: Sql,
  session: SessionRow,
  bound: Pick<ClaimRequest, 'historyBytes' | 'historyMessages'> & { readonly baseSeq: number },
): string {
  const summary = sql.get<{ text: string }>('SELECT text FROM summary WHERE session = ?', session.seq)
  let room = bound.historyBytes - (summary === undefined ? 0 : Buffer.byteLength(summary.text))
  const history: string[] = []
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
    history.push(content)
  }
  // An answer without the call before it, which the cut took away, is refused by every model.
  while (isAnswer(history.at(-1))) history.pop()
  if (summary !== undefined) {
    const told: Message = { role: 'summary', text: summary.text }
    history.push(JSON.stringify(told))
  }
  return `[${history.toReversed().join(',')}]`
}

function isAnswer(content: string | undefined): boolean {
  if (content === undefined) return false
  const message: Message = JSON.parse(content)
  return message.role === 'tool'
}
