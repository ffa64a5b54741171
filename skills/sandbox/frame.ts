/**
 * The wire between the gateway and the supervisor in a sandbox, over its standard input and output. One frame is
 * `u32 length of the payload, u8 type, u32 call` (big-endian) and the payload, UTF-8 JSON unless said otherwise. The length is
 * judged before anything is buffered. `call` numbers the calls of one sandbox from 1; 0: the frame belongs to none. The supervisor writes it, so nothing
 * that a skill says can pass for another call's. `skills/sandbox/supervisor/frame.py` has the same table.
 */

/** To the supervisor. */
export const TO = {
  /**
   * `{"protocol": 1, "mark": 32 hexadecimal digits}`: the first frame, also after another gateway took over. GREETING stands before it,
   * so that it is found after a frame that a dead gateway left half written; for the same reason the bytes of `mark` stand before READY.
   */
  hello: 1,
  /**
   * `{"digest", "language", "entrypoint", "files": {path: base64}, "deps": path | null, "egress": path | null, "egress_token": string |
   * null, "limits": {"memory_mb", "pids", "tmp_mb"} | null}`; replaces what was loaded; answered by LOADED. `deps`: a folder, for Python
   * what is imported from, for Node the one that holds `node_modules`. `egress`: the unix socket that 127.0.0.1:3128 leads to, where the
   * supervisor begins each connection with `egress_token`; no skill is told it. `limits`: of each process by rlimit, where nothing
   * better bounds it.
   */
  load: 2,
  /**
   * `{"key", "input", "secrets": {name: value}, "timeout_ms", "traceparent", "resident": bool}`. The deadline holds in the sandbox
   * also when nobody listens any more. Whoever sends it has no more use for the outcome before.
   */
  invoke: 3,
  /** No payload. The skill's signal is aborted, and 500 ms later its processes are killed. */
  cancel: 4,
  /** `{"n", "outcome"}`: what a call of another skill gave; `n` as in CALL. */
  returned: 5,
  /** No payload: the RESULT or ERROR of `call` is stored and need not be kept. */
  ack: 6,
  /** No payload; answered by PONG. A supervisor that hears nothing for ten minutes and runs nothing ends. */
  ping: 7,
  /** No payload: end. */
  bye: 8,
} as const

/** From the supervisor. */
export const FROM = {
  /** `{"protocol": 1, "state": "idle" | "busy" | "held", "key": string | null, "loaded": digest | null}`; `call` is that of the run it has. */
  ready: 65,
  /** `{"digest"}` or `{"error"}`. */
  loaded: 66,
  /** What `ctx.progress` was given. */
  progress: 67,
  /** At most 8 KiB: first byte 1 stdout, 2 stderr, 3 `ctx.log`, then raw UTF-8, which may be cut within a character. 64 KiB of each are told. */
  log: 68,
  /** The output. Kept by the supervisor until ACK. */
  result: 69,
  /** `{"code", "message"}`, codes as `SkillErrorCode`, of those in ENDS. Kept until ACK. */
  error: 70,
  /** `{"clean": bool, "cpu_ms", "max_rss_kb"}`: processes killed, /tmp wiped; not clean: something would not go. */
  idle: 71,
  /** `{"n", "skill", "input"}`: the skill calls another. */
  call: 72,
  pong: 73,
} as const

const GREETING_TEXT = '\0openclaw\0skill\0'
/** Before each HELLO. It begins with what no JSON holds. */
export const GREETING: Buffer = Buffer.from(GREETING_TEXT)
export const MARK_BYTES = 16

export const HEADER_BYTES = 9
export const MAX_INPUT_BYTES: number = 1_048_576
export const MAX_OUTPUT_BYTES: number = 1_048_576
export const MAX_PROGRESS_BYTES: number = 16_384
const MAX_SMALL_BYTES: number = 65_536
/** Of a LOAD: base64 makes four bytes of three. */
export const MAX_LOAD_BYTES: number = 8 * 1_048_576
/** Other skills that one call may wait for at once. */
export const MAX_CALLS = 16

/** How long a payload of this type may be; null: there is no such type. */
export function maxPayloadBytes(type: number): number | null {
  switch (type) {
    case TO.load:
      return MAX_LOAD_BYTES
    case TO.invoke:
    case FROM.call:
      return MAX_INPUT_BYTES + MAX_SMALL_BYTES
    case TO.returned:
      return MAX_OUTPUT_BYTES + MAX_SMALL_BYTES
    case FROM.result:
      return MAX_OUTPUT_BYTES
    case FROM.progress:
      return MAX_PROGRESS_BYTES
    case FROM.log:
      return 8_193
    default:
      return KNOWN.has(type) ? MAX_SMALL_BYTES : null
  }
}

const KNOWN: ReadonlySet<number> = new Set([...Object.values(TO), ...Object.values(FROM)])

/** What a supervisor may say that a call ended by. What means "try again elsewhere" is not for a sandbox to say. */
export const ENDS: ReadonlySet<string> = new Set([
  'crashed',
  'timeout',
  'cancelled',
  'oom',
  'pids_exhausted',
  'output_limit',
  'invalid_output',
  'protocol',
])

export interface Frame {
  readonly type: number
  readonly call: number
  readonly payload: Buffer
}
