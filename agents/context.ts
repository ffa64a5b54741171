/**
 * What of a session's memory goes into a prompt. Pure. Every call is followed by exactly its answers, whatever a crash or
 * an interrupt left in the memory, because providers refuse the rest of a session for one orphan; and the whole fits
 * the bound, the newest kept.
 */
import type { Message, SessionKey } from '#contract'

/** A token covers about four bytes; each message has a frame. A provider that counts otherwise answers with overflow. */
export const tokensOfText = (text: string): number => Math.ceil(Buffer.byteLength(text) / 4)
const FRAME_TOKENS = 4

export function tokensOf(messages: readonly Message[]): number {
  let total = 0
  for (const message of messages) {
    total += FRAME_TOKENS + tokensOfText(message.text)
    if (message.role !== 'assistant') continue
    if (message.calls !== undefined) total += tokensOfText(JSON.stringify(message.calls))
    if (message.extra !== undefined && message.extra !== null) total += tokensOfText(JSON.stringify(message.extra))
  }
  return total
}

/** In a group the model has to see who speaks: `agent:<agent>:<channel>:<account>:<kind>:<peer>`. */
export function named(messages: readonly Message[], session: SessionKey): readonly Message[] {
  const kind = session.split(':', 5)[4]
  if (kind !== 'group' && kind !== 'channel') return messages
  return messages.map((message) => (message.role === 'user' ? { ...message, text: `${message.sender}: ${message.text}` } : message))
}

/** Answers stand right behind their calls; a call without an answer gets one; an answer without a call goes. */
export function paired(messages: readonly Message[]): readonly Message[] {
  if (!messages.some((message) => message.role === 'tool' || (message.role === 'assistant' && message.calls !== undefined))) return messages
  const result: Message[] = []
  for (const [at, message] of messages.entries()) {
    if (message.role === 'tool') continue
    result.push(message)
    if (message.role !== 'assistant') continue
    for (const call of message.calls ?? []) result.push(answerTo(call.id, call.skill, messages, at))
  }
  return result
}

function answerTo(call: string, skill: string, messages: readonly Message[], after: number): Message {
  for (let i = after + 1; i < messages.length; i++) {
    const message = messages[i]
    if (message?.role === 'tool' && message.call === call) return message
    // The next use of the same id is another call.
    if (message?.role === 'assistant' && message.calls?.some(({ id }) => id === call) === true) break
  }
  return { role: 'tool', call, skill, text: 'error cancelled: the turn ended before this was run' }
}

/**
 * The newest of `history` that fit `maxTokens` beside `current`, which is always whole, except that answers of skills in it are shortened if
 * they are what makes it too long. Both have to be paired.
 */
export function fit(history: readonly Message[], current: readonly Message[], maxTokens: number): readonly Message[] {
  const kept = tokensOf(current) > maxTokens ? shortened(current, maxTokens) : current
  let room = maxTokens - tokensOf(kept)
  const head = history[0]
  const summary = head?.role === 'summary' ? [head] : []
  room -= tokensOf(summary)
  const units = unitsOf(history.slice(summary.length))
  let first = units.length
  while (first > 0) {
    room -= tokensOf(units[first - 1] ?? [])
    if (room < 0) break
    first--
  }
  // A prompt begins with what somebody said.
  while (first < units.length && units[first]?.[0]?.role !== 'user' && summary.length === 0) first++
  return [...summary, ...units.slice(first).flat(), ...kept]
}

/** A call and its answers are one unit. */
export function unitsOf(messages: readonly Message[]): readonly (readonly Message[])[] {
  const units: Message[][] = []
  for (const message of messages) {
    const last = units.at(-1)
    if (message.role === 'tool' && last !== undefined) last.push(message)
    else units.push([message])
  }
  return units
}

function shortened(messages: readonly Message[], maxTokens: number): readonly Message[] {
  const answers = messages.filter((message) => message.role === 'tool').length
  if (answers === 0) return messages
  const rest = tokensOf(messages.filter((message) => message.role !== 'tool'))
  const maxChars = Math.max(400, Math.floor(((maxTokens - rest) / answers - FRAME_TOKENS) * 4))
  return messages.map((message) => (message.role === 'tool' ? { ...message, text: cut(message.text, maxChars) } : message))
}

/** Beginning and end of a text that is too long, and how much is left out. */
export function cut(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text
  const head = Math.ceil(maxChars * 0.7)
  const tail = maxChars - head
  return `${text.slice(0, head)}\n[… ${text.length - maxChars} characters left out …]\n${text.slice(text.length - tail)}`.toWellFormed()
}
