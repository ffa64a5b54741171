/** Whether the gateway of this folder runs and is well, and if none runs, whether its ports are free. */
import { createServer } from 'node:net'
import type { LoadResult } from '../../gateway/config/load.ts'
import type { World } from '../command.ts'
import { documentIn, rowsIn, text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import { findGateway, Remote } from '../remote.ts'
import type { Finding } from './local.ts'

export async function checkGateway(world: World, loaded: LoadResult): Promise<readonly Finding[]> {
  try {
    const remote = new Remote(await findGateway(world), world.signal)
    const { status, body } = await remote.ask('/readyz', { also: [503], timeoutMs: 5_000 })
    const { url } = remote.place
    const troubles = rowsIn(documentIn(body)['parts']).filter((part) => part['ok'] === false)
    if (status === 200) return [{ name: 'gateway', state: 'ok', detail: `runs at ${url} and takes messages` }, await checkKey(remote)]
    const detail = `runs at ${url} and takes no messages: ${troubles.map((part) => `${text(part['name'])} ${text(part['detail'])}`).join(', ') || 'not ready'}`
    return [{ name: 'gateway', state: 'fail', detail, fix: 'See its log; it recovers by itself when the cause is gone.' }]
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    if (error.exit !== EXIT.unreachable) return [{ name: 'gateway', state: 'fail', detail: error.message }]
    return [{ name: 'gateway', state: 'ok', detail: 'does not run here' }, ...(loaded.ok ? await checkPorts(loaded) : [])]
  }
}

async function checkKey(remote: Remote): Promise<Finding> {
  try {
    const { principal } = await remote.get('/v1/whoami')
    return { name: 'access', state: 'ok', detail: `as ${text(principal)}` }
  } catch (error) {
    return { name: 'access', state: 'fail', detail: error instanceof Error ? error.message : String(error) }
  }
}

async function checkPorts({ config }: LoadResult & { ok: true }): Promise<readonly Finding[]> {
  const { host, port, metricsPort } = config.server
  const wanted: readonly (readonly [number, string])[] = [
    [port, 'OPENCLAW_PORT'],
    ...(metricsPort === null ? [] : [[metricsPort, 'OPENCLAW_METRICS_PORT'] as const]),
  ]
  return await Promise.all(
    wanted.map(async ([each, variable]): Promise<Finding> => {
      const trouble = await tryListen(host, each)
      if (trouble === null) return { name: 'port', state: 'ok', detail: each === 0 ? 'any free one' : `${each} is free` }
      const fix =
        trouble === 'EADDRINUSE'
          ? `Something else listens there. Stop it, or choose another with ${variable}.`
          : `Choose another with ${variable}, or another address with OPENCLAW_HOST.`
      return { name: 'port', state: 'fail', detail: `${host}:${each} cannot be listened on (${trouble})`, fix }
    }),
  )
}

function tryListen(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: Error & { code?: string }) => resolve(error.code ?? error.message))
    server.listen(port, host, () => server.close(() => resolve(null)))
  })
}
