/** A proxy with one door, a server behind it and raw bytes through it: what the tests of the way out have in common. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Log, LogFields } from '#contract'
import { isPublicAddress } from '../../gateway/guarded/address.ts'
import { Registry } from '../../gateway/observe/metrics.ts'
import type { DoorLimits } from '../../skills/egress/door.ts'
import { EGRESS_SOCKET } from '../../skills/egress/egress.ts'
import type { EgressDoor } from '../../skills/egress/egress.ts'
import { Gate } from '../../skills/egress/gate.ts'
import { EgressProxy } from '../../skills/egress/proxy.ts'

const WAIT_MS = 10_000

export interface Way {
  readonly proxy: EgressProxy
  readonly door: EgressDoor
  readonly path: string
  readonly root: string
  readonly metrics: Registry
  readonly lines: readonly LogFields[]
  /** A connection to the door, with the token said, or this instead of it; destroyed after the test. */
  readonly dial: (first?: string) => Promise<Socket>
  /** Sends these bytes and reads until the door closes. */
  readonly ask: (text: string) => Promise<string>
}

export interface WayOptions {
  readonly allow?: readonly string[]
  readonly privateHosts?: readonly string[]
  readonly names?: { readonly [host: string]: readonly string[] }
  readonly limits?: Partial<DoorLimits>
}

export async function openWay(context: TestContext, options: WayOptions = {}): Promise<Way> {
  const root = await mkdtemp(join(tmpdir(), 'egress-'))
  const metrics = new Registry()
  const lines: LogFields[] = []
  const { names = {}, privateHosts = [], limits = {} } = options
  const resolve = (host: string): Promise<readonly string[]> => Promise.resolve(names[host] ?? [])
  const gate = new Gate({ isPublicAddress, privateHosts, resolve, limits: { connectMs: 2_000 } })
  const proxy = new EgressProxy({ root, secret: 'a secret of the tests', gate, log: keepingLog(lines), metrics, limits })
  await proxy.start()
  const door = await proxy.open()
  door.begin({ skill: 'probe', key: 'k', allow: options.allow ?? [] })
  const path = join(door.dir, EGRESS_SOCKET)
  const sockets: Socket[] = []
  context.after(async () => {
    for (const socket of sockets) socket.destroy()
    await proxy.stop()
    await rm(root, { recursive: true, force: true })
  })
  const dial = async (first: string = door.token): Promise<Socket> => {
    const socket = connect({ path, allowHalfOpen: true })
    socket.on('error', () => {})
    sockets.push(socket)
    await once(socket, 'connect')
    socket.write(first)
    return socket
  }
  const ask = async (text: string): Promise<string> => {
    const socket = await dial()
    socket.write(text)
    return readAll(socket)
  }
  return { proxy, door, path, root, metrics, lines, dial, ask }
}

/** What comes until the other end closes or breaks. */
export function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const bound = setTimeout(() => reject(new Error(`the connection stayed open after ${JSON.stringify(text.slice(0, 200))}`)), WAIT_MS)
    const done = (): void => {
      clearTimeout(bound)
      resolve(text)
    }
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    socket.once('end', done)
    socket.once('close', done)
  })
}

/** What comes until `end` has come, or the other end closed. */
export function readUntil(socket: Socket, end: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const bound = setTimeout(() => reject(new Error(`no ${JSON.stringify(end)} in ${JSON.stringify(text.slice(0, 200))}`)), WAIT_MS)
    const done = (): void => {
      clearTimeout(bound)
      socket.off('data', take)
      resolve(text)
    }
    const take = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      if (text.includes(end)) done()
    }
    socket.on('data', take)
    socket.once('end', done)
    socket.once('close', done)
  })
}

/** On 127.0.0.1; its port. */
export async function serve(context: TestContext, answer: RequestListener): Promise<number> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

export function keepingLog(lines: LogFields[], more: LogFields = {}): Log {
  const keep = (fields: LogFields, message: string): void => void lines.push({ ...more, ...fields, message })
  return { debug: keep, info: keep, warn: keep, error: keep, child: (fields) => keepingLog(lines, { ...more, ...fields }) }
}
