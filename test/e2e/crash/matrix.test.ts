/**
 * The crash matrix: two messages with three skill calls each, the gateway killed by SIGKILL at every point, and at random pairs of points so
 * that it also dies while it recovers. Afterwards nothing that was accepted is missing, nothing that was finished was done again, every
 * message has one reply, and the ledger balances.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { DatabaseSync } from 'node:sqlite'
import { startModelStub } from '../../support/model-stub.ts'
import type { ModelStub } from '../../support/model-stub.ts'

const SUBJECT = new URL('./subject.ts', import.meta.url).pathname
const PAIRS = 115
const AT_ONCE = 3
/** One life of the process is well under a second; this is where it hangs. */
const LIFE_MS = 60_000

let root: string
let stub: ModelStub

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'openclaw-crash-'))
  stub = await startModelStub({ log: join(root, 'model.log') })
})
after(async () => {
  await stub.stop()
  await rm(root, { recursive: true, force: true })
})

/** One life; resolves with how it ended: 0, or the signal. */
async function live(dir: string, killAt: number): Promise<string> {
  const child = spawn(process.execPath, [SUBJECT], {
    env: {
      PATH: process.env['PATH'],
      OPENCLAW_DIR: dir,
      OPENCLAW_PORT: '0',
      OPENCLAW_LOG_LEVEL: 'error',
      OPENCLAW_TEST_KILL: String(killAt),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (complaints += chunk))
  const watchdog = setTimeout(() => child.kill('SIGABRT'), LIFE_MS)
  const ended = await new Promise<string>((resolve) => child.on('close', (code, signal) => resolve(signal ?? String(code))))
  clearTimeout(watchdog)
  if (ended !== '0' && ended !== 'SIGKILL') throw new Error(`The gateway ended with ${ended}:\n${complaints.slice(-2_000)}`)
  return ended
}

async function world(name: string): Promise<string> {
  const dir = join(root, name)
  await mkdir(dir)
  const model = { base_url: stub.baseUrl, api: 'chat', api_key: 'test' }
  const config = {
    channels: { world: { kind: 'recorder' } },
    llm: { providers: { stub: model }, defaults: { primary: 'stub/stub' } },
    agents: { assistant: { skills: ['*'] } },
  }
  // YAML is a superset of JSON.
  await writeFile(join(dir, 'openclaw.yaml'), JSON.stringify(config))
  return dir
}

interface Entry {
  readonly id?: string
  readonly key?: string
}
async function lines(path: string): Promise<readonly Entry[]> {
  if (!existsSync(path)) return []
  const text = await readFile(path, 'utf8')
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Entry)
}
const distinct = (entries: readonly Entry[], member: 'id' | 'key'): number => new Set(entries.map((entry) => entry[member])).size

/** What must hold whatever happened. */
async function judge(dir: string, told: string): Promise<{ readonly reissued: number; readonly resent: number; readonly unknown: number }> {
  const database = new DatabaseSync(join(dir, 'sessions.db'), { readOnly: true })
  const count = (sql: string): number => Number(Object.values(database.prepare(sql).get() ?? {})[0])
  const [sends, charges, posts, reads] = await Promise.all([
    lines(join(dir, 'send.log')),
    lines(join(dir, 'charge.log')),
    lines(join(dir, 'post.log')),
    lines(join(dir, 'read.log')),
  ])
  // The model serves all worlds at once: its calls of this one are those of its turns.
  const turns = database
    .prepare('SELECT id FROM turn')
    .all()
    .map((row) => String(row['id']))
  const calls = stub.keys().filter((key) => turns.some((turn) => key.startsWith(turn)))
  const unknown = count("SELECT count(*) FROM step WHERE status = 'unknown'")
  const pending = count("SELECT count(*) FROM inbox WHERE status NOT IN ('done', 'dead')")
  assert.equal(count('SELECT count(*) FROM inbox'), 2, `${told}: accepted messages`)
  assert.equal(
    count("SELECT count(*) FROM inbox WHERE status = 'done'") + count("SELECT count(*) FROM inbox WHERE status = 'dead'") + pending,
    2,
    `${told}: ledger`,
  )
  assert.equal(count("SELECT count(*) FROM inbox WHERE status = 'done'"), 2, `${told}: messages done`)
  assert.equal(count('SELECT count(*) FROM outbox'), 2, `${told}: one reply a message`)
  assert.equal(count("SELECT count(*) FROM outbox WHERE status = 'sent'"), 2, `${told}: replies sent`)
  assert.equal(distinct(sends, 'id'), 2, `${told}: distinct parts on the wire`)
  assert.equal(charges.length, 2, `${told}: idempotent effects`)
  assert.equal(distinct(posts, 'key'), posts.length, `${told}: a once skill never repeated`)
  assert.ok(
    posts.length <= 2 && posts.length + unknown >= 2,
    `${told}: a once skill done or told unknown (${posts.length} done, ${unknown} unknown)`,
  )
  assert.ok(distinct(reads, 'key') === 2, `${told}: harmless skill ran for each message`)
  assert.equal(
    count("SELECT count(*) FROM step WHERE kind = 'skill'"),
    count("SELECT count(*) FROM session_message WHERE json_extract(content, '$.role') = 'tool'"),
    `${told}: every call has its answer`,
  )
  assert.equal(new Set(calls).size, 4, `${told}: distinct model calls`)
  database.close()
  return { reissued: calls.length - 4, resent: sends.length - 2, unknown }
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
    }),
  )
}

