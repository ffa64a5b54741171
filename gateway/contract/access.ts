/**
 * Who may talk to an agent through a channel that strangers can reach. Decided by the hub before anything else happens: no
 * typing, no fetching, no turn for the refused.
 */
export interface AccessPolicy {
  /** Direct messages. pairing: a stranger gets a code, which the operator approves. off: nobody. */
  readonly direct: 'allowlist' | 'pairing' | 'open' | 'off'
  /** Senders, by any of their names. */
  readonly allow: readonly string[]
  readonly group: 'allowlist' | 'open' | 'off'
  /** Groups by their ids. Senders of `allow` may speak in any group. */
  readonly groupAllow: readonly string[]
  /** In groups only what is addressed to us. */
  readonly isMentionRequired: boolean
  readonly bots: 'ignore' | 'allow'
}
