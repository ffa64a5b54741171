/** `openclaw help [command]`. */
import { COMMON_OPTIONS } from '../command.ts'
import type { Command } from '../command.ts'
import { COMMANDS, isCommand, unknownCommand } from '../commands.ts'
import { EXIT, EXIT_MEANINGS } from '../exit.ts'
import type { Output } from '../output.ts'

export const help: Command = {
  summary: 'Prints how commands are used.',
  verbs: { '': '[command]' },
  run: async ({ words: [name], json }, { out }) => {
    if (name === undefined) {
      if (json) out.json(Object.fromEntries(Object.entries(COMMANDS).map(([each, { summary }]) => [each, summary])))
      else overview(out)
      return EXIT.ok
    }
    if (!isCommand(name)) throw unknownCommand(name)
    const command = await COMMANDS[name].load()
    if (json) out.json({ name, summary: command.summary, verbs: command.verbs, options: { ...COMMON_OPTIONS, ...command.options } })
    else usage(out, name, command)
    return EXIT.ok
  },
}

function overview(out: Output): void {
  out.prose('OpenClaw carries messages between people, systems and agents, durably.')
  out.line('\nUsage: openclaw <command> [options]\n')
  for (const [name, { summary }] of Object.entries(COMMANDS)) out.prose(summary, `  ${name.padEnd(14)}`)
  out.prose('how commands are used', `  ${'help'.padEnd(14)}`)
  out.line()
  out.prose(
    'All commands take --json and --help. The gateway is found by OPENCLAW_URL and OPENCLAW_TOKEN, or by what it left in .openclaw/ of the folder (OPENCLAW_DIR).',
  )
  out.line('\nExit codes:')
  for (const [code, meaning] of EXIT_MEANINGS) out.prose(meaning, `  ${code}  `)
}

function usage(out: Output, name: string, command: Command): void {
  out.prose(command.summary)
  out.line('\nUsage:')
  for (const [verb, words] of Object.entries(command.verbs)) {
    out.prose(['openclaw', name, verb, words, '[options]'].filter((part) => part !== '').join(' '), '  ')
  }
  out.line('\nOptions:')
  const shown = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(
    ([option, { value, help }]) => [`--${option}${value === undefined ? '' : ` ${value}`}`, help] as const,
  )
  const width = Math.max(...shown.map(([option]) => option.length))
  for (const [option, meaning] of shown) out.prose(meaning, `  ${option.padEnd(width)}  `)
  if (Object.values(command.options ?? {}).some(({ many }) => many === 'words')) {
    out.line()
    out.prose('A LIST has commas between its words; the option may be repeated instead.')
  }
}
