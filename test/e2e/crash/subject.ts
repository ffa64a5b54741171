/**
 * The gateway under the crash matrix: the real process with its real store, pipeline and agent, and around it a world
 * made of append-only, fsynced files that survives every kill. A channel hands in messages until they are
 * acknowledged and records what it is told to send; three skills record what they do. The process dies by SIGKILL when the
 * point it was told is reached (`OPENCLAW_TEST_KILL`), and exits by itself when nothing is left to do.
 *
 * A point lies before and after every transaction and every effect outside.
 */
import { appendFileSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Channel, ChannelHost, ChannelKind, JsonObject, Part, SkillDescriptor, SkillOutcome, SkillRun, SkillRunner } from '#contract'
import { run } from '../../../gateway/run.ts'
import { skillDescriptor } from '../../support/skill.ts'
import { die, withPoints } from '../../support/kill-point.ts'

const dir = process.env['OPENCLAW_DIR'] ?? '.'
const killAt = Number(process.env['OPENCLAW_TEST_KILL'] ?? -1)
const messages = (process.env['OPENCLAW_TEST_MESSAGES'] ?? 'm1,m2').split(',')

let reached = 0
function point(name: string): void {
  if (reached++ !== killAt) return
  appendFileSync(join(dir, 'kills.log'), `${JSON.stringify({ at: name })}\n`)
  die()
}

/** Something that happened in the world, and stays. */
function record(file: string, entry: JsonObject): void {
  const handle = openSync(join(dir, file), 'a')
  writeSync(handle, `${JSON.stringify(entry)}\n`)
  fsyncSync(handle)
  closeSync(handle)
}
function recorded(file: string): readonly JsonObject[] {
  const path = join(dir, file)
  if (!existsSync(path)) return []
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => JSON.parse(line) as JsonObject)
}

/** Every write of the store is a transaction with a point on either side. */
const NAMES: { readonly [method: string]: string } = {
  accept: 'T0 accept',
  claim: 'T1 claim',
  startStep: 'T2/T4 start',
  finishStep: 'T3/T5 result',
  end: 'T3 end',
  sending: 'T6 sending',
  finish: 'T7 sent',
}

const skill = (id: string, effect: SkillDescriptor['effect']): SkillDescriptor =>
  skillDescriptor({ id, effect, description: `Records that it ran (${effect}).`, inputs: { type: 'object' }, timeoutMs: 5_000 })
const recordingSkills: SkillRunner = {
  find: () => null,
  adopt: async () => null,
  list: () => [skill('read', 'none'), skill('charge', 'idempotent'), skill('post', 'once')],
  async run({ skill: id, key }: SkillRun): Promise<SkillOutcome> {
    point(`before skill ${id}`)
    // Whoever is called idempotently knows the key and does it once.
    if (id !== 'charge' || !recorded('charge.log').some((entry) => entry['key'] === key)) record(`${id}.log`, { key })
    point(`after skill ${id}`)
    return { status: 'ok', output: { did: id } }
  },
  stop: async () => undefined,
}

class Recorder implements Channel {
  readonly capabilities = {
    delivery: 'push',
    resend: 'id',
    text: { max: 4_096, unit: 'utf16', dialect: null },
    strangers: false,
    typingMs: null,
    threads: false,
    groups: false,
    media: false,
  } as const

  async start(host: ChannelHost): Promise<void> {
    const acknowledged = new Set(recorded('ack.log').map((entry) => entry['key']))
    for (const key of messages.filter((name) => !acknowledged.has(name))) {
      await host.accept({
        key,
        fingerprint: null,
        lane: 'c1',
        account: 'world',
        peer: { kind: 'direct', id: 'c1', thread: null },
        sender: 'ann',
        at: host.clock.now(),
        payload: { text: 'use skills: read,charge,post' },
        metadata: {},
        agent: null,
        reply: { chat: 'c1' },
      })
      record('ack.log', { key })
      point('after acknowledge')
    }
  }

  async stop(): Promise<void> {}
  pause(): void {}
  resume(): void {}

  async send(part: Part): Promise<{ readonly id: string }> {
    point('before send')
    record('send.log', { id: part.id, text: part.rendered.text })
    point('after send')
    return { id: part.id }
  }
}
const recorder: ChannelKind = { schema: {}, create: () => new Recorder() }

let idle: () => Promise<boolean> = async () => false
const running = await run({
  env: process.env,
  print: () => undefined,
  around: {
    store(store) {
      idle = async () => {
        const [ledger, outbox] = await Promise.all([store.inbox.ledger(), store.outbox.counts()])
        return ledger.accepted === messages.length && ledger.pending === 0 && outbox.pending + outbox.sending === 0
      }
      return withPoints(store, NAMES, point)
    },
    skills: () => recordingSkills,
    channels: { recorder: async () => recorder },
  },
})
const watch = setInterval(() => {
  void idle().then(async (isIdle) => {
    if (!isIdle) return
    clearInterval(watch)
    await running.stop()
    writeFileSync(join(dir, 'points'), String(reached))
    process.exit(0)
  })
}, 20)
