/** WhatsApp as the channel suite sees it: people and a group on the fake server, and the owner's phone, which links the gateway. */
import { proto } from 'baileys'
import { FakeWhatsAppMedia } from '../../fakes/whatsapp-media.ts'
import { Person } from '../../fakes/whatsapp-person.ts'
import { FakeWhatsApp } from '../../fakes/whatsapp.ts'
import type { Verdict } from '../../fakes/whatsapp.ts'
import type { Arrived, ChannelWorld, Mishap, Saying } from '../../contract/channel-world.ts'
import type { GatewayProcess, Scope } from '../../support/gateway-process.ts'
import { eventually } from '../../support/eventually.ts'
import { readEvents } from './events.ts'
import { root } from './root.ts'

const GROUP = '120363000000000001@g.us'
const ATTACH_LIMIT_MS = 60_000
const MISHAPS: { readonly [kind in Mishap]: Verdict } = {
  permanent: { error: '404' },
  transient: { error: '503' },
  rate: { error: '429' },
  lost: { isAcked: false },
}

// The people here use libsignal too, which prints their sessions.
for (const method of ['info', 'warn', 'error'] as const) console[method] = () => {}

export async function openWhatsApp(scope: Scope): Promise<ChannelWorld> {
  const people = new Map([
    ['ann', new Person('15550002222', 'Ann')],
    ['bob', new Person('15550003333', 'Bob')],
  ])
  const fake = new FakeWhatsApp({ people: [...people.values()], root })
  const media = new FakeWhatsAppMedia()
  const settings = { kind: 'whatsapp', web_socket_url: await fake.listen(), media_url: await media.listen() }
  scope.after(async () => {
    await fake.close()
    await media.close()
  })
  fake.groups.set(GROUP, { subject: 'team', members: [...people.values(), fake.owner] })
  const said = new Map<string, { readonly person: Person; readonly text: string; readonly how: Saying }>()
  let areCredentialsRefused = false
  let kicks = 0
  const personOf = (name = 'ann'): Person => {
    const person = people.get(name)
    if (person === undefined) throw new Error(`nobody is called ${name}`)
    return person
  }
  const nameOf = (chat: string): string =>
    chat === GROUP ? 'team' : ([...people].find(([, { jid, lid }]) => jid === chat || lid === chat)?.[0] ?? chat)
  const messageOf = (text: string, { mention }: Saying): proto.IMessage =>
    mention === true
      ? { extendedTextMessage: { text: `@${fake.number} ${text}`, contextInfo: { mentionedJid: [`${fake.number}@s.whatsapp.net`] } } }
      : { conversation: text }
  const sayIt = (person: Person, text: string, how: Saying, id?: string): Promise<string> =>
    fake.say(person, text, {
      message: messageOf(text, how),
      ...(how.group === undefined ? {} : { group: GROUP }),
      ...(id === undefined ? {} : { id }),
    })

  return {
    settings,
    strangers: true,
    resend: 'id',
    secrets: ['privKey', 'rootKey', 'chainKey', 'Closing session', 'anything'],
    lacks: { rate: 'WhatsApp does not say how long to wait' },
    maxText: 4_096,
    preload: new URL('preload.ts', import.meta.url).href,
    most: 20,
    attach: async (gateway) => {
      // Linked or not: it says so, or comes to the server.
      const isOnline = async (): Promise<boolean> => {
        const state = fake.isOnline ? 'online' : await stateOf(gateway)
        if (state === 'stopped') throw new Error(gateway.output())
        if (state === 'linking') await link(gateway, fake)
        return fake.isOnline
      }
      await eventually(isOnline, () => `the login (the gateway said:\n${gateway.output()})`, ATTACH_LIMIT_MS)
      if (areCredentialsRefused) {
        fake.failure = '401'
        kicks++
        fake.kick(401)
      }
    },
    says: async (text, how = {}) => {
      const person = personOf(how.from)
      const key = await sayIt(person, text, how)
      said.set(key, { person, text, how })
      return key
    },
    redeliver: async (key) => {
      const { person, text, how } = said.get(key) ?? { person: personOf(), text: '', how: {} }
      await sayIt(person, text, how, key)
    },
    unacknowledged: () => [...fake.pending.keys()],
    arrived: () => {
      // A phone shows a message whose id it has once, and a group's once to all.
      const shown = new Map<string, Arrived>()
      for (const { id, chat, text, at } of fake.delivered) {
        if (!shown.has(id)) shown.set(id, { id, chat: nameOf(chat), text: text ?? '', raw: text ?? '', at })
      }
      return [...shown.values()]
    },
    changed: () => fake.change(),
    mishap: (kind, times = 1, after = 0) => {
      fake.verdicts.push(...Array.from({ length: after }, () => ({})), ...Array.from({ length: times }, () => MISHAPS[kind]))
    },
    cut: async () => fake.cut(),
    connections: () => fake.live,
    echo: async ({ chat, text }) => void (await fake.sayAsOwner(personOf(chat), text)),
    edit: async (key, text) => {
      const { person } = said.get(key) ?? { person: personOf() }
      const { MESSAGE_EDIT: type } = proto.Message.ProtocolMessage.Type
      const editedMessage = { conversation: text }
      await fake.say(person, text, {
        message: { protocolMessage: { type, key: { remoteJid: fake.jid, fromMe: true, id: key }, editedMessage } },
      })
    },
    garbage: async () => void (await fake.sayBytes(personOf(), Buffer.from([0xff, 0xff, 0xff]))),
    refuseCredentials: async () => {
      areCredentialsRefused = true
    },
    refusals: () => kicks + fake.count('refused'),
  }
}

async function stateOf(gateway: GatewayProcess): Promise<string> {
  const answer = await gateway.fetch('/v1/channels')
  const { data } = (await answer.json()) as { readonly data: readonly { readonly kind: string; readonly state: string }[] }
  return data.find(({ kind }) => kind === 'whatsapp')?.state ?? ''
}

/** Asks the gateway for a code, as an operator does, and scans it. */
async function link(gateway: GatewayProcess, fake: FakeWhatsApp): Promise<void> {
  const answer = await gateway.fetch('/v1/channels/wire/link', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  for await (const { event, data } of readEvents(answer)) {
    if (event === 'qr') fake.scan(String(data['data']))
    if (event === 'done') return
    if (event === 'blocked' || event === 'error') throw new Error(`it could not be linked: ${JSON.stringify(data)}`)
  }
}
