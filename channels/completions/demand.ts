/**
 * What a client demands of an answer beyond words: a call, or JSON of a schema. Refused by name where the models of the agent have no way to be held to it;
 * and since they are only asked, an answer is looked at before it passes for what was demanded.
 */
import type { ChannelHost, ClientTurn, JsonValue } from '#contract'
import type { Answer, Failed } from './answer.ts'
import type { Ask } from './ask.ts'
import { unsupported, wrong } from './read.ts'

/** Throws for what cannot be had. An agent that is not there is told when it is asked. */
export async function checkDemands(host: ChannelHost, tenant: string, { agent, formatAt, turn: { choice, format } }: Ask): Promise<void> {
  if (choice === 'auto' && format === null) return
  const abilities = host.abilities(tenant, agent)
  if (abilities === null) return
  if (choice !== 'auto' && !abilities.includes('forced-call'))
    throw unsupported('tool_choice', 'the models of this agent cannot be made to call: auto or none')
  if (format === null) return
  if (!abilities.includes('json-schema')) throw unsupported(formatAt, 'the models of this agent answer with text')
  const fault = await host.schemas.fault(format.schema)
  if (fault !== null) throw wrong(`${formatAt}/schema${fault.pointer.slice(1)}`, fault.detail)
}

/** An answer that was cut, or refused, says so itself. */
export async function heldTo(host: ChannelHost, { choice, format }: ClientTurn, answer: Answer): Promise<Answer | Failed> {
  const { calls, finish, text } = answer
  if (finish === 'length' || finish === 'refusal') return answer
  if (choice !== 'auto' && !calls.some(({ skill }) => choice === 'required' || skill === choice.tool))
    return unfit('The model made no call, although one was required.')
  if (format === null || calls.length > 0) return answer
  const value = parsed(text)
  if (value === undefined) return unfit('The model did not answer with JSON, although a schema was given.')
  const [fault] = await host.schemas.check(format.schema, value)
  return fault === undefined ? answer : unfit(`The model's answer does not fit the schema: ${fault.pointer} ${fault.detail}.`)
}

const unfit = (message: string): Failed => ({ status: 502, code: 'ANSWER_UNFIT', message })

function parsed(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    return undefined
  }
}
