/** Is the load generator itself fast enough to measure anything with? */
import { join } from 'node:path'
import { startChild } from '../support/child.ts'
import { runLoad } from './job.ts'
import type { Bench } from './measure.ts'
import { acceptJob } from './messages.ts'

export const generator: Bench = async (options) => {
  options.say('against node:http doing nothing')
  const bare = startChild([join(import.meta.dirname, 'bare-http.ts')])
  options.after(async () => void (await bare.kill9()))
  const [url] = await bare.said(/http:\S+/, 10_000)
  const result = await runLoad(
    acceptJob(
      { url, key: 'none' },
      { connections: 32, pace: 'closed', until: { seconds: Math.min(options.seconds, 5), warmupSeconds: 1 } },
    ),
  )
  return [
    {
      what: 'node:http',
      value: result.perSecond,
      unit: '/s',
      target: { atLeast: 40_000 },
      note: `generator used ${Math.round(result.generatorCpu * 100)} % of a core`,
    },
  ]
}
