/**
 * `Chat`: the dialogue that a channel lends, over a bidirectional stream. Frames are those of the channel, as messages; order, acknowledgement,
 * resuming and limits are the channel's. No more is read than may be handed in.
 */
import type { ServerDuplexStream } from '@grpc/grpc-js'
import { InvalidError, UnavailableError } from '#contract'
import type { DialogueLine, DialogueRoute, Fault, JsonObject, JsonValue, OpenDialogue, Principal } from '#contract'
import { boundsFault } from '../http/json-bounds.ts'
import { messageOf } from './definition.ts'
import type { Read } from './definition.ts'
import { payloadOf, said } from './method.ts'
import type { Message } from './method.ts'
import type { Outlet } from './outlet.ts'
import { fromJson, isRecord, toObject } from './struct.ts'

export type ChatStream = ServerDuplexStream<Read, object>

export interface Begun {
  readonly route: DialogueRoute
  readonly principal: Principal
  /** One more message. */
  readonly waitOf: () => number | null
}

/** Throws where no conversation can be begun; from then on it lives until the stream ends. */
export function chat(stream: ChatStream, outlet: Outlet, { route, principal, waitOf }: Begun): void {
  const line = new Line(stream, outlet, waitOf)
  const dialogue = route.open(principal, line)
  line.begin(dialogue)
  outlet.signal.addEventListener('abort', () => dialogue.end(), { once: true })
  outlet.write({ ready: { principal: principal.id } }, 64)
  stream.on('data', (read: Read) => {
    try {
      const frame = frameOf(messageOf(read))
      const fault = boundsFault(frame)
      if (fault !== null) throw refused(fault)
      dialogue.hear(frame)
      line.answered()
    } catch (error) {
      outlet.fail(error)
    }
  })
  // That the client has said all it will is its goodbye: what it handed in is still acknowledged.
  stream.on('end', () => void dialogue.settle().then(() => outlet.end()))
}

class Line implements DialogueLine {
  readonly #stream: ChatStream
  readonly #outlet: Outlet
  readonly waitOf: () => number | null
  #dialogue: OpenDialogue | null = null

  constructor(stream: ChatStream, outlet: Outlet, waitOf: () => number | null) {
    this.#stream = stream
    this.#outlet = outlet
    this.waitOf = waitOf
  }

  begin(dialogue: OpenDialogue): void {
    this.#dialogue = dialogue
  }

  get isOpen(): boolean {
    return this.#outlet.isOpen
  }

  get isFull(): boolean {
    return this.#outlet.isFull
  }

  send(frame: JsonObject): void {
    this.#outlet.write(replyOf(frame), JSON.stringify(frame).length)
  }

  sendOut(frame: JsonObject): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#outlet.write(replyOf(frame), JSON.stringify(frame).length, resolve)
    return promise
  }

  close(reason: string): void {
    this.#outlet.fail(new UnavailableError(`The conversation was ended: ${reason}.`, { code: 'CHANNEL_CLOSED' }))
  }

  answered(): void {
    if (this.#dialogue?.isBusy === true) this.#stream.pause()
    else if (this.#stream.isPaused()) this.#stream.resume()
  }
}

const refused = ({ pointer, detail }: Fault): InvalidError =>
  new InvalidError(`The frame is refused: ${detail}.`, { code: 'JSON_REFUSED', faults: [{ pointer, detail }] })

/** What is not one of ours is handed on as it is, for the channel to refuse in its own words. */
function frameOf(message: Message): JsonValue {
  const { frame: type } = message
  const frame = typeof type === 'string' ? message[type] : null
  if (typeof type !== 'string' || !isRecord(frame)) return {}
  if (type === 'ping') return { type }
  const conversation = said(frame, ['conversation'])
  if (type === 'subscribe') return { type, ...conversation, ...(typeof frame['_since'] === 'string' && { since: Number(frame['since']) }) }
  return {
    type,
    ...conversation,
    ...said(frame, ['id', 'agent']),
    ...(frame['metadata'] !== null && { metadata: toObject(frame['metadata']) }),
    payload: payloadOf(frame['payload']),
  }
}

/** Members have the same names as in the frames; nothing stands for null. */
function replyOf({ type, ...frame }: JsonObject): object {
  if (type === 'skill.progress') return { skill_progress: { ...frame, progress: fromJson(frame['progress'] ?? null) } }
  return typeof type === 'string' ? { [type]: frame } : {}
}
