/** `openclaw status`: how the gateway does, on one page. */
import { age } from '../answer.ts'
import type { Command } from '../command.ts'
import { documentIn, rowsIn, text } from '../document.ts'
import { EXIT } from '../exit.ts'
import { Remote } from '../remote.ts'

export const status: Command = {
  summary: 'How the gateway does. Ends with 1 when it cannot take messages.',
  verbs: { '': '' },
  run: async ({ json }, world) => {
    const { out } = world
    const remote = await Remote.find(world)
    const [version, readiness] = await Promise.all([remote.get('/version'), remote.ask('/readyz', { also: [503] })])
    const [channels, agents, letters] = await Promise.all([
      remote.list('/v1/channels'),
      remote.list('/v1/agents'),
      remote.list('/v1/dead-letters', { status: 'open', limit: 200 }),
    ])
    const ready = documentIn(readiness.body)
    const isReady = readiness.status === 200
    const { url, pid, startedAt } = remote.place
    if (json) {
      const process = pid === null ? {} : { pid, started_at: startedAt === null ? null : new Date(startedAt).toISOString() }
      const lists = { channels: channels.rows, agents: agents.rows, dead_letters: letters.rows.length, dead_letters_more: letters.hasMore }
      out.json({ url, ...process, version: version['version'] ?? null, ready: isReady, parts: ready['parts'] ?? [], ...lists })
      return isReady ? EXIT.ok : EXIT.failed
    }
    const now = Date.now()
    const troubled = rowsIn(ready['parts']).filter((part) => part['ok'] === false)
    out.pairs([
      [
        'gateway',
        `${url}${pid === null ? '' : ` (process ${pid}${startedAt === null ? '' : `, for ${age(new Date(startedAt).toISOString(), now)}`})`}`,
      ],
      ['version', text(version['version'])],
      ['ready', isReady ? 'yes' : 'no'],
      ...troubled.map((part) => [text(part['name']), text(part['detail']) || 'not well'] as const),
      ...channels.rows.map(
        (row) => ['channel', `${text(row['name'])} ${text(row['state'])}${row['reason'] ? `: ${text(row['reason'])}` : ''}`] as const,
      ),
      ...agents.rows.map(
        (row) => ['agent', `${text(row['name'])} ${rowsOrWords(row['models'])}, ${text(row['running_turns'])} running`] as const,
      ),
      ['dead letters', deadLetterText(letters.rows.length, letters.hasMore)],
    ])
    return isReady ? EXIT.ok : EXIT.failed
  },
}

const rowsOrWords = (models: unknown): string =>
  Array.isArray(models) && models.length > 0 ? `with ${models.join(', ')}` : 'without a model'

function deadLetterText(count: number, hasMore: boolean): string {
  if (count === 0) return 'none'
  return `${count}${hasMore ? ' or more' : ''} open; see "openclaw dead-letters"`
}
