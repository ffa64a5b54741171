/** A job for the load generator: what it is told and what it answers; and the process that does it. */
import { join } from 'node:path'
import { startChild } from '../support/child.ts'

export interface LoadJob {
  readonly url: string
  readonly path: string
  readonly headers?: { readonly [name: string]: string }
  /**
   * Request body. `%N%` becomes a number that no other request has, `%U%` a name of this connection; with `turnsPerUser`
   * a connection takes another name after so many requests.
   */
  readonly body: string
  readonly turnsPerUser?: number
  readonly connections: number
  /** closed: each connection sends when it has its answer. open: so many a second, come what may, timed from when they were due. */
  readonly pace: 'closed' | { readonly perSecond: number }
  /** How long, or how many (then without warm-up). */
  readonly until: { readonly seconds: number; readonly warmupSeconds: number } | { readonly requests: number }
  /** What an answer must be: its status, and bytes that its body must hold. */
  readonly expect: { readonly status: number; readonly text?: string }
  /** All in all; then it fails. */
  readonly limitSeconds: number
}

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Answers that were not as expected, and the first of them. */
  readonly wrong: number
  readonly firstWrong: string | null
  /** CPU seconds of the generator for each second: near 1, and it was the bottleneck. */
  readonly generatorCpu: number
}

export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const child = startChild([join(import.meta.dirname, 'load.ts')], { input: JSON.stringify(job) })
  const [, answer = ''] = await child.said(/^result (\{.*\})$/m, (job.limitSeconds + 10) * 1000)
  await child.ended
  const result = JSON.parse(answer) as LoadResult
  if (result.requests === 0) throw new Error(`no request was answered as expected; the first answer: ${result.firstWrong ?? 'none'}`)
  return result
}
