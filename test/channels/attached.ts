/** For worlds whose platform does not tell them when the gateway listens to it: the gateway is asked. */
import type { GatewayProcess } from '../support/gateway-process.ts'
import { eventually } from '../support/eventually.ts'
import { stateOf } from './broker-line.ts'

/** What the channel suite calls the account that it configures. */
const ACCOUNT = 'wire'
const UP_LIMIT_MS = 60_000

/** Its account is open, or stopped for good; or it has ended, as a test may want. */
export async function attached(gateway: GatewayProcess): Promise<void> {
  let hasEnded = false
  void gateway.ended.then(() => (hasEnded = true))
  const isUp = async (): Promise<boolean> => {
    if (hasEnded) return true
    const state = await stateOf(gateway, ACCOUNT).catch(() => 'away')
    return state === 'open' || state === 'stopped'
  }
  await eventually(isUp, () => `the open channel (the gateway said:\n${gateway.output()})`, UP_LIMIT_MS)
}
