/** What WhatsApp's refusal of a message means for the outbox. */
import { ChannelFault } from '#contract'

const RATE_WAIT_MS = 60_000

/** @param error the attribute of the acknowledgement */
export function refusal(name: string, error: string): ChannelFault {
  const code = Number(error)
  if (code === 463) {
    // Every further try counts as another attempt at reaching out, and lengthens the restriction.
    return new ChannelFault(
      `WhatsApp restricts the account of channel "${name}" to people who wrote to it before (463). Wait until the phone says that the restriction is over, then replay.`,
      { code: 'WHATSAPP_RESTRICTED', fault: { is: 'permanent' } },
    )
  }
  if (code === 429) {
    return new ChannelFault(`WhatsApp asks channel "${name}" to slow down (429).`, {
      code: 'WHATSAPP_RATE_LIMITED',
      fault: { is: 'rate', afterMs: RATE_WAIT_MS, scope: 'account' },
    })
  }
  // 479: the list of the receiver's devices was out of date; it is fetched anew.
  if (code === 479 || code >= 500 || !Number.isInteger(code)) {
    return new ChannelFault(`WhatsApp could not take a message of channel "${name}" now (${error}).`, {
      code: 'WHATSAPP_UNREACHABLE',
      fault: { is: 'transient', maybeSent: false },
    })
  }
  return new ChannelFault(
    `WhatsApp refuses a message of channel "${name}" (${error}): the chat may not exist, or not allow us to write. Check it, then replay.`,
    {
      code: 'WHATSAPP_REFUSED',
      fault: { is: 'permanent' },
    },
  )
}
