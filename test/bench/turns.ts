/** Whole turns: accepted, through an agent and its model (an OpenAI-compatible stub on loopback), answered. */
import { startGateway } from '../support/gateway-process.ts'
import { runLoad } from './job.ts'
import type { Bench } from './measure.ts'
import { turnJob } from './messages.ts'
import { startModel } from './model.ts'

const OFFERED_PER_SECOND = 1_000
/** A conversation of twenty messages, then the next: no history grows without end. */
const TURNS_PER_USER = 20

export const turns: Bench = async (options) => {
  const { seconds, say } = options
  const config = await startModel(options)
  const gateway = await startGateway(options, { config })
  const until = { seconds, warmupSeconds: 3 }

  say('32 senders')
  const many = await runLoad(turnJob(gateway, { connections: 32, pace: 'closed', until, turnsPerUser: TURNS_PER_USER }))
  say('1 sender')
  const one = await runLoad(turnJob(gateway, { connections: 1, pace: 'closed', until, turnsPerUser: TURNS_PER_USER }))
  say(`${OFFERED_PER_SECOND} a second offered`)
  const pace = { perSecond: OFFERED_PER_SECOND }
  const offered = await runLoad(turnJob(gateway, { connections: 256, pace, until, turnsPerUser: TURNS_PER_USER }))
  await gateway.kill9()

  say('one session')
  const fresh = await startGateway(options, { config })
  const session = await runLoad(turnJob(fresh, { connections: 64, pace: 'closed', until, user: 'the-only-one' }))

  return [
    { what: 'turns, 32 senders', value: many.perSecond, unit: '/s', target: { atLeast: 2_500 } },
    { what: 'p50, 32 senders', value: many.p50Ms, unit: 'ms' },
    { what: 'p99, 32 senders', value: many.p99Ms, unit: 'ms' },
    { what: 'p50, 1 sender', value: one.p50Ms, unit: 'ms', target: { atMost: 3 } },
    { what: 'turns, 1 sender', value: one.perSecond, unit: '/s' },
    { what: `p50 at ${OFFERED_PER_SECOND}/s offered`, value: offered.p50Ms, unit: 'ms', note: 'from when each was due' },
    {
      what: `p99 at ${OFFERED_PER_SECOND}/s offered`,
      value: offered.p99Ms,
      unit: 'ms',
      target: { below: 100 },
      note: `${Math.round(offered.perSecond)}/s done`,
    },
    {
      what: 'turns of one session, in order',
      value: session.perSecond,
      unit: '/s',
      target: { atLeast: 400 },
      note: '64 messages outstanding',
    },
    { what: 'not done', value: many.wrong + one.wrong + offered.wrong + session.wrong, unit: '', target: { atMost: 0 } },
  ]
}
