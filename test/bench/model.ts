/** Models for the benches, and the configuration that points the gateway at one: the stub that answers, and one that never does. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { startChild } from '../support/child.ts'

export interface Model {
  /** For `openclaw.yaml`. */
  readonly config: { readonly [key: string]: unknown }
  stop(): Promise<void>
}

const configFor = (url: string): Model['config'] => ({
  llm: { providers: { stub: { base_url: `${url}/v1`, api: 'chat', api_key: 'x' } }, defaults: { primary: 'stub/stub' } },
})

/** An OpenAI-compatible stub in a process of its own, as a model server would be. */
export async function startModel(): Promise<Model> {
  const child = startChild([join(import.meta.dirname, '..', 'fakes', 'model-stub.ts'), '--port', '0'])
  const [, url = ''] = await child.said(/"url":\s*"([^"]+)"/, 10_000)
  return { config: configFor(url), stop: async () => void (await child.kill9()) }
}

/** Takes every call and answers none, so that messages pile up behind it. */
export async function startSilentModel(): Promise<Model & { firstCall(withinMs: number): Promise<number> }> {
  const server = createServer((request) => request.resume())
  const called = once(server, 'request').then(() => Date.now())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the silent model has no port')
  return {
    config: configFor(`http://127.0.0.1:${address.port}`),
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
    /** Epoch milliseconds. */
    firstCall: async (withinMs) => {
      const late = AbortSignal.timeout(withinMs)
      const tooLate = once(late, 'abort').then((): never => {
        throw new Error(`the model was not called within ${withinMs} ms`)
      })
      return Promise.race([called, tooLate])
    },
  }
}
