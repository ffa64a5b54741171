/** Acceptance with a token of an issuer against acceptance with a key, in turns in the same run: what a token costs once it is remembered. */
import { FakeIssuer, signingKey, token } from '../fakes/issuer.ts'
import { startGateway } from '../support/gateway-process.ts'
import { runLoad, type LoadResult } from './job.ts'
import { median, type Bench } from './measure.ts'
import { acceptJob } from './messages.ts'
import { startSilentModel } from './model.ts'

const ROUNDS = 5
const CONNECTIONS = 32

export const tokens: Bench = async (options) => {
  const { seconds, say } = options
  const signer = signingKey('bench')
  const issuer = await new FakeIssuer(signer).start()
  options.after(() => issuer.stop())
  const { config } = await startSilentModel(options)
  const auth = { issuers: [{ issuer: issuer.url, audience: 'bench' }], allow_networks: ['127.0.0.0/8'] }
  const gateway = await startGateway(options, { config: { ...config, auth } })
  const now = Math.floor(Date.now() / 1_000)
  const claims = { iss: issuer.url, aud: 'bench', sub: 'bench', jti: 'bench', iat: now, exp: now + 3_600, scope: 'messages:write' }
  const shape = { connections: CONNECTIONS, pace: 'closed', until: { seconds, warmupSeconds: 2 } } as const

  const keyed: LoadResult[] = []
  const tokened: LoadResult[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    say(`round ${round} of ${ROUNDS}: key`)
    keyed.push(await runLoad(acceptJob(gateway, shape)))
    say(`round ${round} of ${ROUNDS}: token`)
    tokened.push(await runLoad(acceptJob({ url: gateway.url, key: token(signer, claims) }, shape)))
  }
  await gateway.kill9()
  const wrong = [...keyed, ...tokened].reduce((sum, result) => sum + result.wrong, 0)
  return [
    {
      what: 'POST /v1/messages with a token, of that with a key',
      value: median(tokened.map((result, round) => result.perSecond / (keyed[round]?.perSecond ?? NaN))),
      unit: '×',
      target: { atLeast: 0.9 },
      note: `median of ${ROUNDS} rounds in turns`,
    },
    { what: 'with a token', value: median(tokened.map((result) => result.perSecond)), unit: '/s' },
    { what: 'with a key', value: median(keyed.map((result) => result.perSecond)), unit: '/s' },
    { what: 'fetches of keys', value: issuer.keyFetches, unit: '', target: { atMost: 1 } },
    { what: 'not 202', value: wrong, unit: '', target: { atMost: 0 } },
  ]
}
