/**
 * Baileys's own listeners on its socket, taken over before anything can happen there: it calls async functions without waiting for them or
 * hearing what they reject with, so that a message can overtake the one before it, and a lost connection could end the process.
 */
import type { BinaryNode, WASocket } from 'baileys'

type Socket = WASocket['ws']

/** Whatever a listener throws or rejects with goes to `onError`. */
export function catchErrors(ws: Socket, onError: (event: string, error: unknown) => void): void {
  for (const event of ws.eventNames()) {
    const listeners = ws.rawListeners(event)
    ws.removeAllListeners(event)
    for (const listener of listeners) {
      ws.on(event, (...given: unknown[]) => {
        try {
          const result: unknown = Reflect.apply(listener, ws, given)
          if (result instanceof Promise) result.catch((error: unknown) => onError(String(event), error))
        } catch (error) {
          onError(String(event), error)
        }
      })
    }
  }
}

/**
 * Messages one after another, in the order in which they came, those of the backlog too, which Baileys would let be overtaken by new ones.
 * @param before sees each when it comes, with how many wait
 */
export function queueMessages(ws: Socket, before: (stanza: BinaryNode, waiting: number) => void): void {
  const listeners = ws.rawListeners(MESSAGE)
  ws.removeAllListeners(MESSAGE)
  let waiting = 0
  let work: Promise<unknown> = Promise.resolve()
  const handle = async (stanza: BinaryNode): Promise<void> => {
    try {
      for (const listener of listeners) await Reflect.apply(listener, ws, [stanza])
    } finally {
      waiting--
    }
  }
  ws.on(MESSAGE, (stanza: BinaryNode) => {
    before(stanza, ++waiting)
    // The mark of the backlog sends it past this queue into another one.
    delete stanza.attrs['offline']
    work = work.then(() => handle(stanza)).catch(() => undefined)
  })
}

const MESSAGE = 'CB:message'
