/**
 * Linking the gateway to a phone as one of its linked devices: a connection with a device that nobody knows yet, and the steps that
 * somebody with the phone in hand is shown.
 */
import type { ChannelHost, LinkRequest, LinkStep } from '#contract'
import { Account } from './account.ts'
import { Connection } from './connection.ts'
import type { Ending } from './ending.ts'
import type { Gate } from './gate.ts'
import type { Baileys } from './library.ts'
import type { Settings } from './settings.ts'

export interface LinkParts {
  readonly baileys: Baileys
  readonly host: ChannelHost
  readonly settings: Settings
  readonly gate: Gate
  /** What is replaced. */
  readonly before: Account | null
  /** Takes the linked account over; resolves when it is usable, with false when it never became so. */
  readonly adopt: (account: Account) => Promise<boolean>
}

type News = { readonly step: LinkStep } | { readonly ending: Ending }

/** WhatsApp's own word for the end of a connection that paired. */
const PAIRED = 515

export async function* linkPhone(parts: LinkParts, { phone }: LinkRequest, signal: AbortSignal): AsyncGenerator<LinkStep, void, void> {
  const { baileys, host, settings, gate, before, adopt } = parts
  const account = Account.create(baileys, host, before)
  const news = new Mailbox<News>()
  let isCodeAsked = false
  const askCode = async (number: string): Promise<void> => {
    if (isCodeAsked) return
    isCodeAsked = true
    const data = await connection.requestCode(number)
    news.put({ step: { show: 'code', data } })
  }
  const connection = new Connection({
    baileys,
    host,
    settings,
    account,
    gate,
    // The first code also says that the connection is ready to be asked for the other kind.
    onQr: (data) => {
      if (phone === null) news.put({ step: { show: 'qr', data } })
      else
        askCode(phone).catch(() =>
          news.put({ step: { show: 'blocked', why: 'WhatsApp gave no code for this number. Check the number, or link by QR code.' } }),
        )
    },
    onPasskey: () => news.put({ step: { show: 'blocked', why: PASSKEY } }),
  })
  void connection.ended.then((ending) => news.put({ ending }))
  const abort = (): void => void connection.close()
  signal.addEventListener('abort', abort, { once: true })
  try {
    if (signal.aborted) return
    for (;;) {
      const next = await news.take()
      if ('step' in next) {
        yield next.step
        if (next.step.show === 'blocked') return
      } else {
        if (signal.aborted) return
        yield await outcome(account, next.ending, adopt)
        return
      }
    }
  } finally {
    signal.removeEventListener('abort', abort)
    await connection.close()
  }
}

async function outcome(account: Account, { code, message }: Ending, adopt: LinkParts['adopt']): Promise<LinkStep> {
  if (code === PAIRED && account.isPaired) {
    return (await adopt(account))
      ? { show: 'done', as: `+${account.number}` }
      : { show: 'blocked', why: 'The phone has linked the gateway, but WhatsApp then refused it. Look at its state, and link again.' }
  }
  if (code === 408) return { show: 'blocked', why: 'Nobody entered the code in time. Begin again for a new one.' }
  return { show: 'blocked', why: `WhatsApp ended the linking (${message}). Begin again.` }
}

const PASSKEY =
  'WhatsApp asks for a passkey before it links this account, which only its own apps can show. Link another account, or use the WhatsApp Business platform.'

/** What happens, in order, for whoever asks. */
class Mailbox<T> {
  readonly #waiting: T[] = []
  #arrived: PromiseWithResolvers<void> = Promise.withResolvers<void>()

  put(item: T): void {
    this.#waiting.push(item)
    this.#arrived.resolve()
  }

  async take(): Promise<T> {
    for (;;) {
      const item = this.#waiting.shift()
      if (item !== undefined) return item
      this.#arrived = Promise.withResolvers<void>()
      await this.#arrived.promise
    }
  }
}
