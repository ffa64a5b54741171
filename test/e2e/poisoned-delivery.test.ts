/**
 * One chat to which nothing can be delivered, two hundred answers waiting for it and tried again and again: everybody else on the
 * same channel is answered meanwhile, about as fast as without it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudWorld } from '../channels/whatsapp-cloud/world.ts'
import { startGateway } from '../support/gateway-process.ts'

const POISON = 200
// Well below what the platform allows the account, so that its limit is not what is measured.
const OTHERS = 8
const EACH = 3
const MALLORY = '15559999999'

test('a chat that cannot be reached delays nobody else', { timeout: 90_000 }, async (context) => {
  const world = await CloudWorld.open(context)
  const { fake } = world
  fake.unreachable.add(MALLORY)
  const gateway = await startGateway(context, {
    config: {
      channels: { wire: { ...world.settings, access: 'open' } },
      agents: { assistant: { queue: { cap: 1 } } },
      delivery: { attempts: 100, base: '20ms', cap: '50ms' },
    },
  })
  await world.attach(gateway)

  const say = (from: string, body: string): number => {
    const id = fake.newId()
    fake.notify(id, { messages: [{ from, id, timestamp: '1700000000', type: 'text', text: { body } }] })
    return performance.now()
  }
  /** When the answer to it came. */
  const answered = async (to: string, body: string): Promise<number> => {
    for (;;) {
      const change = world.changed()
      if (world.arrived().some((part) => part.chat === to && part.text.endsWith(body))) return performance.now()
      await change
    }
  }
  let people = 0
  /** People nobody wrote to before, each with some messages, one after the other. */
  const others = async (): Promise<number> => {
    const took: number[] = []
    const person = async (number: string): Promise<void> => {
      for (let at = 0; at < EACH; at++) {
        const saidAt = say(number, `word ${at}`)
        took.push((await answered(number, `word ${at}`)) - saidAt)
      }
    }
    await Promise.all(Array.from({ length: OTHERS }, () => person(`1555${String(1_000_000 + people++)}`)))
    return took.toSorted((a, b) => a - b)[Math.floor(took.length * 0.95)] ?? 0
  }
  await others()
  const without = await others()
  for (let at = 0; at < POISON; at++) say(MALLORY, `poison ${at}`)
  while (fake.failures === 0 || fake.waiting.size > 0) await world.changed()
  const beside = await others()
  context.diagnostic(`p95 of others without it ${without.toFixed(1)} ms, beside it ${beside.toFixed(1)} ms; ${fake.failures} failures`)

  assert.ok(fake.failures > 1, 'it was tried again')
  assert.ok(!world.arrived().some(({ chat }) => chat === MALLORY))
  const { data } = (await (await gateway.fetch('/v1/dead-letters')).json()) as { readonly data: readonly unknown[] }
  assert.deepEqual(data, [], 'nothing was given up meanwhile')
})
