/** `openclaw skills invoke`: call a skill and print its output, follow it, or leave it to the gateway. */
import type { JsonObject, JsonValue } from '#contract'
import type { Call, World } from '../command.ts'
import { documentIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { Remote } from '../remote.ts'
import type { Ask } from '../remote.ts'
import { skillPath } from '../skill-path.ts'
import { printEvents } from './skill-runs.ts'

/** The longest that a skill may run, and some queueing before it. */
const PATIENCE_MS = 360_000
const MAX_INPUT_BYTES = 16 * 1_048_576

export async function invoke(call: Call, world: World): Promise<ExitCode> {
  const { out } = world
  const ask = await request(call, world)
  const remote = await Remote.find(world)
  const path = `${skillPath(call.words[0] ?? '')}/invoke`
  if (call.has('follow')) {
    return await printEvents(call, out, remote.events(path, { ...ask, headers: { ...ask.headers, accept: 'text/event-stream' } }))
  }
  if (call.has('async')) {
    const { body } = await remote.ask(path, { ...ask, headers: { ...ask.headers, prefer: 'respond-async' } })
    if (call.json) out.json(body)
    else out.line(text(documentIn(body)['run_id']))
    return EXIT.ok
  }
  const { body } = await remote.ask(path, { ...ask, timeoutMs: PATIENCE_MS })
  const answer = documentIn(body)
  out.json(call.json ? answer : (answer['output'] ?? null))
  if (out.isTerminal && !call.json) out.note(timesText(answer))
  return EXIT.ok
}

async function request(call: Call, world: World): Promise<Ask & { readonly headers: { readonly [name: string]: string } }> {
  const seconds = call.text('timeout')
  if (seconds !== undefined && !(Number(seconds) > 0 && Number(seconds) <= 300))
    throw new CommandError('--timeout is a number of seconds, at most 300.', EXIT.usage)
  const version = call.text('version')
  const key = call.text('key')
  const body: JsonObject = {
    input: await readInput(call, world),
    ...(version !== undefined && { version }),
    ...(seconds !== undefined && { timeout_ms: Math.round(Number(seconds) * 1_000) }),
  }
  return { method: 'POST', body, headers: key === undefined ? {} : { 'idempotency-key': key } }
}

async function readInput(call: Call, { stdin }: World): Promise<JsonValue> {
  const [, word] = call.words
  if (word !== undefined && word !== '-')
    throw new CommandError(`Give the input with --input, or - to read it. "${word}" is neither.`, EXIT.usage)
  const given = word ?? call.text('input') ?? '{}'
  const json = given === '-' ? await readAll(stdin) : given
  try {
    return JSON.parse(json) as JsonValue
  } catch {
    throw new CommandError(`The input is not JSON. Quote it for the shell: --input '{"name": "value"}'.`, EXIT.usage)
  }
}

async function readAll(stdin: World['stdin']): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as Uint8Array | string)
    size += bytes.length
    if (size > MAX_INPUT_BYTES) throw new CommandError('The input is larger than 16 MiB.', EXIT.usage)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString()
}

/** `weather 1.2.0 in 6 ms (queue 0, start 4, run 2), run-…`. */
function timesText(answer: JsonObject): string {
  const times = documentIn(answer['times'])
  const [queue, start, run] = ['queue_ms', 'start_ms', 'run_ms'].map((name) => Math.round(Number(times[name] ?? 0)))
  const whole = (queue ?? 0) + (start ?? 0) + (run ?? 0)
  return `${text(answer['skill'])} ${text(answer['version'])} in ${whole} ms (queue ${queue}, start ${start}, run ${run}), ${text(answer['run_id'])}`
}
