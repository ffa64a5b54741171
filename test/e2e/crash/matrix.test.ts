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
const CACHE = new URL('../../../gateway/compile-cache.js', import.meta.url).href
const PAIRS = 130
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
  const child = spawn(process.execPath, ['--import', CACHE, SUBJECT], {
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
  readonly at?: string
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

/** What was finished, durably, when a life ended: each such call with how often it had been made by then. */
type Finished = ReadonlyMap<string, number>

/** The model serves all worlds at once and sees keys `turn:step`; a skill of this world is recorded by `turn:call`. */
async function callsIn(dir: string): Promise<ReadonlyMap<string, number>> {
  const made = new Map<string, number>()
  const logs = await Promise.all(['read', 'charge', 'post'].map((skill) => lines(join(dir, `${skill}.log`))))
  for (const key of [...stub.keys(), ...logs.flat().map((entry) => entry.key ?? '')]) made.set(key, (made.get(key) ?? 0) + 1)
  return made
}

async function finishedIn(dir: string): Promise<Finished> {
  const made = await callsIn(dir)
  const database = new DatabaseSync(join(dir, 'sessions.db'))
  const steps = database.prepare("SELECT turn, key FROM step WHERE status = 'done'").all()
  database.close()
  return new Map(
    steps.map(({ turn, key }) => {
      const call = `${String(turn)}:${String(key).replace(/^skill:/, '')}`
      return [call, made.get(call) ?? 0]
    }),
  )
}

/** Lives until nothing is left to do, dying at these points; then everything must be in order. */
async function liveThrough(dir: string, kills: readonly number[]): Promise<{ readonly killed: number; readonly reissued: number }> {
  const finished: Finished[] = []
  for (const at of kills) if ((await live(dir, at)) === 'SIGKILL') finished.push(await finishedIn(dir))
  if (finished.length === kills.length) assert.equal(await live(dir, -1), '0')
  const deaths = (await lines(join(dir, 'kills.log'))).map((entry) => entry.at)
  const told = `killed at ${deaths.join(', then ')} (points ${kills.join(', ')})`
  const { reissued } = await judge(dir, told)
  const made = await callsIn(dir)
  for (const before of finished)
    for (const [call, times] of before) assert.equal(made.get(call) ?? 0, times, `${told}: ${call} was finished and made again`)
  return { killed: finished.length, reissued }
}

/** What must hold whatever happened. */
async function judge(dir: string, told: string): Promise<{ readonly reissued: number; readonly resent: number; readonly unknown: number }> {
  const database = new DatabaseSync(join(dir, 'sessions.db'), { readOnly: true })
  const count = (sql: string): number => Number(Object.values(database.prepare(sql).get() ?? {})[0])
  const rows = database.prepare('SELECT id FROM turn').all()
  const turns = rows.map((row) => String(row['id']))
  const [sends, charges, posts, reads] = await Promise.all(
    ['send', 'charge', 'post', 'read'].map((name) => lines(join(dir, `${name}.log`))),
  )
  assert.ok(sends && charges && posts && reads)
  const calls = stub.keys().filter((key) => turns.some((turn) => key.startsWith(turn)))
  const of = (status: string): number => count(`SELECT count(*) FROM inbox WHERE status = '${status}'`)
  const unknown = count("SELECT count(*) FROM step WHERE status = 'unknown'")
  assert.equal(count('SELECT count(*) FROM inbox'), 2, `${told}: accepted messages`)
  assert.equal(of('done'), 2, `${told}: messages done`)
  assert.equal(of('dead') + count('SELECT count(*) FROM dead_letter'), 0, `${told}: nothing was given up`)
  assert.equal(count('SELECT count(*) FROM outbox'), 2, `${told}: one reply a message`)
  assert.equal(count("SELECT count(*) FROM outbox WHERE status = 'sent'"), 2, `${told}: replies sent`)
  assert.equal(distinct(sends, 'id'), 2, `${told}: distinct parts on the wire`)
  assert.equal(charges.length, 2, `${told}: idempotent effects`)
  assert.equal(distinct(posts, 'key'), posts.length, `${told}: a once skill never repeated`)
  assert.ok(posts.length + unknown >= 2, `${told}: a once skill done or told unknown (${posts.length} done, ${unknown} unknown)`)
  assert.equal(distinct(reads, 'key'), 2, `${told}: harmless skill ran for each message`)
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
let kills = 0

test('lives through undisturbed', async () => {
  const dir = await world('calm')
  assert.equal(await live(dir, -1), '0')
  points = Number(await readFile(join(dir, 'points'), 'utf8'))
  assert.ok(points > 60, `${points} points`)
  assert.deepEqual(await judge(dir, 'calm'), { reissued: 0, resent: 0, unknown: 0 })
})

test('loses nothing and repeats nothing when it is killed at any single point', async (context) => {
  let reissued = 0
  await each([...Array(points).keys()], async (at) => {
    const dir = await world(`single-${at}`)
    const end = await liveThrough(dir, [at])
    kills += end.killed
    reissued += end.reissued
    await rm(dir, { recursive: true })
  })
  context.diagnostic(`${kills} kills; ${reissued} model calls whose answer died on the way were made again, with the same key`)
  // What runs beside each other can make a life a point or two shorter than the calm one.
  assert.ok(kills >= points - 4, `${kills} of ${points} points were reached`)
})

test('nor when it dies again while it recovers', async (context) => {
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }
  // What is left to do after the first death is less than a whole life: the second point lies in the rest.
  const pairs = Array.from({ length: PAIRS }, () => random(points)).map((first) => [first, random(Math.max(8, points - first - 4))])
  await each([...pairs.entries()], async ([number, pair]) => {
    const dir = await world(`pair-${number}`)
    kills += (await liveThrough(dir, pair)).killed
    await rm(dir, { recursive: true })
  })
  context.diagnostic(`${kills} kills in all`)
  assert.ok(kills >= 300, `${kills} kills`)
})
