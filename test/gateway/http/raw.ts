/** Bytes to a server and what comes back, for what no HTTP client would send. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Sends `text` and answers all that comes until the server closes. */
export async function exchange(url: string, text: string): Promise<string> {
  const socket = await open(url)
  let received = ''
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
  socket.on('error', () => undefined)
  socket.write(text)
  await once(socket, 'close')
  return received
}

export async function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  return socket
}

export const lines = (...texts: readonly string[]): string => texts.map((text) => `${text}\r\n`).join('')
