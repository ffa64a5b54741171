#!/usr/bin/env node
/** The entry of the `openclaw` command: finds the command, runs it, and turns what went wrong into words and an exit code. */
import { InvalidError } from '#contract'
import { readCall } from './command.ts'
import type { Command, World } from './command.ts'
import { COMMANDS, findCommand } from './commands.ts'
import { CommandError, EXIT } from './exit.ts'
import type { ExitCode } from './exit.ts'
import { Output } from './output.ts'

process.exitCode = await main(process.argv.slice(2))

async function main(args: readonly string[]): Promise<ExitCode> {
  const { env } = process
  const isColoured = process.stdout.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  const out = new Output({ stdout: process.stdout, stderr: process.stderr, isColoured })
  // Whoever reads our output may have read enough (`| head`).
  process.stdout.on('error', () => process.exit(EXIT.ok))
  const interrupt = new AbortController()
  const world: World = { env, cwd: process.cwd(), stdin: process.stdin, out, signal: interrupt.signal }
  try {
    const { name, rest } = findCommand(args)
    const { help } = await import('./commands/help.ts')
    const command = name === 'help' ? help : await COMMANDS[name].load()
    const call = readCall(name, command, rest)
    if (call === 'help') return await runHelp(help, name, world)
    // `start` has the gateway's own way to stop.
    if (name !== 'start') process.once('SIGINT', () => interrupt.abort())
    return await command.run(call, world)
  } catch (error) {
    out.note(`openclaw: ${messageOf(error)}`)
    return error instanceof CommandError ? error.exit : EXIT.failed
  }
}

function runHelp(help: Command, name: string, world: World): Promise<ExitCode> {
  const call = readCall('help', help, name === 'help' ? [] : [name])
  return call === 'help' ? Promise.resolve(EXIT.ok) : help.run(call, world)
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const faults = error instanceof InvalidError ? error.faults.map((fault) => `\n  ${fault.detail}`) : []
  return error.message + faults.join('')
}
