/**
 * Albums: several messages with one `media_group_id` that follow each other within a moment. Nothing says which is the last, so a
 * batch is held back from the first album on that may still grow, until a second look finds no more of it.
 */
import type { Update } from 'grammy/types'

/** Between two looks at an album. */
export const ALBUM_MS = 1_000

/** The album that it belongs to. */
export function albumOf({ message }: Update): string | null {
  return message?.media_group_id === undefined ? null : `${message.chat?.id}:${message.media_group_id}`
}

/** How many messages of each album that was held back were seen. */
export type Seen = ReadonlyMap<string, number>

export interface Split {
  readonly ready: readonly Update[]
  /** Of what has to be looked at again; empty: everything is ready. */
  readonly seen: Seen
}

export function splitAtAlbum(updates: readonly Update[], before: Seen): Split {
  const counts = new Map<string, number>()
  for (const update of updates) {
    const id = albumOf(update)
    if (id !== null) counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  const at = updates.findIndex((update) => {
    const id = albumOf(update)
    return id !== null && before.get(id) !== counts.get(id)
  })
  return at < 0 ? { ready: updates, seen: new Map() } : { ready: updates.slice(0, at), seen: counts }
}
