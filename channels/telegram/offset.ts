/** Where fetching goes on after a restart: stored with the messages before it, so that those are confirmed by the first poll. */
import { isJsonObject } from '#contract'
import type { ChannelHost, JsonValue, StateChanges } from '#contract'

const KEY = 'offset'
/** Telegram keeps updates no longer (https://core.telegram.org/bots/api#getting-updates); an older offset confirms nothing. */
const KEPT_MS = 86_400_000

export function offsetState(offset: number, at: number): StateChanges {
  return { [KEY]: new TextEncoder().encode(JSON.stringify({ offset, at })) }
}

/** 0: none. */
export async function readOffset(host: ChannelHost): Promise<number> {
  const bytes = await host.readState(KEY)
  if (bytes === null) return 0
  const stored = JSON.parse(new TextDecoder().decode(bytes)) as JsonValue
  if (!isJsonObject(stored)) return 0
  const { offset, at } = stored
  return typeof offset === 'number' && typeof at === 'number' && host.clock.now() - at < KEPT_MS ? offset : 0
}
