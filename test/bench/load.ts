/**
 * The load generator, a process of its own so that it competes with no one's event loop: reads one job from stdin, does it,
 * prints `result {json}`. The same program loads the gateway and what it is compared with.
 */
import { text } from 'node:stream/consumers'
import { Connection } from './connection.ts'
import { Histogram } from './histogram.ts'
import type { LoadJob, LoadResult } from './job.ts'

const NUMBER_WIDTH = 10
const USER_WIDTH = 16
const TICK_MS = 1

const job = JSON.parse(await text(process.stdin)) as LoadJob
const bound = setTimeout(() => {
  console.error(`not done after ${job.limitSeconds} s`)
  process.exit(1)
}, job.limitSeconds * 1000)
console.log(`result ${JSON.stringify(await run(job))}`)
clearTimeout(bound)
process.exit(0)

function run({ url, connections: size, pace, until, expect }: LoadJob): Promise<LoadResult> {
  const latencies = new Histogram()
  const request = requestWriter(job)
  const quota = 'requests' in until ? until.requests : Infinity
  const startedAt = performance.now()
  const from = startedAt + ('requests' in until ? 0 : until.warmupSeconds * 1000)
  const to = 'requests' in until ? Infinity : from + until.seconds * 1000
  let cpu = process.cpuUsage()
  if (from > startedAt) setTimeout(() => (cpu = process.cpuUsage()), from - startedAt)
  let sent = 0
  let inFlight = 0
  let wrong = 0
  let firstWrong: string | null = null

  return new Promise((resolve, reject) => {
    /** `dueAt`: when it should have been sent. */
    const send = (connection: Connection, index: number, dueAt: number, then: () => void): void => {
      sent++
      inFlight++
      connection.send(request(index), (status, message) => {
        inFlight--
        const now = performance.now()
        const isRight = status === expect.status && (expect.text === undefined || message.includes(expect.text))
        if (!isRight) {
          wrong++
          firstWrong ??= message.toString().slice(0, 1_000)
        } else if (dueAt >= from && now <= to) latencies.record(Math.round((now - dueAt) * 1000))
        then()
      })
    }
    const connections = Array.from({ length: size }, () => new Connection(url, reject))

    const end = (): void => {
      const seconds = (Math.min(performance.now(), to) - from) / 1000
      const { user, system } = process.cpuUsage(cpu)
      for (const connection of connections) connection.close()
      const ms = (us: number): number => us / 1000
      resolve({
        requests: latencies.count,
        seconds,
        perSecond: latencies.count / seconds,
        p50Ms: ms(latencies.quantile(0.5)),
        p90Ms: ms(latencies.quantile(0.9)),
        p99Ms: ms(latencies.quantile(0.99)),
        maxMs: ms(latencies.max),
        wrong,
        firstWrong,
        generatorCpu: (user + system) / 1e6 / seconds,
      })
    }
    const mayGoOn = (): boolean => sent < quota && performance.now() < to

    if (pace === 'closed') {
      const next = (connection: Connection, index: number): void => {
        if (mayGoOn()) send(connection, index, performance.now(), () => next(connection, index))
        else if (inFlight === 0) end()
      }
      connections.forEach(next)
      return
    }

    const idle = connections.map((connection, index) => ({ connection, index }))
    const waiting: number[] = []
    const free = (entry: { readonly connection: Connection; readonly index: number }): void => {
      const dueAt = waiting.shift()
      if (dueAt === undefined) idle.push(entry)
      else send(entry.connection, entry.index, dueAt, () => free(entry))
    }
    let due = 0
    const arrivals = setInterval(() => {
      const now = performance.now()
      for (; due < quota && startedAt + (due * 1000) / pace.perSecond <= Math.min(now, to); due++) {
        waiting.push(startedAt + (due * 1000) / pace.perSecond)
        const entry = idle.shift()
        if (entry !== undefined) free(entry)
      }
      if ((now > to || due >= quota) && inFlight === 0 && waiting.length === 0) {
        clearInterval(arrivals)
        end()
      }
    }, TICK_MS)
  })
}

/** Bytes of one request after another: all but the number and the user stays as it is, and so does the length. */
function requestWriter({ url, path, headers = {}, body, turnsPerUser }: LoadJob): (connection: number) => string {
  const parts = body.split(/(%N%|%U%)/)
  const length = Buffer.byteLength(body.replaceAll('%N%', '0'.repeat(NUMBER_WIDTH)).replaceAll('%U%', '0'.repeat(USER_WIDTH)))
  const lines = Object.entries({
    host: new URL(url).host,
    'content-type': 'application/json',
    'content-length': String(length),
    ...headers,
  })
  const head = `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  const sentBy: number[] = []
  // Two runs against one gateway must not meet in a session.
  const run = String(process.pid % 10_000).padStart(4, '0')
  let count = 0
  return (connection) => {
    const turns = (sentBy[connection] = (sentBy[connection] ?? -1) + 1)
    const user = `u${run}${String(connection).padStart(4, '0')}-${String(turnsPerUser === undefined ? 0 : Math.floor(turns / turnsPerUser)).padStart(6, '0')}`
    const number = String(count++).padStart(NUMBER_WIDTH, '0')
    let request = head
    for (const part of parts) request += part === '%N%' ? number : part === '%U%' ? user : part
    return request
  }
}