let points = 0

test('lives through undisturbed', async () => {
  const dir = await world('calm')
  assert.equal(await live(dir, -1), '0')
  points = Number(await readFile(join(dir, 'points'), 'utf8'))
  assert.ok(points > 60, `${points} points`)
  assert.deepEqual(await judge(dir, 'calm'), { reissued: 0, resent: 0, unknown: 0 })
})

test('loses nothing and repeats nothing when it is killed at any single point', async (context) => {
  const reissuedAt: string[] = []
  let kills = 0
  await each(
    Array.from({ length: points }, (_, at) => at),
    async (at) => {
      const dir = await world(`single-${at}`)
      const ended = await live(dir, at)
      if (ended === 'SIGKILL') {
        kills += 1
        await live(dir, -1)
      }
      const told = existsSync(join(dir, 'kills.log')) ? (await readFile(join(dir, 'kills.log'), 'utf8')).trim() : 'not reached'
      const { reissued } = await judge(dir, `killed ${told} (point ${at})`)
      // The one call that may be made twice: its answer was on the way when the process died.
      if (reissued > 0) reissuedAt.push(told)
      await rm(dir, { recursive: true })
    },
  )
  context.diagnostic(`${kills} kills; model called again, with the same key, after: ${[...new Set(reissuedAt)].join(', ') || 'none'}`)
  assert.ok(kills >= points - 2, `${kills} of ${points} points were reached`)
  for (const told of reissuedAt) assert.match(told, /before T3|after T2/, 'a finished model call was made again')
})

test('and when it dies again while it recovers', async (context) => {
  let kills = 0
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }
  const pairs = Array.from({ length: PAIRS }, (_, number) => ({ number, first: random(points), second: random(Math.floor(points * 0.7)) }))
  await each(pairs, async ({ number, first, second }) => {
    const dir = await world(`pair-${number}`)
    if ((await live(dir, first)) === 'SIGKILL') kills += 1
    if ((await live(dir, second)) === 'SIGKILL') kills += 1
    await live(dir, -1)
    const told = existsSync(join(dir, 'kills.log'))
      ? (await readFile(join(dir, 'kills.log'), 'utf8')).trim().replaceAll('\n', ', then ')
      : ''
    await judge(dir, `killed ${told} (points ${first}, ${second})`)
    await rm(dir, { recursive: true })
  })
  context.diagnostic(`${kills} kills`)
  assert.ok(kills + points >= 280, `${kills} kills`)
})
