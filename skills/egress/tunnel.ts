/**
 * CONNECT (RFC 9110 §9.3.6): bytes both ways between a skill and a host that was judged, counted and bounded. Nothing goes out before its
 * opening is judged; what the bytes mean after that is not looked at.
 */
import type { Socket } from 'node:net'
import type { Tally } from './audit.ts'
import type { Opening } from './opening.ts'
import { authority } from './match.ts'
import type { Target } from './match.ts'

export interface TunnelOptions {
  readonly client: Socket
  readonly upstream: Socket
  readonly target: Target
  /** What the client sent behind its request already. */
  readonly head: Buffer
  readonly tally: Tally
  readonly idleMs: number
  /** For an opening that has begun to be there whole. */
  readonly openMs: number
  /** Asked again with more bytes while it is partial. */
  readonly judge: (bytes: Buffer) => Opening
  /** Once, before anything has gone out. */
  readonly onRefused: (why: string) => void
}

/** How it ended, when both ends are closed. */
export type TunnelEnd = { readonly up: number; readonly down: number; readonly is: 'done' | 'over' | 'refused' }

/** `access_denied`, fatal (RFC 8446 §6). */
const ALERT: Buffer = Buffer.from([21, 3, 1, 0, 2, 2, 49])

export function tunnel({ client, upstream, target, head, tally, idleMs, openMs, judge, onRefused }: TunnelOptions): Promise<TunnelEnd> {
  const { promise, resolve } = Promise.withResolvers<TunnelEnd>()
  let is: TunnelEnd['is'] = 'done'
  /** What the client said before that was judged; null: it was. */
  let held: Buffer | null = NOTHING
  let limit: NodeJS.Timeout | undefined
  // Either may have gone while the host was looked for.
  let ends = [client, upstream].filter(({ closed }) => !closed).length
  const count = (way: 'up' | 'down', bytes: number): void => {
    if (tally.bytes(way, bytes, target)) return
    is = 'over'
    cut()
  }
  const cut = (): void => {
    client.destroy()
    upstream.destroy()
  }
  const onClose = (): void => {
    if (--ends > 0) return
    finish()
  }
  const finish = (): void => {
    clearTimeout(limit)
    resolve({ up: upstream.bytesWritten, down: upstream.bytesRead, is })
  }
  const refuse = (why: string, isTls: boolean): void => {
    is = 'refused'
    held = null
    clearTimeout(limit)
    onRefused(why)
    upstream.unpipe(client)
    if (isTls) client.end(ALERT, cut)
    else cut()
  }
  const open = (chunk: Buffer): void => {
    held = Buffer.concat([held ?? NOTHING, chunk])
    const opening = judge(held)
    if (opening.is === 'refused') return refuse(opening.why, opening.isTls)
    if (opening.is === 'partial') {
      limit ??= setTimeout(() => refuse(`${authority(target)}: the beginning of its TLS took longer than ${openMs} ms.`, true), openMs)
      return
    }
    clearTimeout(limit)
    tally.admit()
    upstream.write(held)
    held = null
    client.pipe(upstream)
  }
  for (const [end, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    end.on('error', cut)
    end.setTimeout(idleMs, cut)
    end.once('close', () => {
      // Of an end in peace the other hears by the pipe.
      if (!end.readableEnded) other.destroy()
      onClose()
    })
  }
  client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
  client.on('data', (chunk: Buffer) => {
    count('up', chunk.byteLength)
    if (held !== null && is === 'done') open(chunk)
  })
  // Its half is closed before it said anything that goes out.
  client.once('end', () => (held === null ? undefined : upstream.end()))
  upstream.on('data', (chunk: Buffer) => count('down', chunk.byteLength))
  if (head.byteLength > 0) {
    count('up', head.byteLength)
    if (is === 'done') open(head)
  }
  upstream.pipe(client)
  if (client.destroyed || upstream.destroyed) cut()
  if (ends === 0) finish()
  return promise
}

const NOTHING: Buffer = Buffer.alloc(0)
