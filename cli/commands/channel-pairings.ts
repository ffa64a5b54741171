/** `openclaw channels pairings|grants|revoke`: strangers who ask to be let in, and senders who were. */
import type { JsonObject } from '#contract'
import { age, time } from '../answer.ts'
import { channelPath } from '../channel-path.ts'
import { misspelt } from '../command.ts'
import type { Call } from '../command.ts'
import { documentIn, text, wordsIn } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import type { Output } from '../output.ts'
import type { Remote } from '../remote.ts'

const ACTIONS = ['list', 'approve', 'deny']

export async function pairings(call: Call, out: Output, remote: Remote): Promise<ExitCode> {
  const [action = 'list', name, code] = call.words
  if (!ACTIONS.includes(action)) throw misspelt(`no command "pairings ${action}"`, 'openclaw channels', action, ACTIONS)
  if (action === 'list') return list(call, out, name === undefined ? await all(remote) : await of(remote, name))
  if (name === undefined || code === undefined)
    throw new CommandError(`Channel or code is missing. Usage: openclaw channels pairings ${action} <name> <code>`, EXIT.usage)
  const path = `${channelPath(name)}/pairings/${encodeURIComponent(code)}`
  if (action === 'deny') {
    await remote.ask(path, { method: 'DELETE' })
    if (call.json) out.json({ channel: name, code, status: 'denied' })
    else out.note(`${code} is denied.`)
    return EXIT.ok
  }
  const grant = documentIn((await remote.ask(`${path}/approve`, { method: 'POST' })).body)
  if (call.json) out.json(grant)
  else out.note(`${text(grant['sender'])} may write to ${name} now.`)
  return EXIT.ok
}

export async function grants(call: Call, out: Output, remote: Remote): Promise<ExitCode> {
  const { page, rows } = await remote.list(`${channelPath(call.words[0] ?? '')}/grants`)
  if (call.json) out.json(page)
  else {
    out.table(
      rows,
      [
        { title: 'SENDER', cell: (row) => text(row['sender']), whole: true },
        { title: 'SINCE', cell: (row) => time(row['since']), whole: true },
        { title: 'BY', cell: (row) => text(row['by']) },
        { title: 'ALSO', cell: (row) => wordsIn(row['aliases']).join(' ') },
      ],
      'Nobody was let in by a code.',
    )
  }
  return EXIT.ok
}

export async function revoke(call: Call, out: Output, remote: Remote): Promise<ExitCode> {
  const [name = '', sender = ''] = call.words
  await remote.ask(`${channelPath(name)}/grants/${encodeURIComponent(sender)}`, { method: 'DELETE' })
  if (call.json) out.json({ channel: name, sender, status: 'revoked' })
  else out.note(`${sender} may not write to ${name} any more, unless the configuration allows it.`)
  return EXIT.ok
}

async function all(remote: Remote): Promise<readonly JsonObject[]> {
  const { rows } = await remote.list('/v1/channels')
  const asked = rows.filter((row) => Number(row['open_pairings']) > 0).map((row) => of(remote, text(row['name'])))
  return (await Promise.all(asked)).flat()
}

async function of(remote: Remote, channel: string): Promise<readonly JsonObject[]> {
  const { rows } = await remote.list(`${channelPath(channel)}/pairings`)
  return rows.map((row) => ({ channel, ...row }))
}

function list({ json }: Call, out: Output, rows: readonly JsonObject[]): ExitCode {
  const now = Date.now()
  if (json) out.json({ data: rows, cursor: null })
  else {
    out.table(
      rows,
      [
        { title: 'CHANNEL', cell: (row) => text(row['channel']), whole: true },
        { title: 'CODE', cell: (row) => text(row['code']), whole: true },
        { title: 'AGE', cell: (row) => age(row['created_at'], now), whole: true },
        { title: 'SENDER', cell: (row) => text(row['sender']) },
        { title: 'ALSO', cell: (row) => wordsIn(row['aliases']).join(' ') },
      ],
      'Nobody asks to be let in.',
    )
  }
  return EXIT.ok
}
