/** `openclaw channels link`: shows the code that a phone scans, anew each time it changes, or the one that is typed into it. */
import type { JsonObject } from '#contract'
import { channelPath } from '../channel-path.ts'
import type { Call, World } from '../command.ts'
import { text } from '../document.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { plain } from '../output.ts'
import type { Output } from '../output.ts'
import type { Remote } from '../remote.ts'

export async function link(call: Call, { out }: World, remote: Remote): Promise<ExitCode> {
  const name = call.words[0] ?? ''
  const phone = call.text('phone')
  const body = phone === undefined ? {} : { phone }
  const picture = new Picture(out)
  for await (const { event, data } of remote.events(`${channelPath(name)}/link`, { method: 'POST', body })) {
    if (call.json) out.line(JSON.stringify({ show: event, ...data }))
    else picture.show(event, data)
    if (event === 'done') {
      if (!call.json) out.note(`${name} is linked as ${text(data['as'])}.`)
      return EXIT.ok
    }
    if (event === 'blocked') throw new CommandError(`${name} cannot be linked: ${text(data['why'])}`, EXIT.failed)
    if (event === 'error') throw new CommandError(text(data['message']) || 'Linking failed.', EXIT.failed)
  }
  throw new CommandError(`${name} was not linked: the gateway ended it. Try again.`, EXIT.failed)
}

/** On a terminal each code takes the place of the one before. */
class Picture {
  readonly #out: Output
  #lines = 0

  constructor(out: Output) {
    this.#out = out
  }

  show(event: string, data: JsonObject): void {
    if (event === 'qr') this.#draw(`${plain(text(data['text']))}\nScan it with the phone: Settings, Linked devices, Link a device.`)
    if (event === 'code') this.#draw(`Type this code into the phone: ${plain(text(data['data']))}`)
  }

  #draw(picture: string): void {
    if (this.#out.isTerminal && this.#lines > 0) this.#out.write(`\u001b[${this.#lines}A\u001b[J`)
    this.#out.line(picture)
    this.#lines = picture.split('\n').length
  }
}
