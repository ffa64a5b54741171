/**
 * Attacks on the conversation with the gateway. Each entry is a whole skill; `frame` says that what it writes is a frame that the decoder would take if
 * the supervisor passed it on unchanged.
 */
import type { JsonValue } from '#contract'

export interface Lie {
  readonly name: string
  readonly language: 'python' | 'node' | 'shell'
  readonly code: string
  /** What may come back: this output, or an error with one of these codes. */
  readonly output?: JsonValue
  readonly codes?: readonly string[]
}

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
  },
  {
    name: 'noise on the descriptor of the result',
    language: 'shell',
    code: 'head -c 300000 /dev/urandom >&3\n',
    codes: ['protocol', 'output_limit', 'invalid_output', 'crashed'],
  },
  {
    name: 'a result of five megabytes',
    language: 'python',
    code: "def run(input, ctx):\n    return 'x' * (5 << 20)\n",
    codes: ['output_limit'],
  },
  {
    name: 'a result nested two hundred thousand deep',
    language: 'python',
    code: `${FRAME}
def run(input, ctx):
    os.write(3, frame(69, 1, b'[' * 200000 + b']' * 200000))
`,
    codes: ['protocol', 'invalid_output', 'output_limit'],
  },
  {
    name: 'a result that is no number',
    language: 'python',
    code: "def run(input, ctx):\n    return float('nan')\n",
    codes: ['invalid_output', 'protocol'],
  },
  { name: 'a result that is no JSON', language: 'shell', code: 'printf \'{"a": tru\' >&3\n', codes: ['invalid_output', 'protocol'] },
  { name: 'a result in broken UTF-8', language: 'shell', code: 'printf \'"\\377\\376"\' >&3\n', codes: ['invalid_output', 'protocol'] },
  {
    name: 'a member __proto__ changes no prototype',
    language: 'python',
    code: 'def run(input, ctx):\n    return {"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}\n',
    codes: ['ok', 'invalid_output', 'protocol'],
  },
  { name: 'no result at all', language: 'shell', code: 'true\n', codes: ['crashed', 'invalid_output'] },
  {
    name: 'an end in mid-result',
    language: 'python',
    code: "import os, struct\ndef run(input, ctx):\n    os.write(3, struct.pack('>IBI', 100, 69, 1) + b'half')\n    os._exit(0)\n",
    codes: ['crashed', 'protocol'],
  },
  {
    name: 'progress without end',
    language: 'python',
    code: "def run(input, ctx):\n    for i in range(20000):\n        ctx.progress({'i': i})\n    return 'honest'\n",
    output: 'honest',
    codes: ['output_limit', 'timeout'],
  },
  {
    name: 'a result by Node that throws when it is read',
    language: 'node',
    code: "export function run() { return { get a() { throw new Error('gotcha') } } }\n",
    codes: ['crashed', 'invalid_output'],
  },
]
