/** The adapter alone, between a hub in memory and the stand-in for Slack. */
import assert from 'node:assert/strict'
import { newDeliveryId } from '#contract'
import type { Address, Channel, ChannelState, Inbound, JsonObject, Part } from '#contract'
import { slack } from '../../../channels/slack/slack.ts'
import { FakeSlack } from '../../fakes/slack.ts'
import type { FakeSlackOptions } from '../../fakes/slack.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { RouteServer } from '../../support/route-server.ts'

/** Reconnects at once, and remembers what it was told. */
export class SlackHost extends MemoryHost {
  readonly told: { readonly state: ChannelState; readonly reason: string | undefined }[] = []
  /** Attempts that were waited for. */
  readonly waits: number[] = []
  #told: () => void = () => undefined

  override status(state: ChannelState, reason?: string): void {
    super.status(state)
    this.told.push({ state, reason })
    this.#told()
  }

  override backoff(attempt: number): Promise<void> {
    this.waits.push(attempt)
    return Promise.resolve()
  }

  get state(): ChannelState | undefined {
    return this.told.at(-1)?.state
  }

  /** Resolves when the state is this one. */
  async reached(state: ChannelState): Promise<string | undefined> {
    while (this.state !== state) await new Promise<void>((resolve) => (this.#told = resolve))
    return this.told.at(-1)?.reason
  }

  /** What was handed in as messages and not as an echo of ours. */
  get said(): readonly Inbound[] {
    return this.handed.filter(({ author }) => author !== 'self')
  }
}

export interface Harness {
  readonly fake: FakeSlack
  readonly host: SlackHost
  readonly channel: Channel
  /** Where events are posted to over HTTP. */
  readonly eventsUrl: string
  readonly start: () => Promise<void>
  /** Ends everything, and checks that nothing is left. */
  readonly close: () => Promise<void>
}

export interface HarnessOptions extends FakeSlackOptions {
  readonly settings?: JsonObject
  readonly isHttp?: boolean
}

const QUICK = { ackMs: 150, retryDelaysMs: Array.from({ length: 50 }, () => 20) }

export async function openHarness({ settings = {}, isHttp = false, retry = QUICK, ...options }: HarnessOptions = {}): Promise<Harness> {
  const fake = new FakeSlack({ retry, ...options })
  await fake.listen()
  const way = isHttp ? { signing_secret: fake.signingSecret } : { app_token: fake.appToken }
  const channel = slack.create('support', { bot_token: fake.botToken, ...way, api_url: fake.apiUrl, ...settings })
  const host = new SlackHost('support')
  const server = await RouteServer.open(channel)
  const eventsUrl = `http://${server.origin}/v1/channels/support/events`
  if (isHttp) fake.requests.url = eventsUrl
  const stop = new AbortController()
  return {
    fake,
    host,
    channel,
    eventsUrl,
    start: () => channel.start(host, stop.signal),
    close: async () => {
      stop.abort()
      await channel.stop()
      assert.equal(host.clock.pending, 0, 'a timer is left')
      await fake.until(() => fake.socket.live === 0, 'the socket closed')
      await server.close()
      await fake.close()
    },
  }
}

export function part(text: string, to: Address, over: Partial<Part> = {}): Part {
  const id = newDeliveryId(Date.now())
  return { id, seq: 1, messageId: null, lane: to.chat, to, rendered: { text }, index: 0, of: 1, attempt: 1, ...over }
}

export const never: AbortSignal = new AbortController().signal
