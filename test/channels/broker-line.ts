/**
 * What tests of a gateway and its broker on a bad line share: a burst and the order of its replies, one account, what a client has been answered.
 * The broker, its clients and the scenes are each test's own.
 */
import assert from 'node:assert/strict'
import type { JsonObject } from '#contract'
import type { GatewayProcess } from '../support/gateway-process.ts'

const USERS = 20
const EACH = 100

/** Two thousand texts `user.number.` of twenty people, in turns. */
export const BURST: readonly string[] = Array.from({ length: USERS * EACH }, (_, at) => `user${at % USERS}.${Math.floor(at / USERS)}.`)

/** One reply to each of the burst, in the order in which that user wrote. */
export function assertAnswered(given: Iterable<string>): void {
  const replies = [...given]
  assert.equal(replies.length, BURST.length)
  for (const user of Array.from({ length: USERS }, (_, at) => `user${at}`)) {
    const said = replies.flatMap((reply) => new RegExp(`You said: ${user}\\.(\\d+)\\.`).exec(reply)?.[1] ?? []).map(Number)
    assert.deepEqual(
      said,
      Array.from({ length: EACH }, (_, at) => at),
      user,
    )
  }
}

/** A gateway with this one account. */
export const configOf = (name: string, account: JsonObject): JsonObject => ({
  agents: { assistant: { queue: { cap: 1 } } },
  delivery: { base: '100ms', cap: '500ms' },
  channels: { [name]: account },
})

export async function stateOf(gateway: GatewayProcess, name: string): Promise<string> {
  const { data } = (await (await gateway.fetch('/v1/channels')).json()) as { readonly data: readonly { name: string; state: string }[] }
  return data.find((account) => account.name === name)?.state ?? 'none'
}

/** `replies`: texts, by what a repeat is known by. */
export const has = ({ replies }: { readonly replies: ReadonlyMap<string, string> }, text: string): boolean =>
  [...replies.values()].some((reply) => reply.includes(`You said: ${text}`))
