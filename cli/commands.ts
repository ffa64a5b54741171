/** The commands there are, each loaded when it is called for, and how the first word of the line finds one. */
import { misspelt } from './command.ts'
import type { Command } from './command.ts'
import type { CommandError } from './exit.ts'

interface Entry {
  readonly summary: string
  readonly load: () => Promise<Command>
}

export type CommandName =
  | 'start'
  | 'chat'
  | 'status'
  | 'messages'
  | 'sessions'
  | 'dead-letters'
  | 'agents'
  | 'skills'
  | 'channels'
  | 'webhooks'
  | 'keys'
  | 'roles'
  | 'revocations'
  | 'whoami'
  | 'routes'
  | 'limits'
  | 'config'
  | 'secrets'
  | 'audit'
  | 'doctor'
  | 'version'

export const COMMANDS: { readonly [Name in CommandName]: Entry } = {
  start: { summary: 'run the gateway', load: async () => (await import('./commands/start.ts')).start },
  chat: { summary: 'talk to an agent', load: async () => (await import('./commands/chat.ts')).chat },
  status: { summary: 'how the gateway does', load: async () => (await import('./commands/status.ts')).status },
  messages: { summary: 'send, list and show messages', load: async () => (await import('./commands/messages.ts')).messages },
  sessions: { summary: 'what agents remember of whom', load: async () => (await import('./commands/sessions.ts')).sessions },
  'dead-letters': {
    summary: 'what was given up, and another try',
    load: async () => (await import('./commands/dead-letters.ts')).deadLetters,
  },
  agents: { summary: 'list and change the agents', load: async () => (await import('./commands/agents.ts')).agents },
  skills: { summary: 'write, test, register and call skills', load: async () => (await import('./commands/skills.ts')).skills },
  channels: { summary: 'list the channels', load: async () => (await import('./commands/channels.ts')).channels },
  keys: { summary: 'make, list, rotate and revoke API keys', load: async () => (await import('./commands/keys.ts')).keys },
  roles: { summary: 'make, list and remove roles', load: async () => (await import('./commands/roles.ts')).roles },
  revocations: { summary: 'call tokens back', load: async () => (await import('./commands/revocations.ts')).revocations },
  whoami: { summary: 'who this command is taken for', load: async () => (await import('./commands/whoami.ts')).whoami },
  webhooks: { summary: 'tell other systems what happens', load: async () => (await import('./commands/webhooks.ts')).webhooks },
  audit: { summary: 'who changed what, and whether the record is whole', load: async () => (await import('./commands/audit.ts')).audit },
  routes: { summary: 'which agent gets which message', load: async () => (await import('./commands/routes.ts')).routes },
  limits: { summary: 'how many requests are taken', load: async () => (await import('./commands/limits.ts')).limits },
  config: { summary: 'check and print the configuration', load: async () => (await import('./commands/config.ts')).config },
  secrets: { summary: 'check secrets, and keep them encrypted', load: async () => (await import('./commands/secrets.ts')).secrets },
  doctor: { summary: 'find out what is wrong, and what to do', load: async () => (await import('./commands/doctor.ts')).doctor },
  version: { summary: 'print the version', load: async () => (await import('./commands/version.ts')).version },
}

export const isCommand = (name: string): name is CommandName => Object.hasOwn(COMMANDS, name)

/** `help` stands beside them: it knows them all. */
export function findCommand(args: readonly string[]): { readonly name: CommandName | 'help'; readonly rest: readonly string[] } {
  const [first, ...rest] = args
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') return { name: 'help', rest }
  if (first === '--version' || first === '-v') return { name: 'version', rest }
  if (isCommand(first)) return { name: first, rest }
  throw unknownCommand(first)
}

export const unknownCommand = (name: string): CommandError =>
  misspelt(`no command "${name}"`, 'openclaw', name, [...Object.keys(COMMANDS), 'help'])
