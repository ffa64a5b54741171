/** `openclaw routes`: which agent gets which message, changed while the gateway runs. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { JsonObject, JsonValue } from '#contract'
import type { Call, Command } from '../command.ts'
import { documentIn, rowsIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const routes: Command = {
  summary: 'Which agent gets which message. "set" replaces all rules by those of a JSON file; "test" sends nothing.',
  verbs: { list: '', test: '<channel>', set: '<file>', reset: '' },
  options: {
    sender: { value: 'SENDER', help: 'test: who said it' },
    account: { value: 'ACCOUNT', help: 'test: account or principal of the channel' },
    topic: { value: 'TOPIC', help: 'test: its topic' },
    header: { value: 'NAME=VALUE', help: 'test: one of its headers; may be repeated', many: 'whole' },
    metadata: { value: 'JSON', help: 'test: its metadata' },
  },
  run: async (call, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    const [word = ''] = call.words
    if (call.verb === 'test') {
      const { body } = await remote.ask('/v1/routes/test', { method: 'POST', body: messageOf(word, call) })
      const verdict = documentIn(body)
      if (call.json) out.json(verdict)
      else {
        out.line(verdict['agent'] === null ? 'No agent: a dead letter.' : `${text(verdict['agent'])} (${text(verdict['rule'])})`)
        for (const rule of rowsIn(verdict['rules'])) out.line(`  ${text(rule['rule'])} → ${text(rule['agent'])}: ${whyNot(rule)}`)
      }
      return EXIT.ok
    }
    if (call.verb === 'set') {
      const written = await readFile(resolve(world.cwd, word), 'utf8').catch((error: unknown) => {
        throw new CommandError(`The file ${word} cannot be read.`, EXIT.missing, error)
      })
      const given = jsonIn(written, word)
      const { body } = await remote.ask('/v1/routes', { method: 'PUT', body: Array.isArray(given) ? { routes: given } : given })
      if (call.json) out.json(body)
      else out.note('They are in force.')
      return EXIT.ok
    }
    if (call.verb === 'reset') {
      await remote.ask('/v1/routes', { method: 'DELETE' })
      if (call.json) out.json({ status: 'reset' })
      else out.note('The routes of openclaw.yaml are in force again.')
      return EXIT.ok
    }
    const now = await remote.get('/v1/routes')
    if (call.json) out.json(now)
    else {
      out.table(
        rowsIn(now['routes']),
        [
          { title: 'AGENT', cell: (row) => text(row['agent']) || text(documentIn(row['route'])['target']), whole: true },
          { title: 'MATCH', cell: (row) => text(row['match']) },
        ],
        'No routes.',
      )
      if (now['changed_by'] !== null) out.note(`Changed by ${text(now['changed_by'])} at ${text(now['changed_at'])}.`)
    }
    return EXIT.ok
  },
}

/** @throws CommandError naming what is no JSON */
export function jsonIn(written: string, name: string): JsonValue {
  try {
    return JSON.parse(written) as JsonValue
  } catch (error) {
    throw new CommandError(`${name} is no JSON.`, EXIT.usage, error)
  }
}

function messageOf(channel: string, call: Call): JsonObject {
  const metadata = call.text('metadata')
  const headers = call.texts('header').map((pair): readonly [string, string] => {
    const at = pair.indexOf('=')
    if (at < 1) throw new CommandError(`--header ${pair}: expected NAME=VALUE.`, EXIT.usage)
    return [pair.slice(0, at), pair.slice(at + 1)]
  })
  const given = ['sender', 'account', 'topic'].flatMap((name) => {
    const value = call.text(name)
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    channel,
    ...Object.fromEntries(given),
    ...(headers.length > 0 && { headers: Object.fromEntries(headers) }),
    ...(metadata !== undefined && { metadata: jsonIn(metadata, '--metadata') }),
  }
}

function whyNot(rule: JsonObject): string {
  if (rule['matches'] === true) return 'matches'
  return rowsIn(rule['failed'])
    .map(({ condition, expected }) => `${text(condition)} is not ${text(expected)}`)
    .join(', ')
}
