/** `openclaw skills list|show|versions`: what is registered. */
import type { JsonObject } from '#contract'
import { age } from '../answer.ts'
import type { Call, World } from '../command.ts'
import { documentIn, rowsIn, text, wordsIn } from '../document.ts'
import { EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { Remote } from '../remote.ts'
import { skillPath } from '../skill-path.ts'

export async function list(call: Call, world: World): Promise<ExitCode> {
  const { out } = world
  const remote = await Remote.find(world)
  const version = call.text('version')
  const { page, rows, hasMore } = await remote.list('/v1/skills', { q: call.words[0], version, limit: call.text('limit') ?? 20 })
  if (call.json) out.json(page)
  else {
    out.table(
      rows,
      [
        { title: 'ID', cell: (row) => text(row['id']), whole: true },
        { title: 'VERSION', cell: (row) => text(row['match']) || text(documentIn(row['current'])['version']) || 'disabled', whole: true },
        { title: 'LANGUAGE', cell: (row) => text(documentIn(row['current'])['language']) || '-', whole: true },
        { title: 'EFFECT', cell: (row) => text(documentIn(row['current'])['effect']) || '-', whole: true },
        { title: 'DESCRIPTION', cell: (row) => text(documentIn(row['current'])['description']) },
      ],
      'No skills. "openclaw skills init <folder>" begins one.',
    )
    if (hasMore) out.note('There are more; see --limit, or --json for the cursor.')
  }
  return EXIT.ok
}

export async function show(call: Call, world: World): Promise<ExitCode> {
  const { out } = world
  const remote = await Remote.find(world)
  const skill = await remote.get(skillPath(call.words[0] ?? ''))
  if (call.json) {
    out.json(skill)
    return EXIT.ok
  }
  const current = documentIn(skill['current'])
  const isCallable = skill['current'] !== null
  out.pairs([
    ['id', text(skill['id'])],
    ['version', isCallable ? text(current['version']) : 'none is enabled'],
    ...(isCallable ? aboutPairs(current) : []),
    ['versions', wordsIn(skill['versions']).join(', ')],
    ...rowsIn(skill['tracks']).map((track) => [`major ${text(track['major'])}`, trackText(track)] as const),
  ])
  return EXIT.ok
}

export async function versions(call: Call, world: World): Promise<ExitCode> {
  const { out } = world
  const remote = await Remote.find(world)
  const { page, rows } = await remote.list(`${skillPath(call.words[0] ?? '')}/versions`)
  const now = Date.now()
  if (call.json) out.json(page)
  else {
    out.table(
      rows,
      [
        { title: 'VERSION', cell: (row) => text(row['version']), whole: true },
        { title: 'STATUS', cell: (row) => text(row['status']), whole: true },
        { title: 'SIGNED', cell: (row) => (row['signed'] === true ? 'yes' : 'no'), whole: true },
        { title: 'AGE', cell: (row) => age(row['created_at'], now), whole: true },
        { title: 'BY', cell: (row) => text(row['created_by']) },
        { title: 'DEPRECATED', cell: (row) => text(row['deprecated']) || '-' },
      ],
      'No versions.',
    )
  }
  return EXIT.ok
}

/** `1.3.0 stable, 1.4.0 gets 10 %, rolled back: …`. */
export function trackText(track: JsonObject): string {
  const canary = track['canary'] === null ? '' : `, ${text(track['canary'])} gets ${Math.round(Number(track['weight']) * 1_000) / 10} %`
  const note = track['note'] === null ? '' : `; rolled back: ${text(track['note'])}`
  return `${text(track['stable'])} stable${canary}${note}`
}

const aboutPairs = (current: JsonObject): readonly (readonly [string, string])[] => [
  ['description', text(current['description']) || '-'],
  ['language', text(current['language'])],
  ['effect', text(current['effect'])],
  ['time limit', `${text(current['timeout_ms'])} ms`],
  ['network', wordsIn(current['network']).join(', ') || 'none'],
  ['secrets', wordsIn(current['secrets']).join(', ') || 'none'],
  ['input', JSON.stringify(current['inputs'] ?? {}, null, 2)],
  ['output', JSON.stringify(current['outputs'] ?? {}, null, 2)],
]
