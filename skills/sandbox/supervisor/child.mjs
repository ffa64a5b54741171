// The process of one call of a Node skill: waits on descriptor 4 until it is told what to run, calls `run(input, ctx)`, answers on
// descriptor 3. Started ahead, alone with itself: what bounds and ends it is the supervisor's.
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const INVOKE = 3
const RETURNED = 5
const PROGRESS = 67
const LOG = 68
const RESULT = 69
const ERROR = 70
const CALL = 72
const HEADER = 9
const MAX_OUTPUT = 1_048_576
const MAX_PROGRESS = 16_384

const control = new Socket({ fd: 4, readable: true, writable: false })
const { stringify, parse } = JSON
const exit = process.reallyExit.bind(process)

function send(type, payload) {
  const frame = Buffer.allocUnsafe(HEADER + payload.length)
  frame.writeUInt32BE(payload.length, 0)
  frame.writeUInt8(type, 4)
  frame.writeUInt32BE(0, 5)
  payload.copy(frame, HEADER)
  for (let at = 0; at < frame.length;) at += writeSync(3, frame, at)
}

/** JSON knows no NaN and no Infinity; `stringify` would make them null. */
const finite = (_name, value) => {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} is not JSON`)
  return value
}
const json = (value) => {
  const text = stringify(value, finite)
  if (text === undefined) throw new TypeError(`${value === undefined ? 'nothing' : `a ${typeof value}`} is not JSON`)
  return Buffer.from(text)
}

class SkillError extends Error {
  constructor({ code, message }) {
    super(message)
    this.name = 'SkillError'
    this.code = code
  }
}

/** The call that runs. */
let current = null

class Context {
  #stop = null
  #calls = 0
  constructor({ key, secrets, traceparent }) {
    this.key = key
    this.secrets = secrets ?? {}
    this.traceparent = traceparent ?? null
  }

  /** Aborted when the call is being stopped; half a second is left then. Who never asks for it is not waited for. */
  get signal() {
    if (this.#stop === null) {
      this.#stop = new AbortController()
      process.removeAllListeners('SIGTERM').on('SIGTERM', () => this.#stop.abort())
    }
    return this.#stop.signal
  }

  progress(data) {
    const payload = json(data)
    if (payload.length > MAX_PROGRESS) throw new RangeError(`progress of ${payload.length} bytes; at most ${MAX_PROGRESS} are told`)
    send(PROGRESS, payload)
  }

  log(text) {
    send(LOG, Buffer.from(`${text}\n`).subarray(0, 65_536))
  }

  call(skill, input = null) {
    const n = (this.#calls += 1)
    send(CALL, json({ n, skill, input }))
    control.ref()
    return new Promise((resolve, reject) => current.waiting.set(n, { resolve, reject }))
  }
}

function fail(error) {
  const cause = error?.cause instanceof Error ? ` (${error.cause.message})` : ''
  const text = error instanceof Error ? `${error.name}: ${error.message}${cause}` : `thrown: ${String(error)}`
  process.stderr.write(`${error instanceof Error ? (error.stack ?? text) : text}\n`.slice(0, 4_000))
  const isMemory = error?.code === 'ERR_MEMORY_ALLOCATION_FAILED' || /Array buffer allocation failed/.test(text)
  end(ERROR, Buffer.from(stringify({ code: isMemory ? 'oom' : 'crashed', message: text.slice(0, 2_000) })))
}

function end(type, payload) {
  if (current === null) return
  const { resident } = current
  current = null
  send(type, payload)
  process.removeAllListeners('SIGTERM')
  if (resident) control.ref()
  else exit(0)
}

let run = null

async function load({ folder, entrypoint }) {
  process.chdir(folder)
  const path = join(folder, entrypoint)
  process.argv = [process.argv[0], path]
  const skill = await import(pathToFileURL(path).href)
  const found = skill.run ?? skill.default?.run
  if (typeof found !== 'function') throw new TypeError(`${entrypoint} exports no function run(input, ctx)`)
  return found
}

async function invoke(asked) {
  current = { resident: asked.resident === true, waiting: new Map() }
  if (asked.traceparent) process.env.TRACEPARENT = asked.traceparent
  // With nothing left to wait for, the process ends, and the supervisor says so.
  control.unref()
  try {
    run ??= await load(asked)
    const output = await run(asked.input, new Context(asked))
    let payload
    try {
      payload = json(output)
    } catch (error) {
      return end(ERROR, Buffer.from(stringify({ code: 'invalid_output', message: `run() returned what is not JSON: ${error.message}` })))
    }
    if (payload.length <= MAX_OUTPUT) return end(RESULT, payload)
    const message = `its output has ${payload.length} bytes; at most ${MAX_OUTPUT} are allowed`
    end(ERROR, Buffer.from(stringify({ code: 'output_limit', message })))
  } catch (error) {
    fail(error)
  }
}

function returned({ n, outcome }) {
  const waits = current?.waiting.get(n)
  if (waits === undefined) return
  current.waiting.delete(n)
  if (current.waiting.size === 0) control.unref()
  if (outcome.status === 'ok') waits.resolve(outcome.output)
  else waits.reject(new SkillError(outcome))
}

process.on('uncaughtException', fail)
process.on('beforeExit', () => {
  if (current !== null) fail(new Error('run() never settled, and nothing is left to wait for'))
})
let heard = Buffer.alloc(0)
control.on('error', () => exit(1)).on('close', () => exit(1))
control.on('data', (chunk) => {
  heard = heard.length === 0 ? chunk : Buffer.concat([heard, chunk])
  while (heard.length >= HEADER && heard.length >= HEADER + heard.readUInt32BE(0)) {
    const size = heard.readUInt32BE(0)
    const type = heard[4]
    const asked = parse(heard.subarray(HEADER, HEADER + size).toString())
    heard = heard.subarray(HEADER + size)
    if (type === INVOKE) void invoke(asked)
    else if (type === RETURNED) returned(asked)
  }
})
