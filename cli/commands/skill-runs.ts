/** `openclaw skills runs|run|logs|cancel`: what became of calls. */
import type { JsonObject } from '#contract'
import { age, time } from '../answer.ts'
import type { Call, World } from '../command.ts'
import { documentIn, text } from '../document.ts'
import { EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { plain } from '../output.ts'
import type { Output } from '../output.ts'
import type { RemoteEvent } from '../event-lines.ts'
import { Remote } from '../remote.ts'
import { runPath } from '../skill-path.ts'

export async function runs(call: Call, world: World): Promise<ExitCode> {
  const { out } = world
  const remote = await Remote.find(world)
  const query = { skill: call.words[0], status: call.text('status'), limit: call.text('limit') ?? 20 }
  const { page, rows, hasMore } = await remote.list('/v1/runs', query)
  const now = Date.now()
  if (call.json) out.json(page)
  else {
    out.table(
      rows,
      [
        { title: 'RUN', cell: (row) => text(row['id']), whole: true },
        { title: 'STATUS', cell: (row) => text(row['status']), whole: true },
        { title: 'AGE', cell: (row) => age(row['created_at'], now), whole: true },
        { title: 'SKILL', cell: (row) => `${text(row['skill'])} ${text(row['version'])}` },
        { title: 'WHY', cell: (row) => text(documentIn(row['error'])['code']) || '-' },
      ],
      'No runs.',
    )
    if (hasMore) out.note('There are more; see --limit, or --json for the cursor.')
  }
  return EXIT.ok
}

export async function run(call: Call, world: World): Promise<ExitCode> {
  const { out } = world
  const found = await (await Remote.find(world)).get(runPath(call.words[0] ?? ''))
  if (call.json) out.json(found)
  else {
    const error = documentIn(found['error'])
    const times = documentIn(found['times'])
    out.pairs([
      ['run', text(found['id'])],
      ['skill', `${text(found['skill'])} ${text(found['version'])}`],
      ['status', `${text(found['status'])}${found['error'] ? ` (${text(error['code'])}: ${text(error['message'])})` : ''}`],
      ['attempts', text(found['attempts'])],
      ['began', time(found['started_at'])],
      ['ended', time(found['ended_at'])],
      [
        'times',
        Object.entries(times)
          .map(([name, ms]) => `${name.replace('_ms', '')} ${text(ms)} ms`)
          .join(', ') || '-',
      ],
      ['input', JSON.stringify(found['input'] ?? null, null, 2)],
      ['output', found['error'] ? '-' : JSON.stringify(found['output'] ?? null, null, 2)],
    ])
  }
  return EXIT.ok
}

export async function logs(call: Call, world: World): Promise<ExitCode> {
  const id = call.words[0] ?? ''
  const remote = await Remote.find(world)
  if (call.has('follow')) return await printEvents(call, world.out, remote.events(`${runPath(id)}/events`))
  const logs = await remote.text(`${runPath(id)}/logs`)
  if (call.json) world.out.json({ id, logs })
  else if (logs !== '') world.out.line(plain(logs).trimEnd())
  else world.out.note('It wrote nothing.')
  return EXIT.ok
}

export async function cancel(call: Call, world: World): Promise<ExitCode> {
  const id = call.words[0] ?? ''
  const { body } = await (await Remote.find(world)).ask(`${runPath(id)}/cancel`, { method: 'POST' })
  if (call.json) world.out.json(body)
  else world.out.note(`${id} is told to stop.`)
  return EXIT.ok
}

/** What a run tells until it ends; then its output. Ends with 1 when it failed, or when nobody said how it ended. */
export async function printEvents(call: Call, out: Output, events: AsyncIterable<RemoteEvent>): Promise<ExitCode> {
  let end: JsonObject | null = null
  for await (const { event, data } of events) {
    if (call.json) out.json({ event, ...data })
    else if (event === 'skill.log') out.note(plain(text(data['text'])).trimEnd())
    else if (event === 'skill.progress') out.note(plain(JSON.stringify(data['data'] ?? null)))
    if (event === 'skill.result') end = data
  }
  const error = documentIn(end?.['error'])
  if (end !== null && !('error' in end)) {
    if (!call.json) out.json(end['output'] ?? null)
    return EXIT.ok
  }
  if (!call.json)
    out.note(end === null ? 'How it ended was not told.' : `It failed: ${plain(`${text(error['code'])}: ${text(error['message'])}`)}`)
  return EXIT.failed
}
