/**
 * What the brokers' benches share: a queue that is full is read to its end by the gateway, and by bare consumers, in turns on the same broker. The
 * agents are held by a model that never answers, so that what is measured is acceptance alone. How a broker is fed is left to its bench.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startChild } from '../support/child.ts'
import { startGateway, type GatewayProcess } from '../support/gateway-process.ts'
import { median, type BenchOptions, type Measure } from './measure.ts'
import { startSilentModel } from './model.ts'

const ROUNDS = 3
const PEOPLE = 1_000
const LOOK_MS = 25
/** A look counts all that is stored, and so holds up what it measures. */
const LONGEST_LOOK_MS = 200
export const WITHIN_MS = 180_000
/** About what a service, or a device, writes about an order. */
const BODY = { order: 'A-10492', items: [{ sku: 'blue-shirt-m', count: 2 }], total: '59.80', note: 'Leave it at the door, please.' }

export const orderText = (number: number): string => JSON.stringify({ ...BODY, number })
export const personOf = (number: number): string => `user-${number % PEOPLE}`

export interface Side {
  readonly name: string
  /** Fills a queue of that name, has it read, and answers how many were read a second. */
  readonly run: (queue: string) => Promise<number>
}

/** The rates of each side, round by round. */
export async function inTurns({ say }: BenchOptions, sides: readonly Side[]): Promise<readonly (readonly number[])[]> {
  const rates = sides.map((): number[] => [])
  for (let round = 1; round <= ROUNDS; round++) {
    for (const [at, { name, run }] of sides.entries()) {
      say(`round ${round} of ${ROUNDS}: ${name}`)
      rates[at]?.push(await run(`${name.replaceAll(/[ ,]+/g, '-')}-${round}`))
    }
  }
  return rates
}

export const durableIntake = (ours: readonly number[], count: number, more = ''): Measure => ({
  what: 'durable intake',
  value: median(ours),
  unit: '/s',
  target: { atLeast: 3_000 },
  note: `median of ${ROUNDS} rounds in turns, ${count} messages each${more}`,
})

export const against = (ours: readonly number[], theirs: readonly number[]): number =>
  median(ours.map((our, round) => our / (theirs[round] ?? Number.NaN)))

/** With one account, whose agents are held. */
export async function startIntake(options: BenchOptions, account: { readonly [key: string]: unknown }): Promise<GatewayProcess> {
  const { config } = await startSilentModel(options)
  return startGateway(options, { config: { ...config, channels: { bench: account } } })
}

/** From the first acceptance that is seen to the last. */
export async function acceptedPerSecond(gateway: GatewayProcess, count: number, uncounted = 0): Promise<number> {
  const look = async (): Promise<number> => {
    const text = await (await gateway.fetch('/api/metrics')).text()
    const line = /^openclaw_messages_total\{[^}]*channel="bench"[^}]*direction="in"[^}]*status="accepted"[^}]*\} (\d+)/m.exec(text)
    return Number(line?.[1] ?? 0)
  }
  return progressPerSecond(count, look, uncounted)
}

/** From the first look that sees more than `uncounted` done to the one that sees all. */
export async function progressPerSecond(count: number, look: () => Promise<number>, uncounted = 0): Promise<number> {
  let first: { readonly at: number; readonly done: number } | null = null
  let pauseMs = LOOK_MS
  for (const deadline = Date.now() + WITHIN_MS; Date.now() < deadline; await delay(pauseMs)) {
    const done = await look()
    const at = performance.now()
    if (done > uncounted) first ??= { at, done }
    if (first === null || (done === first.done && done < count)) continue
    const perMs = (done - first.done) / (at - first.at)
    if (done >= count) return perMs * 1_000
    pauseMs = Math.min(LONGEST_LOOK_MS, Math.max(LOOK_MS, (count - done) / perMs / 2))
  }
  throw new Error(`${count} messages were not read within ${WITHIN_MS} ms`)
}

/** Of a bare consumer, by what it says itself. */
export async function barePerSecond(script: string, args: readonly string[]): Promise<number> {
  const child = startChild([join(import.meta.dirname, script), ...args])
  try {
    const [, perSecond] = await child.said(/read (\d+) a second/, WITHIN_MS)
    return Number(perSecond)
  } finally {
    await child.kill9()
  }
}
