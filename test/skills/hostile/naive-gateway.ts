/**
 * The positive control of the conversation: a gateway's side without our defences, as one writes it first. Runs the skill as a bare process with no
 * supervisor between, hears its standard output and descriptor 3 alike, believes numbers and lengths, parses what comes. Says on standard output
 * what harm that did it. A process of its own, because some lies end it. Arguments: language and source.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { Harm } from './conversation.ts'

const [language = '', source = ''] = process.argv.slice(2)
const HEADER_BYTES = 9
const OURS = 1
/** More than anybody would look at, and more than anybody would keep. */
const [MANY, LONG] = [1_000, 1_048_576]

const PYTHON = `
import json, os, struct, sys
def send(kind, payload):
    data = struct.pack('>IBI', len(payload), kind, 1) + payload
    while data:
        data = data[os.write(3, data):]
class Context:
    def progress(self, data):
        send(67, json.dumps(data).encode())
scope = {}
exec(sys.argv[1], scope)
send(69, json.dumps(scope['run']({}, Context())).encode())
`
const NODE = `
import { writeSync } from 'node:fs'
const payload = Buffer.from(JSON.stringify(run()))
const head = Buffer.from([0, 0, 0, payload.length, 69, 0, 0, 0, 1])
writeSync(3, Buffer.concat([head, payload]))
`
const commands: { readonly [language: string]: readonly [program: string, ...args: string[]] } = {
  python: ['python3', '-c', PYTHON, source],
  node: [process.execPath, '--input-type=module', '--eval', `${source}\n${NODE}`],
  shell: ['sh', '-c', source],
}

const results = new Map<number, unknown>()
const harms = new Set<Harm>()
let told = 0

function hear(type: number, call: number, payload: Buffer, isLog: boolean): void {
  if (type === 69) {
    if (isLog) harms.add('takes a log for an answer')
    if (call !== OURS) harms.add('takes an answer to a call of somebody else')
    settle(call, payload)
  } else if (type === 67) {
    if (++told > MANY) harms.add('is flooded')
  } else if (type >= 65) harms.add('believes what only a supervisor may say')
}

function settle(call: number, payload: Buffer): void {
  const output: unknown = JSON.parse(payload.toString())
  const kept = JSON.stringify(output)
  if (kept.length > LONG) harms.add('keeps megabytes')
  if (kept.includes('\ufffd')) harms.add('takes what was never said')
  merge({}, output)
  if (Reflect.get({}, 'polluted') !== undefined) harms.add('has its prototypes changed')
  results.set(call, output)
}

/** As state of a session is changed by what comes. */
function merge(into: object, from: unknown): void {
  if (typeof from !== 'object' || from === null) return
  for (const [name, value] of Object.entries(from)) {
    const known: unknown = Reflect.get(into, name)
    if (typeof known === 'object' && known !== null) merge(known, value)
    else Reflect.set(into, name, value)
  }
}

async function frames(from: Readable, isLog: boolean): Promise<void> {
  let rest = Buffer.alloc(0)
  for await (const chunk of from as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= HEADER_BYTES && rest.length >= HEADER_BYTES + rest.readUInt32BE(0)) {
      const end = HEADER_BYTES + rest.readUInt32BE(0)
      hear(rest.readUInt8(4), rest.readUInt32BE(5), rest.subarray(HEADER_BYTES, end), isLog)
      rest = rest.subarray(end)
    }
  }
}

const [program = '', ...args] = commands[language] ?? []
const skill = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore', 'pipe'] })
const [, stdout, , answers] = skill.stdio
const ended = once(skill, 'close')
if (stdout === null || answers === null || answers === undefined || !('read' in answers)) throw new Error('no pipes')
if (language === 'shell') {
  stdout.resume()
  settle(OURS, Buffer.concat(await answers.toArray()))
} else await Promise.all([frames(stdout, true), frames(answers, false)])
await ended
if (!results.has(OURS)) harms.add('waits for ever')
process.stdout.write(JSON.stringify([...harms]))
