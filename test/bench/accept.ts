/**
 * Durable, authenticated acceptance against Express doing nothing, in turns on the same machine. The agents are held by a model
 * that never answers, so that what is measured is acceptance alone and nothing is worked off while the other is measured.
 */
import { join } from 'node:path'
import { startChild } from '../support/child.ts'
import { startGateway } from '../support/gateway-process.ts'
import { runLoad, type LoadResult } from './job.ts'
import { median, type Bench, type BenchOptions } from './measure.ts'
import { acceptJob } from './messages.ts'
import { startModel, startSilentModel } from './model.ts'
import { eventLoopDelayP99Ms } from './vitals.ts'

const ROUNDS = 3
const CONNECTIONS = 32

export const accept: Bench = async (options) => {
  const { seconds, say } = options
  const { config } = await startSilentModel(options)
  const gateway = await startGateway(options, { config })
  const bare = startChild([join(import.meta.dirname, 'bare-express.ts')])
  options.after(async () => void (await bare.kill9()))
  const [bareUrl] = await bare.said(/http:\S+/, 10_000)
  const shape = { connections: CONNECTIONS, pace: 'closed', until: { seconds, warmupSeconds: 2 } } as const

  const ours: LoadResult[] = []
  const theirs: LoadResult[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}: gateway`)
    ours.push(await runLoad(acceptJob(gateway, shape)))
    say(`round ${round} of ${ROUNDS}: bare Express`)
    theirs.push(await runLoad(acceptJob({ url: bareUrl, key: gateway.key }, shape)))
  }
  const delay = await eventLoopDelayP99Ms(gateway)
  await Promise.all([gateway.kill9(), bare.kill9()])

  const ratio = median(ours.map((our, round) => our.perSecond / (theirs[round]?.perSecond ?? NaN)))
  const wrong = ours.reduce((sum, result) => sum + result.wrong, 0)
  const worked = await whileAnswering(options)
  return [
    {
      what: 'durable POST /v1/messages, of bare Express',
      value: ratio,
      unit: '×',
      target: { atLeast: 0.6 },
      note: `median of ${ROUNDS} rounds in turns`,
    },
    { what: 'durable POST /v1/messages', value: median(ours.map((r) => r.perSecond)), unit: '/s' },
    { what: 'bare Express', value: median(theirs.map((r) => r.perSecond)), unit: '/s' },
    { what: 'p50', value: median(ours.map((r) => r.p50Ms)), unit: 'ms' },
    { what: 'p99', value: median(ours.map((r) => r.p99Ms)), unit: 'ms', target: { below: 20 } },
    { what: 'p99 of bare Express', value: median(theirs.map((r) => r.p99Ms)), unit: 'ms' },
    { what: 'not 202', value: wrong, unit: '', target: { atMost: 0 } },
    { what: 'event-loop delay p99', value: delay, unit: 'ms', target: { below: 50 } },
    { what: 'the same while agents answer', value: worked.perSecond, unit: '/s', note: 'accepts only; the answers share the processors' },
  ]
}

async function whileAnswering(options: BenchOptions): Promise<LoadResult> {
  options.say('gateway whose agents answer')
  const gateway = await startGateway(options, { config: await startModel(options) })
  return runLoad(
    acceptJob(gateway, {
      connections: CONNECTIONS,
      pace: 'closed',
      until: { seconds: options.seconds, warmupSeconds: 2 },
      turnsPerUser: 20,
    }),
  )
}
