/**
 * Baileys's log, written to ours. Of what it passes along (stanzas, keys, messages) nothing is taken over, only its own sentence, and of
 * an error its name.
 */
import type { Log } from '#contract'

/** As Baileys wants it. At level info it never serialises what goes over the wire. */
export interface BaileysLogger {
  level: string
  child(): BaileysLogger
  trace(): void
  debug(): void
  info(given: unknown, sentence?: string): void
  warn(given: unknown, sentence?: string): void
  error(given: unknown, sentence?: string): void
}

export function baileysLogger(log: Log): BaileysLogger {
  const tell = (given: unknown, sentence?: string): void => {
    const said = sentence ?? (typeof given === 'string' ? given : 'no words')
    log.debug({ library: 'baileys', error: nameOf(given) }, said.slice(0, MAX_CHARS))
  }
  const logger: BaileysLogger = {
    level: 'info',
    child: () => logger,
    trace: () => {},
    debug: () => {},
    info: tell,
    warn: tell,
    error: tell,
  }
  return logger
}

const MAX_CHARS = 200

function nameOf(given: unknown): string | undefined {
  if (typeof given !== 'object' || given === null) return undefined
  const error = 'err' in given ? given.err : 'error' in given ? given.error : undefined
  return error instanceof Error ? error.name : undefined
}
