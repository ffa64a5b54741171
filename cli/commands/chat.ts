/** `openclaw chat`: talk to an agent, at the terminal or through a pipe. */
import { clearLine, createInterface, cursorTo } from 'node:readline'
import type { Interface } from 'node:readline'
import { Conversation } from '../chat/conversation.ts'
import { JsonScreen, PlainScreen, TerminalScreen } from '../chat/screen.ts'
import type { Command, World } from '../command.ts'
import { EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { Remote } from '../remote.ts'

/** Through a pipe, so many messages may be unanswered before the next line is read. */
const MAX_OPEN = 32

export const chat: Command = {
  summary: 'Talk to an agent; Ctrl-D ends. Through a pipe each line is a message, and it ends when all are answered.',
  verbs: { '': '' },
  options: { conversation: { value: 'NAME', help: 'which conversation (main); the agent remembers each by itself' } },
  run: async (call, world) => {
    const remote = await Remote.find(world)
    const name = call.text('conversation') ?? 'main'
    const isTalk = world.stdin.isTTY === true && world.out.isTerminal && !call.json
    return isTalk ? await talk(remote, name, world) : await pipe(remote, name, world, call.json)
  },
}

/** Runs the conversation beside whatever feeds it, until one of them ends. */
async function beside(conversation: Conversation, feed: Promise<void>, stop: AbortController): Promise<void> {
  const running = conversation.run()
  try {
    await Promise.race([running, feed])
  } finally {
    stop.abort()
    await running.catch(() => undefined)
  }
}

async function pipe(remote: Remote, name: string, world: World, json: boolean): Promise<ExitCode> {
  const { stdin, out, signal } = world
  const stop = new AbortController()
  let wake: (() => void) | undefined
  const screen = json ? new JsonScreen(out) : new PlainScreen(out)
  const conversation = new Conversation({
    remote,
    find: () => Remote.find(world),
    name,
    screen,
    signal: AbortSignal.any([signal, stop.signal]),
    settled: () => wake?.(),
  })
  const lines = createInterface({ input: stdin })
  const until = async (bound: number): Promise<void> => {
    while (conversation.openCount > bound) await new Promise<void>((resolve) => (wake = resolve))
  }
  const feed = async (): Promise<void> => {
    for await (const line of lines) {
      if (line.trim() === '') continue
      conversation.say(line)
      await until(MAX_OPEN - 1)
    }
    await until(0)
  }
  try {
    await beside(conversation, feed(), stop)
  } finally {
    lines.close()
    stdin.destroy()
  }
  return conversation.hasFailed || conversation.openCount > 0 ? EXIT.failed : EXIT.ok
}

async function talk(remote: Remote, name: string, world: World): Promise<ExitCode> {
  const { stdin, out, signal } = world
  const stop = new AbortController()
  const lines = createInterface({ input: stdin, output: process.stdout, prompt: '> ' })
  const conversation = new Conversation({
    remote,
    find: () => Remote.find(world),
    name,
    screen: new TerminalScreen(out, promptOf(lines)),
    signal: AbortSignal.any([signal, stop.signal]),
  })
  out.line(out.style('dim', `${remote.place.url}, conversation "${name}". Ctrl-D ends.`))
  lines.on('line', (line) => {
    if (line.trim() === '') lines.prompt()
    else conversation.say(line)
  })
  const ended = new Promise<void>((resolve) => lines.once('close', resolve))
  lines.on('SIGINT', () => lines.close())
  lines.prompt()
  try {
    await beside(conversation, ended, stop)
  } finally {
    lines.close()
    out.line()
  }
  return EXIT.ok
}

/** The prompt gives way to what comes in, and comes back with what was typed so far. */
function promptOf(lines: Interface): { show(): void; clear(): void } {
  return {
    show: () => lines.prompt(true),
    clear: () => {
      cursorTo(process.stdout, 0)
      clearLine(process.stdout, 0)
    },
  }
}
