/** A gateway killed with ten thousand accepted messages waiting: how soon does its successor call a model again? */
import { startGateway } from '../support/gateway-process.ts'
import { runLoad } from './job.ts'
import type { Bench } from './measure.ts'
import { acceptJob } from './messages.ts'
import { startSilentModel } from './model.ts'

const WAITING = 10_000
const FIRST_CALL_LIMIT_MS = 60_000

export const restart: Bench = async (options) => {
  options.say(`${WAITING} messages in`)
  const before = await startSilentModel(options)
  const killed = await startGateway(options, { config: before.config })
  const load = await runLoad(acceptJob(killed, { connections: 32, pace: 'closed', until: { requests: WAITING }, turnsPerUser: 10 }))
  await killed.kill9()

  options.say('and again')
  const after = await startSilentModel(options)
  const gateway = await startGateway(options, { dir: killed.dir, config: after.config })
  const calledAt = await after.firstCall(FIRST_CALL_LIMIT_MS)
  return [
    { what: 'messages waiting', value: load.requests, unit: '', target: { atLeast: WAITING } },
    {
      what: 'ready to first model call',
      value: Math.max(0, calledAt - gateway.readyAt),
      unit: 'ms',
      target: { below: 2_000 },
      note: '0: it came first',
    },
    { what: 'spawn to ready', value: gateway.readyAt - gateway.spawnedAt, unit: 'ms' },
    { what: 'spawn to first model call', value: calledAt - gateway.spawnedAt, unit: 'ms' },
  ]
}
