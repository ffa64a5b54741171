/**
 * A process of its own that holds many silent WebSocket clients: `node idle-sockets.ts ORIGIN COUNT TOKEN`. Says "open" when all are, "pinged"
 * when each was pinged since, "closed CODE…" when all are closed by the other side; ends with its input.
 */
import { SocketClient } from './socket-client.ts'

const BATCH = 200

const [origin = '', count = '0', token = ''] = process.argv.slice(2)
const total = Number(count)
const clients: SocketClient[] = []
while (clients.length < total) {
  const batch = Array.from({ length: Math.min(total - clients.length, BATCH) }, () => SocketClient.open(origin, token))
  clients.push(...(await Promise.all(batch)))
}
process.stdout.write('open\n')
process.stdin.resume().on('end', () => process.exit(0))
const pings = clients.map(({ socket }) => new Promise<void>((resolve) => socket.once('ping', () => resolve())))
void Promise.all(pings).then(() => process.stdout.write('pinged\n'))
void Promise.all(clients.map(({ closed }) => closed)).then((codes) => process.stdout.write(`closed ${[...new Set(codes)].join(' ')}\n`))
