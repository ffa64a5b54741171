/** What many silent connections cost. The clients live in another process, so that only the server's side is measured. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { websocket } from '../../../channels/websocket/websocket.ts'
import { MemoryHost } from '../../support/channel-host.ts'
import { RouteServer } from '../../support/route-server.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const heapBytes = (): number => {
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().heapUsed
}

void test('2,000 idle connections cost less than 12 KiB of heap each, and one timer together', async () => {
  const host = new MemoryHost('ws')
  const channel = websocket.create('ws', {})
  const server = await RouteServer.open(channel)
  await channel.start(host, new AbortController().signal)
  const before = heapBytes()
  const clients = spawn(
    process.execPath,
    [new URL('../../support/idle-sockets.ts', import.meta.url).pathname, server.origin, '2000', 'secret'],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  try {
    await once(clients.stdout, 'data')
    assert.equal(host.gauges.get('websocket_connections_active')?.(), 2_000)
    const bytesEach = (heapBytes() - before) / 2_000
    assert.ok(bytesEach < 12_288, `${Math.round(bytesEach)} bytes each`)
    assert.equal(host.clock.pending, 1)
  } finally {
    clients.stdin.end()
    await once(clients, 'exit')
    await channel.stop()
    await server.close()
  }
})
