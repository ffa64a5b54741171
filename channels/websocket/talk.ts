/**
 * A dialogue that another door carries: the same frames, limits and order as on a socket of ours. How the frames travel, who is at the other
 * end and whether they are still welcome is the door's to know.
 */
import { isJsonObject } from '#contract'
import type { ChannelHost, DialogueLine, JsonValue, OpenDialogue, Principal } from '#contract'
import { Dialogue } from './dialogue.ts'
import type { Line } from './dialogue.ts'
import { errorFrame, readValue, tooMuchOf } from './frame.ts'
import type { ServerFrame } from './frame.ts'

/** What the channel is told. */
export interface TalkOwner {
  readonly host: ChannelHost
  readonly isPaused: boolean
  ended(talk: Talk): void
}

export class Talk implements OpenDialogue, Line {
  readonly #line: DialogueLine
  readonly #owner: TalkOwner
  readonly #dialogue: Dialogue
  #isOver = false

  constructor(owner: TalkOwner, principal: Principal, line: DialogueLine) {
    this.#owner = owner
    this.#line = line
    this.#dialogue = new Dialogue(owner.host, principal, this)
  }

  get isBusy(): boolean {
    return this.#owner.isPaused || this.#dialogue.isBusy
  }

  get isOpen(): boolean {
    return !this.#isOver && this.#line.isOpen
  }

  get isFull(): boolean {
    return this.#line.isFull
  }

  hear(value: JsonValue): void {
    if (this.#isOver) return
    const read = readValue(isJsonObject(value) ? value : {})
    if (read.is !== 'frame') return this.send(errorFrame(read.id, read.error))
    const tooMuch = tooMuchOf(read.frame, () => this.#line.waitOf())
    if (tooMuch === null) this.#dialogue.obey(read.frame)
    else this.send(tooMuch)
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#dialogue.end()
    this.#owner.ended(this)
  }

  send(frame: ServerFrame): void {
    if (!this.#isOver) this.#line.send({ ...frame })
  }

  sendOut(frame: ServerFrame): Promise<void> {
    return this.#isOver ? Promise.resolve() : this.#line.sendOut({ ...frame })
  }

  close(_code: number, reason: string): void {
    if (this.#isOver) return
    this.end()
    this.#line.close(reason)
  }

  answered(): void {
    this.#line.answered()
  }

  /** Resolves when every message that was handed in is answered. */
  settle(): Promise<void> {
    return this.#dialogue.settle()
  }
}
