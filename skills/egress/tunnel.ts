/** CONNECT (RFC 9110 §9.3.6): bytes both ways between a skill and a host that was judged, counted and bounded; what they mean is not looked at. */
import type { Socket } from 'node:net'
import type { Tally } from './audit.ts'
import type { Target } from './match.ts'

export interface TunnelOptions {
  readonly client: Socket
  readonly upstream: Socket
  readonly target: Target
  /** What the client sent behind its request already. */
  readonly head: Buffer
  readonly tally: Tally
  readonly idleMs: number
}

/** How it ended, when both ends are closed. */
export type TunnelEnd = { readonly up: number; readonly down: number; readonly isOver: boolean }

export function tunnel({ client, upstream, target, head, tally, idleMs }: TunnelOptions): Promise<TunnelEnd> {
  const { promise, resolve } = Promise.withResolvers<TunnelEnd>()
  let isOver = false
  // Either may have gone while the host was looked for.
  let open = [client, upstream].filter(({ closed }) => !closed).length
  const count = (way: 'up' | 'down', bytes: number): void => {
    if (tally.bytes(way, bytes, target)) return
    isOver = true
    cut()
  }
  const cut = (): void => {
    client.destroy()
    upstream.destroy()
  }
  const onClose = (): void => {
    if (--open > 0) return
    finish()
  }
  const finish = (): void => resolve({ up: upstream.bytesWritten, down: upstream.bytesRead, isOver })
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
  client.on('data', (chunk: Buffer) => count('up', chunk.byteLength))
  upstream.on('data', (chunk: Buffer) => count('down', chunk.byteLength))
  if (head.byteLength > 0) {
    count('up', head.byteLength)
    upstream.write(head)
  }
  client.pipe(upstream)
  upstream.pipe(client)
  if (client.destroyed || upstream.destroyed) cut()
  if (open === 0) finish()
  return promise
}
