/**
 * A very fast OpenAI-compatible model for benches and crash tests: chat completions, streamed. It answers `re: <last user
 * text>`; a text `use skills: a,b,c` makes it call those skills first and answer when their results are there. Run:
 * `node test/fakes/model-stub.ts --port 0 [--delay-ms N] [--log FILE]`. Prints `{"url": …}`; FILE gets one line per request
 * with its idempotency key, synced before the answer. Imports nothing of ours.
 */
import { fsyncSync, openSync, writeSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { parseArgs } from 'node:util'

export interface StubOptions {
  readonly delayMs: number
  /** Called before the answer, with the key and what was answered. */
  record?(key: string, kind: 'text' | 'calls'): void
}

export function createModelStub(options: StubOptions): Server {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => handle(request, response, Buffer.concat(chunks).toString('utf8'), options))
  })
  server.keepAliveTimeout = 60_000
  return server
}

interface ChatMessage {
  readonly role: string
  readonly content: unknown
}

function handle(request: IncomingMessage, response: ServerResponse, text: string, options: StubOptions): void {
  if (request.method !== 'POST' || request.url?.endsWith('/chat/completions') !== true) {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"no such path"}}')
    return
  }
  const body = JSON.parse(text) as { readonly messages: readonly ChatMessage[]; readonly stream?: boolean }
  const said = lastUser(body.messages)
  const skills = askedSkills(said.text)
  const isCall = skills.length > 0 && !said.isAnswered
  const key = String(request.headers['idempotency-key'] ?? '')
  const answer = (): void => {
    options.record?.(key, isCall ? 'calls' : 'text')
    if (body.stream === false) sendWhole(response, isCall, said.text, skills)
    else sendStream(response, isCall, said.text, skills)
  }
  if (options.delayMs > 0) setTimeout(answer, options.delayMs)
  else answer()
}

function lastUser(messages: readonly ChatMessage[]): { readonly text: string; readonly isAnswered: boolean } {
  let isAnswered = false
  for (let i = messages.length - 1; i >= 0; i--) {
    const message = messages[i]
    if (message?.role === 'user') return { text: typeof message.content === 'string' ? message.content : '', isAnswered }
    if (message?.role === 'tool') isAnswered = true
  }
  return { text: '', isAnswered }
}

/** `use skills: clock, echo {"text":"x"}` is not understood: names only; `echo` gets a text, all others nothing. */
function askedSkills(text: string): readonly string[] {
  const match = /use skills: *([\w., -]+)/.exec(text)
  return match === null ? [] : (match[1] ?? '').split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]))
}

const callsOf = (skills: readonly string[]): readonly object[] =>
  skills.map((name, index) => ({
    index,
    id: `call_${index + 1}`,
    type: 'function',
    function: { name, arguments: name.startsWith('echo') ? `{"text":"${name} ${index + 1}"}` : '{}' },
  }))

const USAGE = { prompt_tokens: 12, completion_tokens: 6, total_tokens: 18 }
const HEAD = '{"id":"chatcmpl-stub","object":"chat.completion.chunk","created":1,"model":"stub","choices":'
const TAIL = `data: ${HEAD}[],"usage":${JSON.stringify(USAGE)}}\n\ndata: [DONE]\n\n`

function sendStream(response: ServerResponse, isCall: boolean, text: string, skills: readonly string[]): void {
  const delta = isCall ? { role: 'assistant', content: null, tool_calls: callsOf(skills) } : { role: 'assistant', content: `re: ${text}` }
  const first = `data: ${HEAD}[{"index":0,"delta":${JSON.stringify(delta)},"finish_reason":null}]}\n\n`
  const last = `data: ${HEAD}[{"index":0,"delta":{},"finish_reason":"${isCall ? 'tool_calls' : 'stop'}"}]}\n\n`
  const payload = Buffer.from(first + last + TAIL)
  response.writeHead(200, { 'content-type': 'text/event-stream', 'content-length': payload.length })
  response.end(payload)
}

function sendWhole(response: ServerResponse, isCall: boolean, text: string, skills: readonly string[]): void {
  const message = isCall ? { role: 'assistant', content: null, tool_calls: callsOf(skills) } : { role: 'assistant', content: `re: ${text}` }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ choices: [{ index: 0, message, finish_reason: isCall ? 'tool_calls' : 'stop' }], usage: USAGE }))
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: 'string', default: '0' }, 'delay-ms': { type: 'string', default: '0' }, log: { type: 'string' } },
  })
  const file = values.log === undefined ? null : openSync(values.log, 'a')
  const server = createModelStub({
    delayMs: Number(values['delay-ms']),
    record: (key, kind) => {
      if (file === null) return
      writeSync(file, `${JSON.stringify({ key, kind })}\n`)
      fsyncSync(file)
    },
  })
  server.listen(Number(values.port), '127.0.0.1', () => {
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}/v1` })}\n`)
  })
}
