/** `openclaw messages`: send one, list them, show one with its steps, cancel one. */
import { randomUUID } from 'node:crypto'
import type { JsonObject, JsonValue } from '#contract'
import { age, statusText, time } from '../answer.ts'
import type { Call, Command, World } from '../command.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import type { Output } from '../output.ts'
import { plain } from '../output.ts'
import { documentIn, rowsIn, text } from '../document.ts'
import { Remote } from '../remote.ts'

export const messages: Command = {
  summary: 'Messages: what came in and what became of it. "send" prints the reply with --wait, else the id.',
  verbs: { list: '', show: '<id>', send: '<text>', cancel: '<id>' },
  options: {
    channel: { value: 'NAME', help: 'list: only this channel; send: the channel_id it carries' },
    agent: { value: 'NAME', help: 'list: only this agent; send: straight to this agent' },
    session: { value: 'ID', help: 'list: only this session; send: the session_id it carries' },
    status: { value: 'STATUS', help: 'list: queued, running, waiting, retrying, done or dead' },
    limit: { value: 'N', help: 'list: how many (20)' },
    wait: { help: 'send: wait until it is answered' },
    timeout: { value: 'SECONDS', help: 'send: how long to wait (60, at most 300)' },
    key: { value: 'TEXT', help: 'send: idempotency key; the same again sends nothing twice' },
  },
  run: async (call, world) => {
    const remote = await Remote.find(world)
    if (call.verb === 'send') return await send(call, world, remote)
    if (call.verb === 'cancel') return await cancel(call, world.out, remote)
    return call.verb === 'show' ? await show(call, world.out, remote) : await list(call, world.out, remote)
  },
}

async function list(call: Call, out: Output, remote: Remote): Promise<ExitCode> {
  const query = { channel: call.text('channel'), agent: call.text('agent'), session: call.text('session'), status: call.text('status') }
  const { page, rows, hasMore } = await remote.list('/v1/messages', { ...query, limit: call.text('limit') ?? 20 })
  if (call.json) {
    out.json(page)
    return EXIT.ok
  }
  const now = Date.now()
  out.table(
    rows,
    [
      { title: 'ID', cell: (row) => text(row['message_id']), whole: true },
      { title: 'STATUS', cell: (row) => text(row['status']), whole: true },
      { title: 'AGE', cell: (row) => age(row['accepted_at'], now), whole: true },
      { title: 'CHANNEL', cell: (row) => text(row['channel']) },
      { title: 'TEXT', cell: (row) => payloadText(row['payload']) },
    ],
    'No messages.',
  )
  if (hasMore) out.note('There are more; see --limit, or --json for the cursor.')
  return EXIT.ok
}

async function cancel(call: Call, out: Output, remote: Remote): Promise<ExitCode> {
  const id = call.words[0] ?? ''
  const { body } = await remote.ask(`/v1/messages/${encodeURIComponent(id)}/cancel`, { method: 'POST' })
  if (call.json) out.json(body)
  else out.note(`${id} is told to end. It is done, without a reply, when "openclaw messages show" says CANCELLED.`)
  return EXIT.ok
}

async function show(call: Call, out: Output, remote: Remote): Promise<ExitCode> {
  const message = await remote.get(`/v1/messages/${encodeURIComponent(call.words[0] ?? '')}`)
  if (call.json) {
    out.json(message)
    return EXIT.ok
  }
  out.pairs([
    ['id', text(message['message_id'])],
    ['status', statusText(message)],
    ['channel', text(message['channel'])],
    ['sender', text(message['sender_id'])],
    ['agent', text(message['agent']) || '-'],
    ['session', text(message['session']) || '-'],
    ['attempts', text(message['attempts'])],
    ['accepted', time(message['accepted_at'])],
    ['done', time(message['done_at'])],
    ['text', payloadText(message['payload'])],
    ...rowsIn(message['steps']).map((step) => ['step', stepText(step)] as const),
    ...rowsIn(message['replies']).map(
      (reply) => ['reply', `${text(reply['text'])}${text(reply['status']) === 'sent' ? '' : ` (${text(reply['status'])})`}`] as const,
    ),
  ])
  return EXIT.ok
}

async function send(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const seconds = Number(call.text('timeout') ?? 60)
  if (!(seconds > 0 && seconds <= 300)) throw new CommandError('--timeout is a number of seconds from 1 to 300.', EXIT.usage)
  const session = call.text('session')
  const agent = call.text('agent')
  const metadata = { ...(session !== undefined && { session_id: session }), ...(agent !== undefined && { agent_id: agent }) }
  const { body } = await remote.ask('/v1/messages', {
    method: 'POST',
    headers: { 'idempotency-key': call.text('key') ?? randomUUID() },
    body: { channel_id: call.text('channel') ?? 'cli', payload: call.words[0] ?? '', metadata },
  })
  const accepted = documentIn(body)
  if (!call.has('wait')) {
    if (call.json) out.json(accepted)
    else out.line(text(accepted['message_id']))
    return EXIT.ok
  }
  const id = text(accepted['message_id'])
  const answer = await remote.ask(`/v1/messages/${id}`, { query: { wait: seconds }, timeoutMs: seconds * 1_000 + 15_000 })
  const message = documentIn(answer.body)
  if (call.json) out.json(message)
  else for (const reply of rowsIn(message['replies'])) out.line(plain(text(reply['text'])))
  if (text(message['status']) === 'done') return EXIT.ok
  if (!call.json) out.note(`${id} is ${statusText(message)}`)
  return EXIT.failed
}

function stepText(step: JsonObject): string {
  const attempts = Number(step['attempts'])
  return `${text(step['kind'])} ${text(step['name'])} ${text(step['status'])}${attempts > 1 ? ` after ${attempts} attempts` : ''}`
}

function payloadText(payload: JsonValue | undefined): string {
  const said = documentIn(payload)
  if ('text' in said) return text(said['text'])
  return 'json' in said ? JSON.stringify(said['json']) : `[${text(said['media_type'])}]`
}
