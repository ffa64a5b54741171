/**
 * A stand-in for OpenAI that speaks its wire over loopback: chat completions and responses, streamed and whole. Each
 * request takes the next line of the script; without a script it answers `re: <last user text>`. Imports nothing of ours.
 */
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Line =
  | { readonly do: 'text'; readonly text: string; readonly reason?: string; readonly cachedTokens?: number }
  | { readonly do: 'calls'; readonly text?: string; readonly calls: readonly FakeCall[]; readonly reasoning?: string }
  | { readonly do: 'refuse'; readonly text: string }
  | { readonly do: 'status'; readonly status: number; readonly headers?: { readonly [name: string]: string }; readonly body?: unknown }
  /** Takes the request and never answers. */
  | { readonly do: 'hang' }
  /** Answers with what comes next once it is released. */
  | { readonly do: 'hold'; readonly line: Line }
  /** Begins, then says nothing more. */
  | { readonly do: 'stall'; readonly text: string }
  /** Begins, then closes the connection in the middle, with or without an orderly end. */
  | { readonly do: 'truncate'; readonly text: string; readonly hard?: boolean }
  | { readonly do: 'malformed' }
  /** An error event after the stream began. */
  | { readonly do: 'break'; readonly text: string; readonly error: unknown }
  /** All bytes of a text's stream one by one, so that every character is split. */
  | { readonly do: 'bytes'; readonly text: string }
  /** One JSON document although a stream was asked for. */
  | { readonly do: 'whole'; readonly text: string; readonly calls?: readonly FakeCall[] }

export interface FakeCall {
  readonly id?: string
  readonly name: string
  /** As the model writes them: maybe not JSON. */
  readonly arguments: string
}

export interface Recorded {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: { readonly [member: string]: unknown }
}

export class FakeOpenAI {
  readonly requests: Recorded[] = []
  /** Epoch milliseconds at which each of them came. */
  readonly receivedAt: number[] = []
  readonly #script: Line[]
  readonly #rules: { readonly said: RegExp; readonly line: Line }[] = []
  #held: (() => void)[] = []
  readonly #server: Server
  readonly #waiting: { readonly count: number; resolve(): void }[] = []
  #closed = 0

  constructor(...script: readonly Line[]) {
    this.#script = [...script]
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Recorded['body']
        response.on('close', () => (this.#closed += response.writableEnded ? 0 : 1))
        this.requests.push({ path: request.url ?? '', headers: request.headers, body })
        this.receivedAt.push(Date.now())
        const said = lastUserText(body)
        const line = this.#rules.find((rule) => rule.said.test(said))?.line ?? this.#script.shift() ?? { do: 'text', text: `re: ${said}` }
        this.answer(response, line, this.requests.at(-1) ?? { path: '', headers: {}, body })
        for (const wait of this.#waiting.filter(({ count }) => this.requests.length >= count)) wait.resolve()
      })
    })
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  add(...lines: readonly Line[]): void {
    this.#script.push(...lines)
  }

  /** Whatever the script says, this is the answer where the newest words of the user fit. */
  when(said: RegExp, line: Line): void {
    this.#rules.push({ said, line })
  }

  /** Lets all answers go that are held. */
  release(): void {
    const held = this.#held
    this.#held = []
    for (const go of held) go()
  }

  /** Forgets what is left of the script. */
  clear(): void {
    this.#script.length = 0
  }

  /** Resolves when so many requests have come. */
  async received(count: number): Promise<void> {
    if (this.requests.length >= count) return
    await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }))
  }

  /** Answers that the client gave up before their end. */
  get cutByClient(): number {
    return this.#closed
  }

  answer(response: ServerResponse, line: Line, request: Recorded): void {
    const speaks = request.path.endsWith('/responses') ? responses : chat
    if (line.do === 'hang') return
    if (line.do === 'hold') {
      this.#held.push(() => this.answer(response, line.line, request))
      return
    }
    if (line.do === 'status' || line.do === 'whole') {
      const status = line.do === 'status' ? line.status : 200
      const body = line.do === 'whole' ? speaks.whole(line.text, line.calls ?? []) : (line.body ?? { error: { message: 'fake' } })
      response.writeHead(status, { 'content-type': 'application/json', ...(line.do === 'status' ? line.headers : {}) })
      response.end(typeof body === 'string' ? body : JSON.stringify(body))
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
    switch (line.do) {
      case 'text':
        response.end(speaks.text(line.text, line.reason, line.cachedTokens).join(''))
        return
      case 'calls':
        response.end(speaks.calls(line.text ?? '', line.calls, line.reasoning).join(''))
        return
      case 'refuse':
        response.end(speaks.refuse(line.text).join(''))
        return
      case 'stall':
        response.write(speaks.begin(line.text))
        return
      case 'truncate':
        if (line.hard === true) response.write(speaks.begin(line.text), () => response.destroy())
        else response.end(speaks.begin(line.text))
        return
      case 'malformed':
        response.end('data: {"choices": [{"delta"\n\n')
        return
      case 'break':
        response.end(`${speaks.begin(line.text)}${speaks.error(line.error)}`)
        return
      case 'bytes':
        void trickle(response, Buffer.from(speaks.text(line.text).join('')))
    }
  }
}

