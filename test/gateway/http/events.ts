/** Reads server-sent events as a browser would. */
import type { JsonValue } from '#contract'

export interface ReadEvent {
  readonly event: string
  readonly id?: string
  readonly data: JsonValue
}

export async function* readEvents(response: Response): AsyncGenerator<ReadEvent, void> {
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk, { stream: true })
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const block = rest.slice(0, end).split('\n')
      rest = rest.slice(end + 2)
      const field = (name: string) => block.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
      const id = field('id')
      const data = field('data')
      if (data !== undefined)
        yield { event: field('event') ?? 'message', ...(id !== undefined && { id }), data: JSON.parse(data) as JsonValue }
    }
  }
}
