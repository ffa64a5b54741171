/** The model stub as a process of its own, which outlives the gateways that are killed around it. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startChild } from './child.ts'

const ENTRY = join(import.meta.dirname, '..', 'fakes', 'model-stub.ts')

export interface ModelStub {
  /** With `/v1`. */
  readonly baseUrl: string
  /** The idempotency keys it was called with, in order. */
  readonly keys: () => readonly string[]
  readonly stop: () => Promise<unknown>
}

export async function startModelStub(options: { readonly log: string; readonly delayMs?: number }): Promise<ModelStub> {
  const child = startChild([ENTRY, '--port', '0', '--log', options.log, '--delay-ms', String(options.delayMs ?? 0)], {
    env: { PATH: process.env['PATH'] ?? '' },
  })
  const [, url = ''] = await child.said(/"url":\s*"([^"]+)"/, 10_000)
  return {
    baseUrl: url.endsWith('/v1') ? url : `${url}/v1`,
    keys() {
      if (!existsSync(options.log)) return []
      const lines = readFileSync(options.log, 'utf8').split('\n').filter(Boolean)
      return lines.map((line) => (JSON.parse(line) as { readonly key: string }).key)
    },
    stop: () => child.kill9(),
  }
}
