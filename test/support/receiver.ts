/** A receiver of webhooks on loopback: keeps what came, and answers as the test says. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: string
  readonly path: string
}

export interface ReceiverScope {
  after(run: () => Promise<void> | void): void
}

/** Of real time; only a failing test waits so long. */
const WAIT_LIMIT_MS = 30_000

export class Receiver {
  readonly url: string
  readonly received: Received[] = []
  /** How the next are answered; by default 200. */
  answer: (response: ServerResponse, request: Received) => void = (response) => void response.writeHead(200).end('ok')
  readonly #watchers = new Set<() => void>()

  constructor(url: string) {
    this.url = url
  }

  static async open(scope: ReceiverScope): Promise<Receiver> {
    let take: (request: Received, response: ServerResponse) => void = () => undefined
    const server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
        take({ headers, body: Buffer.concat(chunks).toString(), path: request.url ?? '' }, response)
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    scope.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const receiver = new Receiver(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    take = (request, response) => receiver.#take(request, response)
    return receiver
  }

  /** Resolves when so many have come. */
  async until(count: number): Promise<readonly Received[]> {
    await this.#when(
      () => this.received.length >= count,
      () => `${this.received.length} of ${count} came`,
    )
    return this.received
  }

  #take(request: Received, response: ServerResponse): void {
    this.received.push(request)
    this.answer(response, request)
    for (const watch of this.#watchers) watch()
  }

  #when(holds: () => boolean, what: () => string): Promise<void> {
    if (holds()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const watch = (): void => {
        if (!holds()) return
        clearTimeout(bound)
        this.#watchers.delete(watch)
        resolve()
      }
      const bound = setTimeout(() => {
        this.#watchers.delete(watch)
        reject(new Error(what()))
      }, WAIT_LIMIT_MS)
      this.#watchers.add(watch)
    })
  }
}
