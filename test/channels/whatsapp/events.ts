/** Server-sent events of an answer (WHATWG HTML §9.2), as far as the gateway writes them. */
export interface SentEvent {
  readonly event: string
  readonly data: { readonly [member: string]: unknown }
}

export async function* readEvents(answer: Response): AsyncGenerator<SentEvent, void, void> {
  let text = ''
  if (answer.status !== 200 || answer.body === null) throw new Error(`no events: ${answer.status} ${await answer.text()}`)
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]))
      const data = fields.get('data')
      if (data !== undefined) yield { event: fields.get('event') ?? 'message', data: JSON.parse(data) as SentEvent['data'] }
    }
  }
}
