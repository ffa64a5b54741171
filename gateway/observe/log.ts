/**
 * The log: one JSON object a line (pino) or one line of text for people, on standard error. Every word passes the redaction first. What is
 * logged is everybody's own; levels can change while the gateway runs.
 */
import { pino } from 'pino'
import type { Logger } from 'pino'
import type { JsonObject, Log, LogFields } from '#contract'
import { Redactor } from './redact.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LogOptions {
  readonly level: LogLevel
  readonly format: 'json' | 'text'
  readonly version: string
  /** Which of several gateways it is. */
  readonly node?: string
  /** Where lines go; default: standard error. */
  readonly destination?: { write(line: string): void }
  readonly redactor?: Redactor
  /** Epoch milliseconds. */
  readonly now?: () => number
}

export interface GatewayLog extends Log {
  /** For this log and all its children. */
  setLevel(level: LogLevel): void
  /** At the end: resolves when what is still buffered is written, or cannot be. Nothing is logged after. */
  flush(): Promise<void>
}

export function createLog(options: LogOptions): GatewayLog {
  const { now = Date.now, redactor = new Redactor() } = options
  const stderr = options.destination ? null : new StandardError()
  const destination = options.destination ?? stderr ?? process.stderr
  const threshold = { level: LEVELS[options.level] }
  const base = { service: 'openclaw', version: options.version, ...(options.node !== undefined && { node_id: options.node }) }
  const writer = options.format === 'json' ? jsonWriter(destination, base, now) : textWriter(destination, {}, now)
  return Object.assign(logOver(writer, redactor, threshold), {
    setLevel: (level: LogLevel) => {
      threshold.level = LEVELS[level]
    },
    flush: () => stderr?.flush() ?? Promise.resolve(),
  })
}

const LEVELS: { readonly [Level in LogLevel]: number } = { debug: 20, info: 30, warn: 40, error: 50, silent: 100 }
/** Standard error, written behind the event loop's back; closed for good at the first error, as when its terminal is gone. */
class StandardError {
  readonly #stream = pino.destination({ fd: 2, sync: false, maxLength: MAX_BUFFERED_BYTES })
  #isClosed = false

  constructor() {
    this.#stream.on('error', () => this.#close())
    // pino's hook at exit calls it, and it tries a broken terminal again without end; `flush` is asked before the end instead.
    this.#stream.flushSync = () => undefined
  }

  write(line: string): void {
    if (!this.#isClosed) this.#stream.write(line)
  }

  /** Ends it: nothing is written after. */
  flush(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    this.#isClosed = true
    return new Promise((resolve) => {
      const bound = setTimeout(resolve, FLUSH_LIMIT_MS)
      for (const end of ['close', 'error'])
        this.#stream.once(end, () => {
          clearTimeout(bound)
          resolve()
        })
      this.#stream.end()
    })
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stream.destroy()
  }
}

const FLUSH_LIMIT_MS = 500
/** When nobody reads standard error, lines beyond this are dropped rather than kept in memory. */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024

type Level = Exclude<LogLevel, 'silent'>
interface Writer {
  write(level: Level, fields: JsonObject, message: string): void
  child(fields: JsonObject): Writer
}

function logOver(writer: Writer, redactor: Redactor, threshold: { readonly level: number }): Log {
  const at =
    (level: Level) =>
    (fields: LogFields, message: string): void => {
      if (LEVELS[level] >= threshold.level) writer.write(level, redactor.fields(fields), redactor.text(message))
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => logOver(writer.child(redactor.fields(fields)), redactor, threshold),
  }
}

function jsonWriter(destination: { write(line: string): void }, base: JsonObject, now: () => number): Writer {
  const logger = pino(
    {
      level: 'debug',
      base,
      timestamp: () => `,"ts":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  )
  const over = (logger: Logger): Writer => ({
    write: (level, fields, message) => logger[level](fields, message),
    child: (fields) => over(logger.child(fields)),
  })
  return over(logger)
}

/** `14:03:07.123 INFO  accepted channel=http message_id=msg-…` in local time. */
function textWriter(destination: { write(line: string): void }, bound: JsonObject, now: () => number): Writer {
  return {
    write: (level, fields, message) => {
      const at = new Date(now())
      const time = `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, '0')}`
      const words = Object.entries({ ...bound, ...fields }).map(([name, value]) => ` ${name}=${plain(value)}`)
      destination.write(`${time} ${level.toUpperCase().padEnd(5)} ${message}${words.join('')}\n`)
    },
    child: (fields) => textWriter(destination, { ...bound, ...fields }, now),
  }
}

const plain = (value: unknown): string => (typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value))
