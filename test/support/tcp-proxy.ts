/**
 * A TCP proxy between a channel and its broker, which spoils the line on command: delays, swallows, blocks, half-closes, cuts,
 * refuses. Knows nothing of what is said over it. `up` is from the client to the server, `down` back.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Scope } from './gateway-process.ts'

export type Direction = 'up' | 'down'
const BOTH: readonly Direction[] = ['up', 'down']

interface Fault {
  /** Of every byte, on top of the line's own. */
  delayMs: number
  /** Bytes are read and thrown away: the line is dead and nobody is told. */
  isSwallowing: boolean
  /** Bytes are not read at all, so that the writer's buffers fill. */
  isBlocked: boolean
}

interface Late {
  readonly due: number
  readonly run: () => void
}

/** Told of all bytes before they go on, in both directions of each line; `cut`: they do not, and the line dies. */
export type Tap = (bytes: Buffer, direction: Direction, line: number) => 'pass' | 'cut'

interface Line {
  readonly number: number
  readonly client: Socket
  readonly server: Socket
  /** What it lost makes the stream after it worthless. */
  hasLost: boolean
}

export class TcpProxy {
  readonly #listener: Server
  /** May be changed: later connections go there. */
  target: number
  /** Connections that were let in, ever. */
  opened = 0
  tap: Tap | null = null
  #isRefusing = false
  readonly #lines = new Set<Line>()
  readonly #faults: Readonly<Record<Direction, Fault>> = { up: newFault(), down: newFault() }
  readonly #watchers = new Set<() => void>()
  readonly #timers = new Set<NodeJS.Timeout>()

  private constructor(target: number) {
    this.target = target
    this.#listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#admit(client))
  }

  /** On 127.0.0.1, to a server there; closed with its scope. */
  static async open(scope: Scope, target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    proxy.#listener.listen(0, '127.0.0.1')
    await once(proxy.#listener, 'listening')
    scope.after(() => proxy.close())
    return proxy
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port
  }

  /** Connections open now. */
  get open(): number {
    return this.#lines.size
  }

  /** What is under way already is not held. */
  delay(ms: number, directions: readonly Direction[] = BOTH): void {
    for (const direction of directions) this.#faults[direction].delayMs = ms
  }

  /** From now on all bytes are lost and nobody is told, also on connections to come. */
  swallow(directions: readonly Direction[] = BOTH): void {
    for (const direction of directions) this.#faults[direction].isSwallowing = true
  }

  /** From now on nothing is read, also on connections to come; nothing is lost. */
  block(directions: readonly Direction[] = BOTH): void {
    for (const direction of directions) this.#faults[direction].isBlocked = true
    this.#applyBlocks()
  }

  /** Ends the way from one end (FIN), the other way stays open. */
  halfClose(direction: Direction): void {
    for (const { client, server } of this.#lines) (direction === 'up' ? server : client).end()
  }

  /** All connections die (RST). */
  cut(): void {
    for (const line of this.#lines) destroy(line)
  }

  /** Who connects is reset, as where nobody listens. Those that are open stay. */
  refuse(): void {
    this.#isRefusing = true
  }

  /** The line is as good as new; connections that lost bytes are cut. */
  heal(): void {
    this.#isRefusing = false
    for (const direction of BOTH) Object.assign(this.#faults[direction], newFault())
    this.#applyBlocks()
    for (const line of this.#lines) if (line.hasLost) destroy(line)
  }

  /** Resolves when so many connections have been let in since it was opened. */
  async letIn(count: number, withinMs = 30_000): Promise<void> {
    await this.#until(() => this.opened >= count, `${count} connections, ${this.opened} came`, withinMs)
  }

  /** Resolves when exactly so many are open. */
  async settled(count: number, withinMs = 30_000): Promise<void> {
    await this.#until(() => this.#lines.size === count, `${count} open connections`, withinMs)
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.cut()
    if (!this.#listener.listening) return
    this.#listener.close()
    await once(this.#listener, 'close')
  }

  #admit(client: Socket): void {
    client.on('error', () => {})
    if (this.#isRefusing) {
      client.resetAndDestroy()
      return
    }
    this.opened++
    const server = connect({ port: this.target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    server.on('error', () => {})
    const line: Line = { number: this.opened, client, server, hasLost: false }
    this.#lines.add(line)
    this.#carry(line, 'up')
    this.#carry(line, 'down')
    for (const [end, other] of [
      [client, server],
      [server, client],
    ] as const) {
      end.once('close', (hadError) => {
        if (hadError) other.resetAndDestroy()
        else other.destroySoon()
        this.#lines.delete(line)
        this.#look()
      })
    }
    this.#applyBlocks()
    this.#look()
  }

  #carry(line: Line, direction: Direction): void {
    const { number, client, server } = line
    const [from, to] = direction === 'up' ? [client, server] : [server, client]
    const fault = this.#faults[direction]
    const late: Late[] = []
    const inTime = (run: () => void): void => this.#inTime(late, fault.delayMs, run)
    from.on('data', (chunk: Buffer) => {
      if (this.tap?.(chunk, direction, number) === 'cut') destroy(line)
      else if (fault.isSwallowing) line.hasLost = true
      else inTime(() => pass(chunk, from, to, fault))
    })
    from.on('end', () => {
      if (!fault.isSwallowing) inTime(() => to.end())
    })
  }

  /** Runs after the delay, and never before what came before. */
  #inTime(late: Late[], delayMs: number, run: () => void): void {
    if (delayMs === 0 && late.length === 0) return run()
    const due = Math.max(performance.now() + delayMs, late.at(-1)?.due ?? 0)
    late.push({ due, run })
    if (late.length === 1) this.#wait(late)
  }

  #wait(late: Late[]): void {
    const [first] = late
    if (first === undefined) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      late[0]?.run()
      late.shift()
      this.#wait(late)
    }, first.due - performance.now())
    this.#timers.add(timer)
  }

  #applyBlocks(): void {
    for (const { client, server } of this.#lines) {
      for (const [end, { isBlocked }] of [
        [client, this.#faults.up],
        [server, this.#faults.down],
      ] as const) {
        if (isBlocked) end.pause()
        else end.resume()
      }
    }
  }

  #look(): void {
    for (const look of this.#watchers) look()
  }

  #until(holds: () => boolean, what: string, withinMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!holds()) return
        clearTimeout(bound)
        this.#watchers.delete(look)
        resolve()
      }
      const bound = setTimeout(() => {
        this.#watchers.delete(look)
        reject(new Error(`the proxy waited ${withinMs} ms for ${what}`))
      }, withinMs)
      this.#watchers.add(look)
      look()
    })
  }
}

function destroy({ client, server }: Line): void {
  client.resetAndDestroy()
  server.resetAndDestroy()
}

function pass(chunk: Buffer, from: Socket, to: Socket, fault: Fault): void {
  if (to.destroyed || to.writableEnded || to.write(chunk)) return
  from.pause()
  to.once('drain', () => {
    if (!fault.isBlocked) from.resume()
  })
}

const newFault = (): Fault => ({ delayMs: 0, isSwallowing: false, isBlocked: false })
