/**
 * The sockets of one connection of the client to its brokers: opened here, so that they can be closed here. The library waits for answers
 * that may never come, and connects again when nobody wants it any more.
 */
import { isIP, connect as connectTcp } from 'node:net'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'

export interface Destination {
  readonly host: string
  readonly port: number
  /** Absent, whatever the library's types say, where there is no TLS. */
  readonly ssl?: ConnectionOptions
  readonly onConnect: () => void
}

const KEEP_ALIVE_MS = 30_000
const GOODBYE_MS = 5_000

export class Sockets {
  readonly #open = new Set<Socket>()
  #isCut = false

  connect({ host, port, ssl, onConnect }: Destination): Socket {
    if (this.#isCut) throw new Error('closed by us')
    const servername = isIP(host) === 0 ? { servername: host } : {}
    const socket = ssl ? connectTls({ host, port, ...servername, ...ssl }, onConnect) : connectTcp({ host, port }, onConnect)
    socket.setKeepAlive(true, KEEP_ALIVE_MS).setNoDelay(true)
    this.#open.add(socket)
    socket.once('close', () => this.#open.delete(socket))
    return socket
  }

  /** In good order within a bound, then by force. Never rejects. */
  async close(goodbye: () => Promise<void>): Promise<void> {
    const late = Promise.withResolvers<void>()
    const bound = setTimeout(late.resolve, GOODBYE_MS)
    await Promise.race([goodbye().catch(() => {}), late.promise])
    clearTimeout(bound)
    this.cut()
  }

  /** What the library has under way fails, and it cannot connect again. */
  cut(): void {
    this.#isCut = true
    // With an error, at which the library lets go of what it waits for.
    for (const socket of this.#open) socket.destroy(new Error('closed by us'))
  }
}
