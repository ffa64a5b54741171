/** Tracing with a collector on loopback and a clock that stands still. */
import type { TestContext } from 'node:test'
import { Registry } from '../../../gateway/observe/metrics.ts'
import { Redactor } from '../../../gateway/observe/redact.ts'
import { Tracing } from '../../../gateway/observe/trace.ts'
import { FakeCollector } from '../../fakes/otlp.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { quietLog } from '../../support/quiet-log.ts'

export const TRACE: string = '0af7651916cd43dd8448eb211c80319c'
export const PARENT: string = `00-${TRACE}-b7ad6b7169203331-01`

export interface World {
  readonly collector: FakeCollector
  readonly tracing: Tracing
  readonly clock: FakeClock
  readonly warned: string[]
  readonly count: (outcome: string) => Promise<number>
}

export async function worldOf(t: TestContext, options: { readonly sampleRatio?: number; readonly secret?: string } = {}): Promise<World> {
  const collector = new FakeCollector()
  const endpoint = await collector.start()
  const clock = new FakeClock()
  const metrics = new Registry()
  const redactor = new Redactor()
  if (options.secret !== undefined) redactor.add(options.secret)
  const warned: string[] = []
  const tracing = new Tracing({
    endpoint,
    serviceName: 'openclaw-agents',
    sampleRatio: options.sampleRatio ?? 1,
    version: '1.2.3',
    node: 'here',
    redactor,
    clock,
    log: { ...quietLog, warn: (_, message) => warned.push(message) },
    metrics,
  })
  t.after(() => collector.stop())
  return {
    collector,
    tracing,
    clock,
    warned,
    count: async (outcome) =>
      Number(new RegExp(`^openclaw_trace_spans_total\\{outcome="${outcome}"\\} (\\d+)$`, 'm').exec(await metrics.text())?.[1]),
  }
}
