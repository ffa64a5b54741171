/**
 * The slash command: what its form says as a message, and the answer to its response URL, which only its user sees, works where the app is
 * no member, and is good for half an hour and five answers (https://docs.slack.dev/interactivity/implementing-slash-commands).
 */
import { isJsonObject } from '#contract'
import type { Inbound, JsonValue, Part, Sent } from '#contract'
import { permanent, rateLimit, unreachable } from './fault.ts'
import { placeOf, textOf } from './inbound.ts'
import type { Identity } from './inbound.ts'
import { readText } from './text.ts'

const GOOD_FOR_MS = 30 * 60_000

/** null: another command. */
export function readCommand(body: JsonValue, name: string, me: Identity, now: number): Inbound | null {
  if (!isJsonObject(body) || body['command'] !== name) return null
  const [channel, user, trigger, url] = ['channel_id', 'user_id', 'trigger_id', 'response_url'].map((member) => textOf(body[member]))
  if (!channel || !user || !trigger || !url) return null
  const place = placeOf(channel, null)
  return {
    key: `${me.team}:command:${trigger}`,
    fingerprint: null,
    // What one user asks in a channel by a command, the others do not see.
    lane: `${channel}/${user}`,
    account: me.team,
    peer: { ...place.peer, thread: `command-${user}` },
    sender: user,
    isAddressed: true,
    at: now,
    payload: { text: readText(textOf(body['text']), me.user) },
    metadata: { command: name },
    agent: null,
    reply: { ...place.reply, correlation: url, expiresAt: now + GOOD_FOR_MS },
  }
}

export async function respond({ rendered }: Part, url: string, signal: AbortSignal): Promise<Sent> {
  const body = JSON.stringify({ response_type: 'ephemeral', text: rendered.text })
  const headers = { 'content-type': 'application/json; charset=utf-8' }
  let response: Response
  try {
    response = await fetch(url, { method: 'POST', headers, body, redirect: 'error', signal })
    await response.arrayBuffer()
  } catch (error) {
    throw unreachable('The response URL of the slash command did not answer', true, error)
  }
  const { status } = response
  if (status === 200) return { id: null }
  if (status === 429) throw rateLimit('answer to a slash command', Number(response.headers.get('retry-after') ?? 10) * 1_000)
  if (status >= 500) throw unreachable(`The response URL of the slash command answered ${status}`, true)
  throw permanent(`The response URL of the slash command is used up (${status}). It is good for five answers in 30 minutes.`)
}
