/** A hundred thousand messages through the builtin model: does memory stay where it was, does the event loop stay free? */
import { startGateway } from '../support/gateway-process.ts'
import { runLoad } from './job.ts'
import type { Bench } from './measure.ts'
import { turnJob } from './messages.ts'
import { eventLoopDelayP99Ms, rssMb } from './vitals.ts'

const STRETCHES = 5
const MESSAGES_EACH = 20_000
/** What the garbage collector may leave lying about on one look or another. */
const FLAT_MB = 20

export const soak: Bench = async (options) => {
  const gateway = await startGateway(options)
  const rss: number[] = []
  const delays: (number | null)[] = []
  let wrong = 0
  for (let stretch = 1; stretch <= STRETCHES; stretch++) {
    options.say(`${stretch * MESSAGES_EACH} messages`)
    const result = await runLoad(
      turnJob(gateway, { connections: 32, pace: 'closed', until: { requests: MESSAGES_EACH }, turnsPerUser: 20 }),
    )
    wrong += result.wrong
    rss.push(rssMb(gateway.pid))
    delays.push(await eventLoopDelayP99Ms(gateway))
  }
  const [first = NaN] = rss
  const last = rss.at(-1) ?? NaN
  const total = (STRETCHES * MESSAGES_EACH).toLocaleString('en')
  return [
    {
      what: `memory grown from ${MESSAGES_EACH.toLocaleString('en')} to ${total}`,
      value: last - first,
      unit: 'MB',
      target: { atMost: FLAT_MB },
    },
    { what: `memory after ${total}`, value: last, unit: 'MB', note: rss.map((mb) => Math.round(mb)).join(' → ') },
    {
      what: 'event-loop delay p99, worst stretch',
      value: delays.includes(null) ? null : Math.max(...delays.map((ms) => ms ?? 0)),
      unit: 'ms',
      target: { below: 50 },
    },
    { what: 'not done', value: wrong, unit: '', target: { atMost: 0 } },
  ]
}
