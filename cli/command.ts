/**
 * What a command is, and how its line is read: verbs, positionals and options, each misspelling answered with the nearest word that is
 * known. What a command does stands in `commands/`.
 */
import type { Readable } from 'node:stream'
import { parseArgs } from 'node:util'
import { nearest } from '#contract'
import { CommandError, EXIT } from './exit.ts'
import type { ExitCode } from './exit.ts'
import type { Output } from './output.ts'

/** The world outside, handed in so that commands can be run in tests. */
export interface World {
  readonly env: { readonly [name: string]: string | undefined }
  readonly cwd: string
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly out: Output
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}

export interface CommandOption {
  /** What its value is called in the help; none: it is a switch. */
  readonly value?: string
  readonly help: string
  /** May be repeated. As `words` it may also hold several, with commas between, and be named in the singular. */
  readonly many?: 'whole' | 'words'
}

export interface Command {
  /** One line in the list of commands. */
  readonly summary: string
  /** Verb → its positionals, as shown: `<id>` must be there, `[session]` may. A command without verbs has the verb ''. The first is the default. */
  readonly verbs: { readonly [verb: string]: string }
  readonly options?: { readonly [name: string]: CommandOption }
  run(call: Call, world: World): Promise<ExitCode>
}

export interface Call {
  readonly verb: string
  readonly words: readonly string[]
  readonly json: boolean
  text(option: string): string | undefined
  texts(option: string): readonly string[]
  has(option: string): boolean
}

/** For all commands. */
export const COMMON_OPTIONS: { readonly [name: string]: CommandOption } = {
  json: { help: 'print JSON' },
  help: { help: 'print how this command is used' },
}

export function readCall(name: string, command: Command, args: readonly string[]): Call | 'help' {
  const options = { ...COMMON_OPTIONS, ...command.options }
  const { values, positionals } = parse(name, options, inPlural(options, args))
  if (values['help'] === true) return 'help'
  const [verb, words] = splitVerb(name, command, positionals)
  checkWords(name, verb, command.verbs[verb] ?? '', words)
  return {
    verb,
    words,
    json: values['json'] === true,
    text: (option) => [values[option]].flat().find((value) => typeof value === 'string'),
    texts: (option) => {
      const given = [values[option]].flat().filter((value) => typeof value === 'string')
      return options[option]?.many === 'words' ? given.flatMap(wordsOf) : given
    },
    has: (option) => values[option] !== undefined,
  }
}

/** `--scope a --scope b` reads better than `--scopes a --scopes b`, and is the same. */
function inPlural(options: { readonly [name: string]: CommandOption }, args: readonly string[]): readonly string[] {
  const end = args.indexOf('--')
  return args.map((arg, at) => {
    const [, singular, rest = ''] = (end < 0 || at < end ? /^--([^=]+)(=.*)?$/s.exec(arg) : null) ?? []
    return singular !== undefined && options[`${singular}s`]?.many === 'words' ? `--${singular}s${rest}` : arg
  })
}

const wordsOf = (text: string): readonly string[] =>
  text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')

type Values = { readonly [name: string]: string | boolean | (string | boolean)[] | undefined }

function parse(
  name: string,
  options: { readonly [name: string]: CommandOption },
  args: readonly string[],
): { readonly values: Values; readonly positionals: readonly string[] } {
  const known = Object.fromEntries(
    Object.entries(options).map(([option, { value, many }]) => [
      option,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), multiple: many !== undefined },
    ]),
  )
  const short = args.map((arg) => (arg === '-h' ? '--help' : arg))
  for (const arg of short) {
    if (arg === '--') break
    const option = /^--([^=]+)/.exec(arg)?.[1]
    if (option !== undefined && !Object.hasOwn(known, option))
      throw misspelt(`no option --${option}`, `openclaw ${name}`, option, Object.keys(known), '--')
  }
  try {
    return parseArgs({ args: [...short], options: known, allowPositionals: true, strict: true })
  } catch (error) {
    throw new CommandError(`${error instanceof Error ? error.message : String(error)}\nTry: openclaw help ${name}`, EXIT.usage)
  }
}

function splitVerb(name: string, command: Command, positionals: readonly string[]): readonly [string, readonly string[]] {
  const verbs = Object.keys(command.verbs)
  if (verbs.includes('')) return ['', positionals]
  const [verb, ...words] = positionals
  if (verb === undefined) return [verbs[0] ?? '', []]
  if (!verbs.includes(verb)) throw misspelt(`no command "${verb}"`, `openclaw ${name}`, verb, verbs)
  return [verb, words]
}

function checkWords(name: string, verb: string, shape: string, words: readonly string[]): void {
  const slots = shape.split(' ').filter((slot) => slot !== '')
  const needed = slots.filter((slot) => slot.startsWith('<'))
  const missing = needed[words.length]
  const full = `openclaw ${[name, verb, shape].filter((part) => part !== '').join(' ')}`
  if (missing !== undefined) throw new CommandError(`${missing} is missing. Usage: ${full}`, EXIT.usage)
  if (words.length > slots.length) throw new CommandError(`"${words[slots.length]}" is one word too many. Usage: ${full}`, EXIT.usage)
}

export function misspelt(what: string, whose: string, word: string, known: readonly string[], prefix = ''): CommandError {
  const guess = nearest(word, known)
  const hint = guess === null ? `It has ${known.map((each) => prefix + each).join(', ')}.` : `Did you mean ${prefix}${guess}?`
  return new CommandError(`${whose} has ${what}. ${hint}`, EXIT.usage)
}
