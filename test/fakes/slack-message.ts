/**
 * Messages of the stand-in for Slack and the events that tell of them, member by member as Slack's: one post that mentions the app
 * comes as `message` and as `app_mention`, with different event ids. Imports nothing of ours.
 */
import { randomUUID } from 'node:crypto'

export interface FakeFile {
  readonly id: string
  readonly name: string
  readonly mimetype: string
  readonly size: number
  readonly url_private: string
  readonly url_private_download: string
}

export interface FakeMessage {
  readonly type: 'message'
  readonly subtype?: string
  readonly channel: string
  readonly user?: string
  readonly bot_id?: string
  readonly app_id?: string
  readonly text: string
  readonly ts: string
  readonly thread_ts?: string
  readonly parent_user_id?: string
  readonly client_msg_id?: string
  readonly files?: readonly FakeFile[]
  readonly metadata?: unknown
  readonly edited?: { readonly user: string; readonly ts: string }
}

export interface Identity {
  readonly team: string
  readonly app: string
  readonly botUser: string
  readonly bot: string
}

/** The kind by the first letter, as Slack's ids have it. */
export const channelType = (channel: string): string => (channel.startsWith('D') ? 'im' : channel.startsWith('G') ? 'mpim' : 'channel')

export function eventBody({ team, app, botUser }: Identity, event: object, ts: string): object {
  return {
    token: 'verification',
    team_id: team,
    context_team_id: team,
    context_enterprise_id: null,
    api_app_id: app,
    event,
    type: 'event_callback',
    event_id: `Ev${randomUUID().replaceAll('-', '').slice(0, 10).toUpperCase()}`,
    event_time: Math.floor(Number(ts)),
    authorizations: [{ enterprise_id: null, team_id: team, user_id: botUser, is_bot: true, is_enterprise_install: false }],
    is_ext_shared_channel: false,
    event_context: `4-${randomUUID()}`,
  }
}

/** The events that Slack sends for a new message: one, or two where it mentions the app in a channel. */
export function messageEvents(identity: Identity, message: FakeMessage): readonly object[] {
  const { metadata: _hidden, ...visible } = message
  const base = { ...visible, team: identity.team, event_ts: message.ts }
  const events: object[] = [{ ...base, channel_type: channelType(message.channel) }]
  const isMention = message.text.includes(`<@${identity.botUser}>`) && !message.channel.startsWith('D') && message.bot_id === undefined
  if (isMention) {
    const { subtype: _none, parent_user_id: _absent, ...mention } = base
    events.push({ ...mention, type: 'app_mention' })
  }
  return events.map((event) => eventBody(identity, event, message.ts))
}

export function editEvent(identity: Identity, now: FakeMessage, before: FakeMessage, ts: string): object {
  const { channel, ...message } = now
  const { channel: _same, ...previous_message } = before
  const event = { type: 'message', subtype: 'message_changed', message, previous_message, channel, hidden: true, ts, event_ts: ts }
  return eventBody(identity, { ...event, channel_type: channelType(channel) }, ts)
}

export function deleteEvent(identity: Identity, message: FakeMessage, ts: string): object {
  const { channel, ...previous_message } = message
  const event = {
    type: 'message',
    subtype: 'message_deleted',
    previous_message,
    channel,
    hidden: true,
    deleted_ts: message.ts,
    ts,
    event_ts: ts,
  }
  return eventBody(identity, { ...event, channel_type: channelType(channel) }, ts)
}

export interface FakeCommand {
  readonly command: string
  readonly text: string
  readonly user: string
  readonly channel: string
  readonly responseUrl: string
}

export function commandPayload(
  { team, app }: Identity,
  { command, text, user, channel, responseUrl }: FakeCommand,
): { [name: string]: string } {
  return {
    token: 'verification',
    team_id: team,
    team_domain: 'fake',
    channel_id: channel,
    channel_name: channel.startsWith('D') ? 'directmessage' : 'general',
    user_id: user,
    user_name: user.toLowerCase(),
    command,
    text,
    api_app_id: app,
    is_enterprise_install: 'false',
    response_url: responseUrl,
    trigger_id: `${Date.now()}.${randomUUID()}`,
  }
}

/** Whom a text calls, as Slack reads it: escapes always, plain `@channel` only where names are looked for. */
export function called(text: string, looksForNames: boolean): readonly string[] {
  const marked = [...text.matchAll(/<!(channel|here|everyone|subteam)\b[^>]*>|<@([UW][A-Z0-9]+)[^>]*>/g)].map(
    ([, group, user]) => group ?? user ?? '',
  )
  const plain = looksForNames ? [...text.matchAll(/@(channel|here|everyone)\b/g)].map(([, group]) => group ?? '') : []
  return [...marked, ...plain]
}
