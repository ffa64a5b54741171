/** `openclaw channels`: how they do, and what an operator does with them. Linking, testing and pairing stand beside this file. */
import type { JsonObject } from '#contract'
import { age, time } from '../answer.ts'
import { channelPath } from '../channel-path.ts'
import type { Call, Command } from '../command.ts'
import { documentIn, text, wordsIn } from '../document.ts'
import { EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import type { Output } from '../output.ts'
import { Remote } from '../remote.ts'
import { link } from './channel-link.ts'
import { grants, pairings, revoke } from './channel-pairings.ts'
import { test } from './channel-test.ts'

export const channels: Command = {
  summary: 'Channels: by what ways messages come and go, how those do, and who may write.',
  verbs: {
    list: '',
    status: '<name>',
    pause: '<name>',
    resume: '<name>',
    link: '<name>',
    test: '<name>',
    pairings: '[list|approve|deny] [name] [code]',
    grants: '<name>',
    revoke: '<name> <sender>',
  },
  options: {
    phone: { value: 'NUMBER', help: 'link: by a code that is typed into this phone, instead of one that it scans' },
    to: { value: 'CHAT', help: 'test: send a message there and wait for what becomes of it' },
    thread: { value: 'ID', help: 'test: in this thread of it' },
    text: { value: 'WORDS', help: 'test: what to say' },
    timeout: { value: 'SECONDS', help: 'test: how long to wait (60, at most 300)' },
  },
  run: async (call, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    const name = call.words[0] ?? ''
    switch (call.verb) {
      case 'status':
        return status(call, out, await remote.get(channelPath(name)))
      case 'pause':
      case 'resume': {
        const { body } = await remote.ask(`${channelPath(name)}/${call.verb}`, { method: 'POST' })
        if (call.json) out.json(body)
        else out.note(call.verb === 'pause' ? `${name} is paused: it takes nothing in until it is resumed.` : `${name} takes in again.`)
        return EXIT.ok
      }
      case 'link':
        return link(call, world, remote)
      case 'test':
        return test(call, world, remote)
      case 'pairings':
        return pairings(call, out, remote)
      case 'grants':
        return grants(call, out, remote)
      case 'revoke':
        return revoke(call, out, remote)
      default:
        return list(call, out, remote)
    }
  },
}

async function list({ json }: Call, out: Output, remote: Remote): Promise<ExitCode> {
  const { page, rows } = await remote.list('/v1/channels')
  const now = Date.now()
  if (json) out.json(page)
  else {
    out.table(
      rows,
      [
        { title: 'NAME', cell: (row) => text(row['name']), whole: true },
        { title: 'KIND', cell: (row) => text(row['kind']) },
        { title: 'STATE', cell: stateText, whole: true },
        { title: 'LAST IN', cell: (row) => age(row['last_inbound_at'], now) },
        { title: 'LAST OUT', cell: (row) => age(row['last_sent_at'], now) },
        { title: 'WHY', cell: (row) => text(row['reason']) },
      ],
      'No channels.',
    )
    const asking = rows.filter((row) => Number(row['open_pairings']) > 0).map((row) => text(row['name']))
    if (asking.length > 0) out.note(`Strangers ask to be let in on ${asking.join(', ')}; see "openclaw channels pairings".`)
  }
  return EXIT.ok
}

const stateText = (channel: JsonObject): string => `${text(channel['state'])}${channel['paused'] === true ? ', paused' : ''}`

function status({ json }: Call, out: Output, channel: JsonObject): ExitCode {
  if (json) out.json(channel)
  else {
    const can = documentIn(channel['capabilities'])
    out.pairs([
      ['name', text(channel['name'])],
      ['kind', text(channel['kind'])],
      ['state', stateText(channel)],
      ['reason', text(channel['reason']) || '-'],
      ['last in', time(channel['last_inbound_at'])],
      ['last out', time(channel['last_sent_at'])],
      ['replies', channel['delivery'] === 'collect' ? 'fetched by clients' : 'sent'],
      ['can', ['groups', 'threads', 'media', 'typing', 'link'].filter((each) => can[each] === true).join(', ') || '-'],
      ...accessPairs(channel),
    ])
  }
  return EXIT.ok
}

function accessPairs(channel: JsonObject): readonly (readonly [string, string])[] {
  if (!channel['access']) return [['access', 'by keys or the broker, no stranger reaches it']]
  const access = documentIn(channel['access'])
  const allowed = wordsIn(access['allow']).length
  const groups = wordsIn(access['group_allow']).length
  const mention = access['require_mention'] === true ? ', when it is mentioned' : ''
  return [
    ['access', `${text(access['access'])}, ${allowed} on the list`],
    ['groups', `${text(access['group_access'])}, ${groups} on the list${mention}`],
    ['bots', text(access['bots'])],
    ['pairings', `${text(channel['open_pairings'])} open`],
  ]
}
