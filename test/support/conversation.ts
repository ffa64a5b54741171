/** What a client of the HTTP API does, for tests of the whole gateway: says something, and waits for what becomes of it. */
import assert from 'node:assert/strict'
import type { GatewayProcess } from './gateway-process.ts'

export interface MessageDocument {
  readonly message_id: string
  readonly status: string
  readonly agent: string | null
  readonly attempts: number
  readonly reason: { readonly code: string; readonly message: string } | null
  readonly payload: { readonly text?: string }
  readonly metadata: { readonly [name: string]: unknown }
  readonly replies: readonly { readonly seq: number; readonly text: string }[]
  readonly steps: readonly { readonly name: string; readonly kind: string; readonly status: string; readonly attempts: number }[]
}

export interface Problem {
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[]
}

/** `body` is sent as it stands if it is text. */
export function post(
  gateway: GatewayProcess,
  path: string,
  body: unknown,
  headers: { readonly [name: string]: string } = {},
): Promise<Response> {
  return gateway.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

/** The id, once the gateway has acknowledged it. */
export async function say(gateway: GatewayProcess, text: string, user = 'ann'): Promise<string> {
  const answer = await post(gateway, '/v1/messages', { payload: text, metadata: { user_id: user } })
  assert.equal(answer.status, 202, await answer.clone().text())
  return ((await answer.json()) as MessageDocument).message_id
}

/** The message when it is done or dead. */
export async function ended(gateway: GatewayProcess, id: string, withinMs = 20_000): Promise<MessageDocument> {
  for (const until = Date.now() + withinMs; ;) {
    const seconds = Math.max(0, Math.min(20, (until - Date.now()) / 1_000))
    const document = (await (await gateway.fetch(`/v1/messages/${id}?wait=${seconds}`)).json()) as MessageDocument
    if (document.status === 'done' || document.status === 'dead') return document
    assert.ok(Date.now() < until, `${id} is still ${document.status} after ${withinMs} ms: ${JSON.stringify(document.reason)}`)
  }
}

/** Says it and waits for its one reply. */
export async function answerTo(gateway: GatewayProcess, text: string, user?: string): Promise<string> {
  const { status, reason, replies } = await ended(gateway, await say(gateway, text, user))
  assert.equal(status, 'done', JSON.stringify(reason))
  assert.equal(replies.length, 1)
  return replies[0]?.text ?? ''
}

/** All of them, newest first. */
export async function everyMessage(gateway: GatewayProcess): Promise<readonly MessageDocument[]> {
  const found: MessageDocument[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await gateway.fetch(`/v1/messages?limit=200${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`)
    const body = (await page.json()) as { readonly data: readonly MessageDocument[]; readonly cursor: string | null }
    found.push(...body.data)
    cursor = body.cursor
  }
  return found
}

export async function problemOf(response: Response): Promise<Problem> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  return (await response.json()) as Problem
}

/** The first sample of a metric. */
export async function metric(gateway: GatewayProcess, name: string): Promise<number> {
  const text = await (await gateway.fetch('/api/metrics')).text()
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1])
}
