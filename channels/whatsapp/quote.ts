/** What a reply in a group quotes: carried in the address, because WhatsApp shows a quote only when it is told its author and words. */
import type { proto } from 'baileys'

const MAX_CHARS = 300

export const quotable = (id: string, author: string, text: string): string =>
  JSON.stringify([id, author, text.slice(0, MAX_CHARS).toWellFormed()])

/** null: the address names no message, or not in our terms. */
export function quote(replyTo: string | undefined): proto.IContextInfo | null {
  if (replyTo === undefined || !replyTo.startsWith('[')) return null
  const parts: unknown = JSON.parse(replyTo)
  const [stanzaId, participant, conversation] = Array.isArray(parts) ? parts.map(String) : []
  if (stanzaId === undefined || participant === undefined) return null
  return { stanzaId, participant, quotedMessage: { conversation: conversation ?? '' } }
}
