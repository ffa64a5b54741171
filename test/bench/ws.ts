/** One client over WebSocket: a message in, the builtin model's reply frame back, one after the other. */
import { startGateway } from '../support/gateway-process.ts'
import { Histogram } from './histogram.ts'
import type { Bench } from './measure.ts'

const WARMUP = 200
const FRAME_LIMIT_MS = 10_000

export const ws: Bench = async (options) => {
  const { seconds, say } = options
  const gateway = await startGateway(options)
  const token = Buffer.from(gateway.key).toString('base64url')
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/ws`, [
    'openclaw.v1',
    `base64url.bearer.authorization.openclaw.${token}`,
  ])
  await heard(socket, 'ready')

  say('1 client')
  const latencies = new Histogram()
  const end = performance.now() + seconds * 1000
  for (let count = 0; performance.now() < end; count++) {
    const sentAt = performance.now()
    socket.send(
      JSON.stringify({ type: 'message', id: `echo-${count}`, conversation: `bench-${Math.floor(count / 100)}`, payload: `hello ${count}` }),
    )
    // One message is outstanding, so the next reply is its own.
    await heard(socket, 'reply')
    if (count >= WARMUP) latencies.record(Math.round((performance.now() - sentAt) * 1000))
  }
  socket.close()
  return [
    { what: 'echo through an agent, p50, 1 client', value: latencies.quantile(0.5) / 1000, unit: 'ms', target: { below: 5 } },
    { what: 'echo through an agent, p99, 1 client', value: latencies.quantile(0.99) / 1000, unit: 'ms' },
    { what: 'echoes', value: latencies.count / seconds, unit: '/s' },
  ]
}

/** The next frame of that type. */
function heard(socket: WebSocket, type: 'ready' | 'reply'): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = (then: () => void): void => {
      clearTimeout(bound)
      socket.removeEventListener('message', hear)
      socket.removeEventListener('close', lost)
      then()
    }
    const lost = (): void => finish(() => reject(new Error('the gateway closed the socket')))
    const hear = ({ data }: MessageEvent): void => {
      const frame = JSON.parse(String(data)) as { readonly type: string }
      if (frame.type === type) finish(resolve)
      if (frame.type === 'error') finish(() => reject(new Error(String(data))))
    }
    const bound = setTimeout(() => finish(() => reject(new Error(`no ${type} frame within ${FRAME_LIMIT_MS} ms`))), FRAME_LIMIT_MS)
    socket.addEventListener('message', hear)
    socket.addEventListener('close', lost)
  })
}
