/** What a chat shows: replies as they come on a terminal, whole ones into a pipe, frames as JSON where that is asked for. */
import type { JsonObject } from '#contract'
import { plain } from '../output.ts'
import type { Output } from '../output.ts'
import type { Screen, Sent } from './conversation.ts'
import type { Reply } from './frame.ts'

/** For people at a terminal. `prompt` shows that it is their turn, `clear` takes it away again. */
export class TerminalScreen implements Screen {
  readonly #out: Output
  readonly #prompt: { show(): void; clear(): void }
  /** The reply that is being written, and how much of it stands there. */
  #stream: { readonly messageId: string; text: string } | null = null

  constructor(out: Output, prompt: { show(): void; clear(): void }) {
    this.#out = out
    this.#prompt = prompt
  }

  delta(messageId: string, text: string | null): void {
    if (this.#stream && this.#stream.messageId !== messageId) this.#endStream()
    if (text === null) {
      if (this.#stream) this.#endStream()
      return this.#note('starting again')
    }
    if (!this.#stream) this.#prompt.clear()
    this.#stream ??= { messageId, text: '' }
    this.#stream.text += text
    this.#out.write(plain(text))
  }

  /** What was streamed already is not repeated; parts of a reply follow one another in what was streamed. */
  reply(reply: Reply): void {
    const streamed = this.#stream?.messageId === reply.messageId ? this.#stream.text : null
    if (streamed !== null && streamed.startsWith(reply.text)) {
      const rest = streamed.slice(reply.text.length).trimStart()
      if (rest === '') this.#endStream()
      else this.#stream = { messageId: reply.messageId, text: rest }
      return
    }
    if (streamed !== null && streamed !== '' && reply.text.startsWith(streamed)) {
      this.#out.write(plain(reply.text.slice(streamed.length)))
      return this.#endStream()
    }
    if (this.#stream) this.#endStream()
    this.#prompt.clear()
    this.#out.line(plain(reply.text))
  }

  status(_: Sent, status: string, reason: string): void {
    if (status === 'retrying' || status === 'waiting') this.#note(`${status}${reason === '' ? '' : `: ${reason}`}`)
  }

  refused(_: Sent, reason: string): void {
    if (this.#stream) this.#endStream()
    this.#note(`not answered: ${reason}`, 'red')
  }

  idle(): void {
    if (this.#stream) this.#endStream()
    this.#prompt.show()
  }

  connection(state: 'lost' | 'back'): void {
    if (this.#stream) this.#endStream()
    this.#note(state === 'lost' ? 'connection lost, trying again' : 'connected again')
    this.#prompt.show()
  }

  raw(_frame: JsonObject): void {}

  #note(text: string, style: 'dim' | 'red' = 'dim'): void {
    this.#prompt.clear()
    this.#out.line(this.#out.style(style, `(${plain(text)})`))
  }

  #endStream(): void {
    this.#stream = null
    this.#out.line()
  }
}

/** For pipes: the replies to what was said, each on lines of its own; all else goes to standard error. */
export class PlainScreen implements Screen {
  readonly #out: Output
  constructor(out: Output) {
    this.#out = out
  }
  reply(reply: Reply, isOurs: boolean): void {
    if (isOurs) this.#out.line(plain(reply.text))
  }
  delta(): void {}
  status(sent: Sent, status: string, reason: string): void {
    if (status === 'retrying' || status === 'waiting')
      this.#out.note(`${plain(start(sent.text))} is ${status}${reason === '' ? '' : `: ${plain(reason)}`}`)
  }
  refused(sent: Sent, reason: string): void {
    this.#out.note(`${plain(start(sent.text))} was not answered: ${plain(reason)}`)
  }
  idle(): void {}
  connection(state: 'lost' | 'back'): void {
    this.#out.note(state === 'lost' ? 'connection lost, trying again' : 'connected again')
  }
  raw(_frame: JsonObject): void {}
}

/** One frame a line. */
export class JsonScreen extends PlainScreen {
  readonly #lines: Output
  constructor(out: Output) {
    super(out)
    this.#lines = out
  }
  override reply(): void {}
  override raw(frame: JsonObject): void {
    this.#lines.line(JSON.stringify(frame))
  }
}

const start = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 39)}…` : text)
