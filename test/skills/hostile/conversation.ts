/**
 * Attacks on the conversation with the gateway. Each entry is a whole skill; `frame` says that what it writes is a frame that the decoder would take if
 * the supervisor passed it on unchanged. What each does to a gateway's side without our defences is shown by `naive-gateway.ts`.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { JsonValue } from '#contract'

const CONTROL_LIMIT_MS = 60_000

export type Harm =
  | 'takes a log for an answer'
  | 'takes an answer to a call of somebody else'
  | 'believes what only a supervisor may say'
  | 'waits for ever'
  | 'dies'
  | 'keeps megabytes'
  | 'takes what was never said'
  | 'has its prototypes changed'
  | 'is flooded'

export interface Lie {
  readonly name: string
  readonly language: 'python' | 'node' | 'shell'
  readonly code: string
  /** What may come back: this output, or an error with one of these codes. */
  readonly output?: JsonValue
  readonly codes?: readonly string[]
  /** Of its control: what the same skill does where nothing holds it off. */
  readonly harm: Harm
}

/** The control: what a naive gateway suffers by this skill. */
export async function harmsOf({ language, code }: Pick<Lie, 'language' | 'code'>): Promise<readonly Harm[]> {
  const program = new URL('naive-gateway.ts', import.meta.url).pathname
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program, language, code], { timeout: CONTROL_LIMIT_MS })
    return JSON.parse(stdout) as Harm[]
  } catch (error) {
    // By an exception that nobody caught: 1. Anything else is a fault of the control.
    if (error instanceof Error && 'code' in error && error.code === 1) return ['dies']
    throw error
  }
}

/** What does none of it. */
export const HONEST: readonly Pick<Lie, 'language' | 'code'>[] = [
  { language: 'python', code: "def run(input, ctx):\n    ctx.progress({'i': 1})\n    return {'a': [1]}\n" },
  { language: 'node', code: 'export const run = () => ({ a: [1] })\n' },
  { language: 'shell', code: 'printf \'{"a": [1]}\' >&3\n' },
]

/** `u32 length, u8 type, u32 call` and a payload, as Python. */
const FRAME = `
import os, struct
def frame(kind, call, payload):
    return struct.pack('>IBI', len(payload), kind, call) + payload
`

export const LIES: readonly Lie[] = [
  {
    name: 'a forged result on its standard output stays a log',
    language: 'python',
    code: `${FRAME}
def run(input, ctx):
    os.write(1, frame(69, 1, b'"forged"') + frame(69, 2, b'"forged"'))
    return 'honest'
`,
    output: 'honest',
    harm: 'takes a log for an answer',
  },
  {
    name: "a forged result on the result's descriptor is this call's only",
    language: 'python',
    code: `${FRAME}
def run(input, ctx):
    for call in range(0, 50):
        os.write(3, frame(69, call, b'"forged"'))
    return 'honest'
`,
    output: 'forged',
    codes: ['protocol'],
    harm: 'takes an answer to a call of somebody else',
  },
  {
    name: 'a frame that only a supervisor may send ends the call',
    language: 'python',
    code: `${FRAME}
def run(input, ctx):
    for kind in (65, 66, 71, 73):
        os.write(3, frame(kind, 1, b'{"clean": true, "state": "idle", "protocol": 1}'))
    return 'honest'
`,
    output: 'honest',
    codes: ['protocol', 'crashed'],
    harm: 'believes what only a supervisor may say',
  },
  {
    name: 'a length of four gigabytes is not waited for',
    language: 'python',
    code: `
import os
def run(input, ctx):
    os.write(3, b'\\xff\\xff\\xff\\xff' + b'\\x45' + b'\\x00\\x00\\x00\\x01' + b'x' * 1000)
    return 'honest'
`,
    codes: ['protocol', 'output_limit', 'crashed'],
    harm: 'waits for ever',
  },
  {
    name: 'noise on the descriptor of the result',
    language: 'shell',
    code: 'head -c 300000 /dev/urandom >&3\n',
    codes: ['protocol', 'output_limit', 'invalid_output', 'crashed'],
    harm: 'dies',
  },
  {
    name: 'a result of five megabytes',
    language: 'python',
    code: "def run(input, ctx):\n    return 'x' * (5 << 20)\n",
    codes: ['output_limit'],
    harm: 'keeps megabytes',
  },
  {
    name: 'a result nested two hundred thousand deep',
    language: 'python',
    code: `${FRAME}
def run(input, ctx):
    os.write(3, frame(69, 1, b'[' * 200000 + b']' * 200000))
`,
    codes: ['protocol', 'invalid_output', 'output_limit'],
    harm: 'dies',
  },
  {
    name: 'a result that is no number',
    language: 'python',
    code: "def run(input, ctx):\n    return float('nan')\n",
    codes: ['invalid_output', 'protocol'],
    harm: 'dies',
  },
  {
    name: 'a result that is no JSON',
    language: 'shell',
    code: 'printf \'{"a": tru\' >&3\n',
    codes: ['invalid_output', 'protocol'],
    harm: 'dies',
  },
  {
    name: 'a result in broken UTF-8',
    language: 'shell',
    code: 'printf \'"\\377\\376"\' >&3\n',
    codes: ['invalid_output', 'protocol'],
    harm: 'takes what was never said',
  },
  {
    name: 'a member __proto__ changes no prototype',
    language: 'python',
    code: 'def run(input, ctx):\n    return {"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}\n',
    codes: ['ok', 'invalid_output', 'protocol'],
    harm: 'has its prototypes changed',
  },
  { name: 'no result at all', language: 'shell', code: 'true\n', codes: ['crashed', 'invalid_output'], harm: 'dies' },
  {
    name: 'an end in mid-result',
    language: 'python',
    code: "import os, struct\ndef run(input, ctx):\n    os.write(3, struct.pack('>IBI', 100, 69, 1) + b'half')\n    os._exit(0)\n",
    codes: ['crashed', 'protocol'],
    harm: 'waits for ever',
  },
  {
    name: 'progress without end',
    language: 'python',
    code: "def run(input, ctx):\n    for i in range(20000):\n        ctx.progress({'i': i})\n    return 'honest'\n",
    output: 'honest',
    codes: ['output_limit', 'timeout'],
    harm: 'is flooded',
  },
  {
    name: 'a result by Node that throws when it is read',
    language: 'node',
    code: "export function run() { return { get a() { throw new Error('gotcha') } } }\n",
    codes: ['crashed', 'invalid_output'],
    harm: 'waits for ever',
  },
]
