/** What a process costs, from Linux's /proc and from its own metrics. */
import { readFileSync } from 'node:fs'
import type { GatewayProcess } from '../support/gateway-process.ts'

/** The gauge of `/api/metrics` that holds the 99th percentile of the event loop's delay, in seconds. */
const EVENT_LOOP_DELAY_P99 = 'nodejs_eventloop_delay_p99_seconds'
const TICKS_PER_SECOND = 100

export function rssMb(pid: number): number {
  const kb = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kb) / 1024
}

/** Seconds of processor time since it began, all its threads together. */
export function cpuSeconds(pid: number): number {
  // Fields are counted behind the program's name, which may hold blanks (proc_pid_stat(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** null: the gateway does not say. */
export async function eventLoopDelayP99Ms(gateway: GatewayProcess): Promise<number | null> {
  const text = await (await gateway.fetch('/api/metrics')).text()
  const value = new RegExp(`^${EVENT_LOOP_DELAY_P99}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1]
  return value === undefined ? null : Number(value) * 1000
}
