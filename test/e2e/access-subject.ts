/**
 * The real gateway with one more kind of channel, `club`: a platform in memory that strangers can write to. People on it are moved over
 * routes that the channel lends: what somebody says, and what was sent to them.
 */
import { isJsonObject } from '#contract'
import type { Channel, ChannelHost, ChannelKind, Inbound, JsonObject, JsonValue, LinkStep, Media, Part, Route } from '#contract'
import { run } from '../../gateway/run.ts'

class Club implements Channel {
  readonly capabilities: Channel['capabilities'] = {
    delivery: 'push',
    resend: 'id',
    text: { max: 2_000, unit: 'utf16', dialect: null },
    strangers: true,
    typingMs: null,
    threads: false,
    groups: true,
    media: true,
  }
  readonly #greeting: JsonValue
  readonly #sent: Part[] = []
  #host: ChannelHost | null = null
  #isPaused = false

  constructor(greeting: JsonValue) {
    this.#greeting = greeting
  }

  async start(host: ChannelHost): Promise<void> {
    this.#host = host
  }
  async stop(): Promise<void> {
    this.#host = null
  }
  async send(part: Part): Promise<{ id: string }> {
    this.#sent.push(part)
    return { id: `club-${part.id}` }
  }
  pause(): void {
    this.#isPaused = true
  }
  resume(): void {
    this.#isPaused = false
  }
  async media(): Promise<Media> {
    return { bytes: Buffer.from('<script>alert(1)</script>'), mediaType: 'text/html' }
  }
  async *link(): AsyncGenerator<LinkStep> {
    yield { show: 'qr', data: 'join the club' }
    yield { show: 'done', as: 'club' }
  }

  readonly routes: readonly Route[] = [
    {
      method: 'POST',
      path: '/v1/club/says',
      permission: 'messages:write',
      summary: 'Somebody says it',
      tag: 'club',
      body: { type: 'object' },
      responses: { 200: { description: 'What became of it.' } },
      handle: async ({ body }) => {
        const accepted = this.#isPaused ? { status: 'paused' } : await this.#host?.accept(inboundOf(isJsonObject(body) ? body : {}))
        const { status = 'closed' } = accepted ?? {}
        return {
          status: 200,
          body: {
            status,
            reason: accepted !== undefined && 'reason' in accepted ? accepted.reason : null,
            id: accepted !== undefined && 'envelope' in accepted ? accepted.envelope.id : null,
          },
        }
      },
    },
    {
      method: 'GET',
      path: '/v1/club/sent',
      permission: 'messages:read',
      summary: 'What was sent',
      tag: 'club',
      responses: { 200: { description: 'All of it.' } },
      handle: () => ({
        status: 200,
        body: {
          greeting: this.#greeting,
          sent: this.#sent.map(({ id, to, rendered }) => ({ id, chat: to.chat, text: rendered.text })),
        },
      }),
    },
  ]
}

function inboundOf(said: JsonObject): Inbound {
  const word = (name: string): string | null => {
    const value = said[name]
    return typeof value === 'string' ? value : null
  }
  const sender = word('sender') ?? 'nobody'
  const group = word('group')
  return {
    key: word('key'),
    fingerprint: null,
    lane: group ?? sender,
    account: 'club',
    peer: { kind: group === null ? 'direct' : 'group', id: group ?? sender, thread: null },
    sender,
    isAddressed: said['mention'] === true,
    at: 1,
    payload: { text: word('text') ?? '' },
    metadata: { media: [{ id: 'm1', media_type: 'text/html' }] },
    agent: null,
    reply: { chat: group ?? sender },
  }
}

const club: ChannelKind = {
  schema: { type: 'object', additionalProperties: false, properties: { greeting: { type: 'string', default: 'welcome' } } },
  create: (_, { greeting }) => new Club(greeting ?? null),
}

const running = await run({
  env: process.env,
  print: (line) => process.stdout.write(`${line}\n`),
  around: { channels: { club: async () => club } },
})
process.once('SIGTERM', () => void running.stop())
