/** How soon a gateway is ready, and what it costs while nobody speaks to it. */
import { setTimeout as wait } from 'node:timers/promises'
import { startGateway } from '../support/gateway-process.ts'
import { median, type Bench } from './measure.ts'
import { cpuSeconds, rssMb } from './vitals.ts'

const STARTS = 7
const SETTLE_MS = 5_000
const IDLE_MS = 10_000

export const start: Bench = async (options) => {
  const took: number[] = []
  for (let count = 1; count <= STARTS; count++) {
    options.say(`start ${count} of ${STARTS}`)
    const gateway = await startGateway(options)
    took.push(gateway.readyAt - gateway.spawnedAt)
    await gateway.kill9()
  }
  options.say('idle')
  const gateway = await startGateway(options)
  await wait(SETTLE_MS)
  const rss = rssMb(gateway.pid)
  const before = cpuSeconds(gateway.pid)
  await wait(IDLE_MS)
  const cpu = (100 * (cpuSeconds(gateway.pid) - before)) / (IDLE_MS / 1000)
  return [
    {
      what: 'spawn to ready, new folder',
      value: median(took),
      unit: 'ms',
      target: { below: 1_000 },
      note: `median of ${STARTS}, worst ${Math.max(...took)}`,
    },
    { what: 'idle memory (RSS)', value: rss, unit: 'MB', target: { below: 120 } },
    { what: 'idle processor', value: cpu, unit: '%', target: { below: 1 }, note: `of one core, over ${IDLE_MS / 1000} s` },
  ]
}
