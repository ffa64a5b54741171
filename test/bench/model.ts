/** Models for the benches, and the configuration that points the gateway at one: the stub that answers, and one that never does. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { startChild } from '../support/child.ts'
import type { Scope } from '../support/gateway-process.ts'

/** For `openclaw.yaml`. */
type ModelConfig = { readonly [key: string]: unknown }

const configFor = (url: string): ModelConfig => ({
  llm: { providers: { stub: { base_url: new URL('/v1', url).href, api: 'chat', api_key: 'x' } }, defaults: { primary: 'stub/stub' } },
})

/** An OpenAI-compatible stub in a process of its own, as a model server would be. */
export async function startModel(scope: Scope): Promise<ModelConfig> {
  const child = startChild([join(import.meta.dirname, '..', 'fakes', 'model-stub.ts'), '--port', '0'])
  scope.after(async () => void (await child.kill9()))
  const [, url = ''] = await child.said(/"url":\s*"([^"]+)"/, 10_000)
  return configFor(url)
}

/** Takes every call and answers none, so that messages pile up behind it. */
export async function startSilentModel(scope: Scope): Promise<{
  readonly config: ModelConfig
  /** Epoch milliseconds of the first call. */
  readonly firstCall: (withinMs: number) => Promise<number>
}> {
  const server = createServer((request) => request.resume())
  const called = once(server, 'request').then(() => Date.now())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.after(async () => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the silent model has no port')
  return {
    config: configFor(`http://127.0.0.1:${address.port}`),
    firstCall: (withinMs) => {
      const late = once(AbortSignal.timeout(withinMs), 'abort').then((): never => {
        throw new Error(`the model was not called within ${withinMs} ms`)
      })
      return Promise.race([called, late])
    },
  }
}
