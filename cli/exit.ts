/** How a command ends: codes for scripts, and the errors that carry them. */

export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, denied: 4, missing: 5 } as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** In the order of the codes, for `help`. */
export const EXIT_MEANINGS: readonly (readonly [ExitCode, string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.failed, 'failed, the reason is on standard error'],
  [EXIT.usage, 'the command line is wrong'],
  [EXIT.unreachable, 'no gateway can be reached'],
  [EXIT.denied, 'the key is not valid or may not do this'],
  [EXIT.missing, 'what was asked for is not there'],
]

/** Ends the command with a code and a sentence for people, of what failed and what to do. */
export class CommandError extends Error {
  readonly exit: ExitCode
  constructor(message: string, exit: ExitCode, cause?: unknown) {
    super(message, { cause })
    this.name = 'CommandError'
    this.exit = exit
  }
}
