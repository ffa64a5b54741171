/**
 * A skill with nothing ready and nothing kept, from the call until its container is gone, in turn with `docker run --rm` of the same image and
 * with a plain child process, which isolates nothing. What is held against the target is `docker run` as one types it, under the same
 * limits: with the network that it gives unasked, which ours never has.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { jobFor, startSandbox } from '../support/container.ts'
import { docker, type TestEngine } from '../support/docker.ts'
import type { BenchOptions, Measure } from './measure.ts'
import { median, quantile } from './measure.ts'
import { answer, isEmpty, PYTHON, timed, until } from './skill-call.ts'

const ROUNDS = 10
/** The one that the image is made of, and no wrapper. */
const INTERPRETER = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3'
const PROGRAM = 'import json,sys; print(json.dumps({"n": json.load(sys.stdin)["n"] + 1}))'
/** As `skills/sandbox/docker/profile.ts` has them, but for the filter of system calls: the engine's own is in its place. */
const LIMITS = `--read-only --cap-drop ALL --security-opt no-new-privileges --pids-limit 64 --memory 128m --memory-swap 128m --cpus 1
  --user 20000:20000 --ipc none --log-driver none --tmpfs /tmp:rw,noexec,nosuid,nodev,size=16m`.split(/\s+/)

const RUNS = [
  { what: 'docker run --rm, the same limits', flags: LIMITS, target: { atMost: 0.6 } },
  { what: 'docker run --rm, no limits', flags: [] },
  { what: 'docker run --rm, the same limits, --network none', flags: [...LIMITS, '--network', 'none'] },
] as const

export async function cold(options: BenchOptions, engine: TestEngine): Promise<readonly Measure[]> {
  const contained = await startSandbox(options, engine, { parked: 0 })
  const [replies, lives, plain]: [number[], number[], number[]] = [[], [], []]
  const runs = RUNS.map((run) => ({ ...run, took: [] as number[] }))
  for (let at = 0; at < ROUNDS; at++) {
    options.say(`cold ${at + 1} of ${ROUNDS}`)
    // In turn, so that whatever else the machine does meets all alike.
    const from = performance.now()
    await answer(contained, jobFor(PYTHON, { n: at }, { grade: 'fresh' }))
    replies.push(performance.now() - from)
    await until(() => isEmpty(contained), 'an empty sandbox')
    lives.push(performance.now() - from)
    for (const { flags, took } of runs)
      took.push(await timed(() => docker(engine.socket, 'run', '--rm', ...flags, engine.image, 'python3', '-c', 'print(1)')))
    plain.push(await timed(() => piped(INTERPRETER, ['-c', PROGRAM], '{"n":1}')))
  }
  await contained.sandbox.stop()
  const life = median(lives)
  return [
    { what: 'python, cold: reply, p50', value: median(replies), unit: 'ms', target: { atMost: 150 } },
    { what: 'python, cold: reply, p95', value: quantile(replies, 0.95), unit: 'ms', target: { atMost: 300 } },
    { what: 'python, cold: until gone, p50', value: life, unit: 'ms' },
    ...runs.flatMap(({ what, took, ...rest }): Measure[] => [
      { what: `${what}: p50`, value: median(took), unit: 'ms' },
      { what: `cold life beside ${what}`, value: life / median(took), unit: '×', ...('target' in rest && { target: rest.target }) },
    ]),
    { what: 'plain child process, python, p50', value: median(plain), unit: 'ms', note: 'isolates nothing' },
  ]
}

async function piped(program: string, args: readonly string[], input: string): Promise<void> {
  const running = promisify(execFile)(program, [...args])
  running.child.stdin?.end(input)
  await running
}
