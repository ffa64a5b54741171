/** The jobs that send messages to a gateway: what is posted, and what the answer must be. */
import type { GatewayProcess } from '../support/gateway-process.ts'
import type { LoadJob } from './job.ts'

type Shape = Pick<LoadJob, 'connections' | 'pace' | 'until'> & { readonly turnsPerUser?: number; readonly user?: string }

/** Room for start and end beside the time asked for. */
const SPARE_SECONDS = 60

/** `user`: all are of one session; else each connection is a sender of its own. */
const bodyFor = (user = '%U%'): string => `{"channel_id":"bench","payload":"hello %N%","metadata":{"user_id":"${user}"}}`

const limitFor = (until: LoadJob['until']): number =>
  SPARE_SECONDS + ('requests' in until ? until.requests / 100 : until.seconds + until.warmupSeconds)

/** Durable, and answered at once. */
export function acceptJob({ url, key }: Pick<GatewayProcess, 'url' | 'key'>, { user, ...shape }: Shape): LoadJob {
  const expect = { status: 202, text: '"status":"queued"' }
  return {
    url,
    path: '/v1/messages',
    headers: { authorization: `Bearer ${key}` },
    body: bodyFor(user),
    expect,
    limitSeconds: limitFor(shape.until),
    ...shape,
  }
}

/** The whole way through the agent: answered when the turn is done. */
export function turnJob(gateway: Pick<GatewayProcess, 'url' | 'key'>, shape: Shape): LoadJob {
  return { ...acceptJob(gateway, shape), path: '/v1/messages?wait=30', expect: { status: 200, text: '"status":"done"' } }
}
