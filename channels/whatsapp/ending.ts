/** Why a connection ended, and what is done about it: come back at once, come back later, or wait for a person. */

/** `code` as Baileys gives it: WhatsApp's own number, or one of Baileys's for the network; null: it was closed by us. */
export interface Ending {
  readonly code: number | null
  readonly message: string
  /** More came than can be held: not to be had again before a pause is over. */
  readonly isFlooded?: boolean
}

export type Next =
  | { readonly do: 'restart' | 'reconnect' }
  /** `isLinked` false: the account has to be linked anew. */
  | { readonly do: 'stop'; readonly why: string; readonly isLinked: boolean }

export function after({ code }: Ending): Next {
  switch (code) {
    // Asked for by WhatsApp after linking.
    case 515:
      return { do: 'restart' }
    case 401:
      return { do: 'stop', why: 'The phone has removed this device (401). Link it again.', isLinked: false }
    case 403:
    case 406:
      return {
        do: 'stop',
        why: `WhatsApp has logged this account out (${code}); it may be banned. Look at the phone, then link again.`,
        isLinked: false,
      }
    case 419:
      return { do: 'stop', why: 'WhatsApp does not know this device any more (419). Link it again.', isLinked: false }
    case 402:
      return {
        do: 'stop',
        why: 'WhatsApp has banned this account for some time (402). The phone says for how long; restart the gateway after it.',
        isLinked: true,
      }
    case 405:
    case 409:
      return {
        do: 'stop',
        why: `WhatsApp refuses this version of its client (${code}). Set \`version\`, or update the gateway.`,
        isLinked: true,
      }
    case 411:
      return { do: 'stop', why: 'The phone has no linked devices yet (411). Update WhatsApp on it, then link again.', isLinked: false }
    case 440:
      return {
        do: 'stop',
        why: 'Another program has connected with this same device (440). End it, then restart the gateway: two of them would put each other out without end.',
        isLinked: true,
      }
    default:
      return { do: 'reconnect' }
  }
}

/** Baileys gives its errors the shape of @hapi/boom. */
export function endingOf(error: unknown): Ending {
  if (!(error instanceof Error)) return { code: null, message: 'closed' }
  const output = 'output' in error ? error.output : null
  const code = typeof output === 'object' && output !== null && 'statusCode' in output ? output.statusCode : null
  return { code: typeof code === 'number' ? code : 0, message: error.message.slice(0, 200) }
}
