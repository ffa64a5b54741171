/** Server-sent events (WHATWG HTML §9.2.6) as the gateway writes them: one line of JSON each. */
import { isJsonObject } from '#contract'
import type { JsonObject } from '#contract'

export interface RemoteEvent {
  readonly event: string
  readonly data: JsonObject
}

export async function* readEvents(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<RemoteEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = eventOf(block.split('\n'))
      if (event !== null) yield event
    }
  }
}

/** Null: a comment, by which the gateway keeps the connection alive, or nothing that we know. */
function eventOf(lines: readonly string[]): RemoteEvent | null {
  const field = (name: string): string | undefined => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
  const data = field('data')
  if (data === undefined) return null
  const value: unknown = JSON.parse(data)
  return isJsonObject(value) ? { event: field('event') ?? 'message', data: value } : null
}
