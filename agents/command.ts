/**
 * Commands: what a person may say to the gateway rather than to the model. They work for every agent, before and without any model.
 */
import type { Ending, Turn } from '#contract'
import { clientTurnOf, isJsonObject, toolText } from '#contract'
import type { JsonValue } from '#contract'

const HELP = [
  '/help — these lines',
  '/status — who answers here, and how it is',
  '/reset — forget this conversation and start anew',
  '/skills — what can be run',
  '/skill NAME {json} — run one skill',
].join('\n')

export interface CommandContext {
  /** `provider/model`, in the order in which they are tried. */
  readonly chain: readonly string[]
  /** A line about the gateway; empty: none. */
  readonly status: string
}

/** null: it is no command. */
export async function runCommand(turn: Turn, context: CommandContext): Promise<Ending | null> {
  const [envelope, ...more] = turn.envelopes
  if (envelope === undefined || more.length > 0 || !('text' in envelope.payload) || clientTurnOf(envelope) !== null) return null
  const match = /^\/(help|status|reset|skills|skill)(?:\s+([\s\S]*))?$/.exec(envelope.payload.text)
  if (match === null) return null
  const rest = (match[2] ?? '').trim()
  switch (match[1] ?? '') {
    case 'help':
      return reply(HELP)
    case 'status':
      return reply(status(turn, context))
    case 'reset':
      return { ...reply('Done. I have forgotten this conversation; we start anew.'), reset: true }
    case 'skills':
      return reply(skills(turn))
    default:
      return reply(await skill(turn, rest))
  }
}

const reply = (text: string): Ending => ({ outcome: { kind: 'reply', text } })

function status(turn: Turn, context: CommandContext): string {
  return [
    `Agent ${turn.agent.name} ${turn.agent.version} answers with ${context.chain.join(', then ')}.`,
    `Session ${turn.session} remembers ${turn.history.length} messages.`,
    ...(context.status === '' ? [] : [context.status]),
  ].join('\n')
}

function skills(turn: Turn): string {
  if (turn.skills.length === 0) return 'This agent has no skills.'
  return turn.skills.map((skill) => `${skill.id} ${skill.version}${skill.description === '' ? '' : ` — ${skill.description}`}`).join('\n')
}

async function skill(turn: Turn, rest: string): Promise<string> {
  const [, name = '', json = ''] = /^(\S*)\s*([\s\S]*)$/.exec(rest) ?? []
  if (name === '') return 'Say which: /skill NAME {json}. /skills tells the names.'
  const input = parse(json)
  if (input === null) return toolText({ status: 'error', code: 'invalid_input', message: 'the input is not a JSON object' })
  if (!turn.skills.some(({ id }) => id === name)) {
    return toolText({ status: 'error', code: 'not_found', message: `this agent has no skill "${name}"` })
  }
  return toolText(await turn.skill({ id: 'c1', skill: name, input }))
}

function parse(json: string): JsonValue {
  if (json === '') return {}
  try {
    const value: unknown = JSON.parse(json)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}