async function trickle(response: ServerResponse, bytes: Buffer): Promise<void> {
  response.socket?.setNoDelay(true)
  for (const byte of bytes) {
    await new Promise<void>((resolve) => response.write(Buffer.of(byte), () => setImmediate(resolve)))
  }
  response.end()
}

function lastUserText(body: Recorded['body']): string {
  const messages = (body['messages'] ?? body['input'] ?? []) as readonly { readonly role?: string; readonly content?: unknown }[]
  const last = messages.findLast((message) => message.role === 'user')?.content
  return typeof last === 'string' ? last : ''
}

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`
/** Pieces of about five characters, never within a surrogate pair. */
const pieces = (text: string): readonly string[] => text.match(/[\s\S]{1,5}/gu) ?? []

const chunk = (delta: unknown, finish: string | null = null): string =>
  data({ id: 'chatcmpl-1', object: 'chat.completion.chunk', model: 'fake', choices: [{ index: 0, delta, finish_reason: finish }] })
const chatUsage = (cached = 0): string =>
  data({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    choices: [],
    usage: { prompt_tokens: 20, completion_tokens: 7, total_tokens: 27, prompt_tokens_details: { cached_tokens: cached } },
  })

const chat = {
  begin: (text: string): string =>
    chunk({ role: 'assistant', content: '' }) +
    pieces(text)
      .map((piece) => chunk({ content: piece }))
      .join(''),
  text: (text: string, reason = 'stop', cached = 0): readonly string[] => [
    chat.begin(text),
    chunk({}, reason),
    chatUsage(cached),
    'data: [DONE]\n\n',
  ],
  refuse: (text: string): readonly string[] => [
    ...pieces(text).map((piece) => chunk({ refusal: piece })),
    chunk({}, 'stop'),
    chatUsage(),
    'data: [DONE]\n\n',
  ],
  calls: (text: string, calls: readonly FakeCall[], _reasoning?: string): readonly string[] => [
    chat.begin(text),
    ...calls.flatMap((call, index) => [
      chunk({ tool_calls: [{ index, id: call.id ?? `call_${index}`, type: 'function', function: { name: call.name, arguments: '' } }] }),
      ...pieces(call.arguments).map((piece) => chunk({ tool_calls: [{ index, function: { arguments: piece } }] })),
    ]),
    chunk({}, 'tool_calls'),
    chatUsage(),
    'data: [DONE]\n\n',
  ],
  whole: (text: string, calls: readonly FakeCall[]): unknown => ({
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: text,
          tool_calls: calls.map((call, index) => ({
            id: call.id ?? `call_${index}`,
            type: 'function',
            function: { name: call.name, arguments: call.arguments },
          })),
        },
        finish_reason: calls.length > 0 ? 'tool_calls' : 'stop',
      },
    ],
    usage: { prompt_tokens: 20, completion_tokens: 7 },
  }),
  error: (error: unknown): string => data({ error }),
}

const event = (type: string, rest: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`
const messageItem = (text: string): object => ({
  type: 'message',
  id: 'msg_1',
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text, annotations: [] }],
})
const callItem = (call: FakeCall, index: number): object => ({
  type: 'function_call',
  id: `fc_${index}`,
  call_id: call.id ?? `call_${index}`,
  name: call.name,
  arguments: call.arguments,
})
const responseOf = (output: readonly object[], rest: object = {}): object => ({
  id: 'resp_1',
  object: 'response',
  status: 'completed',
  output,
  usage: { input_tokens: 20, output_tokens: 7, input_tokens_details: { cached_tokens: 5 } },
  ...rest,
})

const responses = {
  begin: (text: string): string =>
    event('response.created', { response: { id: 'resp_1', status: 'in_progress' } }) +
    pieces(text)
      .map((delta) => event('response.output_text.delta', { item_id: 'msg_1', output_index: 0, content_index: 0, delta }))
      .join(''),
  text: (text: string, reason?: string): readonly string[] => [
    responses.begin(text),
    event('response.output_item.done', { output_index: 0, item: messageItem(text) }),
    reason === 'length'
      ? event('response.incomplete', {
          response: responseOf([messageItem(text)], { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }),
        })
      : event('response.completed', { response: responseOf([messageItem(text)]) }),
  ],
  refuse: (text: string): readonly string[] => [
    event('response.created', { response: {} }),
    event('response.completed', {
      response: responseOf([{ type: 'message', role: 'assistant', content: [{ type: 'refusal', refusal: text }] }]),
    }),
  ],
  calls: (text: string, calls: readonly FakeCall[], reasoning?: string): readonly string[] => {
    const items = [
      ...(reasoning === undefined ? [] : [{ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: reasoning }]),
      ...(text === '' ? [] : [messageItem(text)]),
      ...calls.map(callItem),
    ]
    return [
      responses.begin(text),
      ...items.map((item, output_index) => event('response.output_item.done', { output_index, item })),
      // Some servers leave the items out of the last event.
      event('response.completed', { response: responseOf([]) }),
    ]
  },
  whole: (text: string, calls: readonly FakeCall[]): unknown => responseOf([messageItem(text), ...calls.map(callItem)]),
  error: (error: unknown): string => event('response.failed', { response: { id: 'resp_1', status: 'failed', error } }),
}
