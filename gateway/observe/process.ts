/** What the process itself says: memory, processor time, how late the event loop is, and what was built. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Gauge, Lifecycle, Metrics } from '#contract'

/** A timer 50 times a second; finer costs processor time while idle. */
const RESOLUTION_MS = 20

export class ProcessMetrics implements Lifecycle {
  readonly #delay: ReturnType<typeof monitorEventLoopDelay> = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  constructor(options: { readonly metrics: Metrics; readonly version: string; readonly startedAt: number }) {
    const { metrics } = options
    const build = metrics.gauge({ name: 'openclaw_build_info', help: 'What runs; always 1', labels: ['version', 'node'] })
    build.set(1, [options.version, process.version])
    const started = metrics.gauge({ name: 'process_start_time_seconds', help: 'When the process was started, Unix time' })
    started.set(options.startedAt / 1_000)
    this.#memory(metrics)
    this.#loop(metrics)
  }

  async start(): Promise<void> {
    this.#delay.enable()
  }

  async stop(): Promise<void> {
    this.#delay.disable()
  }

  #memory(metrics: Metrics): void {
    const cpu = metrics.counter({ name: 'process_cpu_seconds_total', help: 'Processor time used, user and system' })
    let counted = 0
    const resident = metrics.gauge({ name: 'process_resident_memory_bytes', help: 'Memory in use by the process' })
    resident.collect((set) => {
      set(process.memoryUsage.rss())
      const { user, system } = process.cpuUsage()
      const seconds = (user + system) / 1e6
      cpu.inc([], seconds - counted)
      counted = seconds
    })
    const heap = metrics.gauge({ name: 'nodejs_heap_size_used_bytes', help: 'Memory in use by JavaScript objects' })
    heap.collect((set) => set(process.memoryUsage().heapUsed))
  }

  /** Since the last look. */
  #loop(metrics: Metrics): void {
    const gauge = (name: string, which: string): Gauge =>
      metrics.gauge({ name, help: `How late the event loop was, ${which} since the last look` })
    const p50 = gauge('nodejs_eventloop_delay_p50_seconds', 'p50')
    const p99 = gauge('nodejs_eventloop_delay_p99_seconds', 'p99')
    const max = gauge('nodejs_eventloop_delay_max_seconds', 'max')
    p50.collect((set) => set(lateSeconds(this.#delay.percentile(50))))
    p99.collect((set) => set(lateSeconds(this.#delay.percentile(99))))
    max.collect((set) => {
      set(lateSeconds(this.#delay.max))
      this.#delay.reset()
    })
  }
}

/** Node counts from one timer to the next, its interval included. Before the first sample it says 0 or NaN. */
const lateSeconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1_000) || 0
