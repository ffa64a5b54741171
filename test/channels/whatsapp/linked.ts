/** A WhatsApp account over the fake server, in this process: started, linked by QR code, and closed after the test. */
import type { TestContext } from 'node:test'
import { asDeliveryId, asMessageId } from '#contract'
import type { Address, Channel, LinkRequest, LinkStep, Part } from '#contract'
import { whatsapp } from '../../../channels/whatsapp/whatsapp.ts'
import { FakeWhatsAppMedia } from '../../fakes/whatsapp-media.ts'
import { Person } from '../../fakes/whatsapp-person.ts'
import { FakeWhatsApp } from '../../fakes/whatsapp.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { root, trustRoot } from './root.ts'

// Baileys bounds its waits by timers that it leaves running when the connection ends, and a test process would stay for them.
const setTimer = globalThis.setTimeout
globalThis.setTimeout = Object.assign((...given: Parameters<typeof setTimer>) => {
  const timer = setTimer(...given)
  return given[1] === 30_000 || given[1] === 20_000 ? timer.unref() : timer
}, setTimer)

export interface Linked {
  readonly fake: FakeWhatsApp
  readonly media: FakeWhatsAppMedia
  readonly host: MemoryHost
  readonly alice: Person
  readonly bob: Person
  /** The present one. */
  readonly channel: () => Channel
  /** A new channel over the same state, as after a restart of the gateway; resolves when its `start` does. */
  readonly restart: () => Promise<Channel>
  /** Begins linking and does what the phone's owner would do; all steps. */
  readonly link: (request?: LinkRequest) => Promise<readonly LinkStep[]>
  /** Resolves when so many messages were handed in. */
  readonly heard: (count: number) => Promise<void>
}

/** Everything up to the point where somebody has to take the phone. */
export async function unlinked(t: TestContext, options: { readonly maxAgeDays?: number } = {}): Promise<Linked> {
  trustRoot()
  const host = new MemoryHost('wa')
  const [alice, bob] = [new Person('15550002222', 'Alice'), new Person('15550003333', 'Bob')]
  const fake = new FakeWhatsApp({ people: [alice, bob], root, now: () => host.clock.now() })
  const media = new FakeWhatsAppMedia()
  const settings = {
    web_socket_url: await fake.listen(),
    media_url: await media.listen(),
    max_age_days: options.maxAgeDays ?? 14,
  }
  let channel = whatsapp.create('wa', settings)
  let end = new AbortController()
  t.after(async () => {
    end.abort()
    await channel.stop()
    await fake.close()
    await media.close()
  })
  const restart = async (): Promise<Channel> => {
    end.abort()
    await channel.stop()
    end = new AbortController()
    channel = whatsapp.create('wa', settings)
    await channel.start(host, end.signal)
    return channel
  }
  await channel.start(host, end.signal)
  const link = async (request: LinkRequest = { phone: null }): Promise<readonly LinkStep[]> => {
    const steps: LinkStep[] = []
    for await (const step of channel.link?.(request, AbortSignal.timeout(10_000)) ?? []) {
      steps.push(step)
      if (step.show === 'qr') fake.scan(step.data)
      if (step.show === 'code') await fake.typeCode(step.data)
    }
    return steps
  }
  const heard = async (count: number): Promise<void> => {
    const bound = AbortSignal.timeout(10_000)
    const late = new Promise<never>((_, reject) => {
      bound.addEventListener('abort', () => reject(new Error(`only ${host.handed.length} of ${count} messages were handed in`)))
    })
    await Promise.race([host.handedIn(count), late])
  }
  return { fake, media, host, alice, bob, channel: () => channel, restart, link, heard }
}

export async function linked(t: TestContext, options: { readonly maxAgeDays?: number } = {}): Promise<Linked> {
  const world = await unlinked(t, options)
  await world.link()
  return world
}

let parts = 0
export const partTo = (to: Address, text: string, id = `dlv-${++parts}`): Part => ({
  id: asDeliveryId(id),
  seq: parts,
  messageId: asMessageId('msg-1'),
  lane: to.chat,
  to,
  rendered: { text },
  index: 0,
  of: 1,
  attempt: 1,
})

export const signal = (): AbortSignal => AbortSignal.timeout(10_000)
