/** A process of its own that holds many silent WebSocket clients: `node idle-sockets.ts ORIGIN COUNT TOKEN`. Says "open", ends with its input. */
import { SocketClient } from './socket-client.ts'

const [origin = '', count = '0', token = ''] = process.argv.slice(2)
for (let left = Number(count); left > 0; left -= 200) {
  await Promise.all(Array.from({ length: Math.min(left, 200) }, () => SocketClient.open(origin, token)))
}
process.stdout.write('open\n')
process.stdin.resume().on('end', () => process.exit(0))
