/**
 * A stand-in for Anthropic that speaks the messages wire over loopback. Each request takes the next line of the script;
 * without one it answers `re: <last user text>`. Imports nothing of ours.
 */
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type AnthropicLine =
  | { readonly do: 'blocks'; readonly blocks: readonly FakeBlock[]; readonly reason?: string; readonly usage?: object }
  | {
      readonly do: 'status'
      readonly status: number
      readonly headers?: { readonly [name: string]: string }
      readonly type?: string
      readonly message?: string
    }
  | { readonly do: 'break'; readonly text: string; readonly type: string }
  | { readonly do: 'truncate'; readonly text: string }
  | { readonly do: 'whole'; readonly blocks: readonly object[]; readonly reason: string }
  | { readonly do: 'hang' }

export type FakeBlock =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  | { readonly type: 'redacted_thinking'; readonly data: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly arguments: string }

export interface AnthropicRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: { readonly [member: string]: unknown }
}

export class FakeAnthropic {
  readonly requests: AnthropicRequest[] = []
  readonly #script: AnthropicLine[]
  readonly #server: Server

  constructor(...script: readonly AnthropicLine[]) {
    this.#script = [...script]
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as AnthropicRequest['body']
        this.requests.push({ path: request.url ?? '', headers: request.headers, body })
        answer(response, this.#script.shift() ?? { do: 'blocks', blocks: [{ type: 'text', text: `re: ${lastUserText(body)}` }] })
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
}

function answer(response: ServerResponse, line: AnthropicLine): void {
  switch (line.do) {
    case 'hang':
      return
    case 'status':
      response.writeHead(line.status, { 'content-type': 'application/json', ...line.headers })
      response.end(JSON.stringify({ type: 'error', error: { type: line.type ?? 'api_error', message: line.message ?? 'fake' } }))
      return
    case 'whole':
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(
        JSON.stringify({ type: 'message', role: 'assistant', content: line.blocks, stop_reason: line.reason, usage: START_USAGE }),
      )
      return
    case 'truncate':
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(begin + streamed({ type: 'text', text: line.text }, 0))
      return
    case 'break':
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(begin + streamed({ type: 'text', text: line.text }, 0) + event('error', { error: { type: line.type, message: 'fake' } }))
      return
    case 'blocks': {
      const reason = line.reason ?? (line.blocks.some((block) => block.type === 'tool_use') ? 'tool_use' : 'end_turn')
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(
        event('message_start', { message: { id: 'msg_1', role: 'assistant', content: [], usage: { ...START_USAGE, ...line.usage } } }) +
          event('ping', {}) +
          line.blocks.map(streamed).join('') +
          event('message_delta', { delta: { stop_reason: reason, stop_sequence: null }, usage: { output_tokens: 7 } }) +
          event('message_stop', {}),
      )
    }
  }
}

const START_USAGE = { input_tokens: 20, output_tokens: 1 }
const event = (type: string, rest: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`
const begin = event('message_start', { message: { id: 'msg_1', role: 'assistant', content: [], usage: START_USAGE } })
const pieces = (text: string): readonly string[] => text.match(/[\s\S]{1,5}/gu) ?? []

function streamed(block: FakeBlock, index: number): string {
  const start = (content_block: object): string => event('content_block_start', { index, content_block })
  const delta = (delta: object): string => event('content_block_delta', { index, delta })
  const stop = event('content_block_stop', { index })
  switch (block.type) {
    case 'text':
      return (
        start({ type: 'text', text: '' }) +
        pieces(block.text)
          .map((text) => delta({ type: 'text_delta', text }))
          .join('') +
        stop
      )
    case 'thinking':
      return (
        start({ type: 'thinking', thinking: '', signature: '' }) +
        pieces(block.thinking)
          .map((thinking) => delta({ type: 'thinking_delta', thinking }))
          .join('') +
        delta({ type: 'signature_delta', signature: block.signature }) +
        stop
      )
    case 'redacted_thinking':
      return start(block) + stop
    case 'tool_use':
      break
  }
  return (
    start({ type: 'tool_use', id: block.id, name: block.name, input: {} }) +
    pieces(block.arguments)
      .map((partial_json) => delta({ type: 'input_json_delta', partial_json }))
      .join('') +
    stop
  )
}

function lastUserText(body: AnthropicRequest['body']): string {
  const messages = (body['messages'] ?? []) as readonly { readonly role: string; readonly content: readonly { readonly text?: string }[] }[]
  return messages.findLast((message) => message.role === 'user')?.content.at(-1)?.text ?? ''
}
