/**
 * Who may talk to an agent, decided from memory before anything else happens with a message. What strangers get instead, where they
 * may pair, is `pairing.ts`; that nothing of the refused is stored is the ingress's.
 */
import type { AccessPolicy, Clock, Inbound, Refusal } from '#contract'
import { LoopGuard } from './loop-guard.ts'
import type { Pairings } from './pairing.ts'
import { nameKey } from './sender-name.ts'

export interface AccessParts {
  readonly clock: Clock
  readonly pairings: Pairings
}

/** Policies by channel. A channel that no stranger can reach has none. */
export type Policies = ReadonlyMap<string, AccessPolicy>

interface Rules {
  readonly policy: AccessPolicy
  readonly senders: ReadonlySet<string>
  readonly groups: ReadonlySet<string>
}

export class Access {
  readonly #clock: Clock
  readonly #pairings: Pairings
  readonly #loops = new LoopGuard()
  #rules: ReadonlyMap<string, Rules>

  constructor({ clock, pairings }: AccessParts, policies: Policies) {
    this.#clock = clock
    this.#pairings = pairings
    this.#rules = compile(policies)
  }

  /** New rules for what comes in from now on. */
  replace(policies: Policies): void {
    this.#rules = compile(policies)
  }

  /** The rules in force; null: there are none, because no stranger reaches the channel. */
  policy(channel: string): AccessPolicy | null {
    return this.#rules.get(channel)?.policy ?? null
  }

  /** Null: it may come in. */
  refusal(channel: string, message: Inbound): Refusal | null {
    const { author = 'person' } = message
    if (author === 'self') return 'self'
    const rules = this.#rules.get(channel)
    if (rules === undefined) return null
    if (author === 'bot' && rules.policy.bots === 'ignore') return 'bot'
    const refused = message.peer.kind === 'direct' ? this.#direct(channel, message, rules) : this.#group(channel, message, rules)
    if (refused !== null) return refused
    return author === 'bot' && !this.#loops.takes(channel, message.lane, this.#clock.now()) ? 'bot' : null
  }

  /** A stranger was refused: gives a code where that is the rule. Rejects with `UnavailableError` when it could not be kept. */
  async turnedAway(channel: string, message: Inbound): Promise<void> {
    // Bots cannot ask anybody to let them in, and news of a message that was refused is no reason to write again.
    const isPerson = (message.author ?? 'person') === 'person' && message.event === undefined
    if (this.#rules.get(channel)?.policy.direct !== 'pairing' || !isPerson || message.peer.kind !== 'direct') return
    await this.#pairings.ask(channel, message)
  }

  #direct(channel: string, message: Inbound, rules: Rules): Refusal | null {
    const { direct } = rules.policy
    if (direct === 'off') return 'off'
    return direct === 'open' || this.#isKnown(channel, message, rules) ? null : 'stranger'
  }

  #group(channel: string, message: Inbound, rules: Rules): Refusal | null {
    const { group, isMentionRequired } = rules.policy
    if (group === 'off') return 'off'
    const isOpen = group === 'open' || rules.groups.has(message.peer.id.toLowerCase())
    if (!isOpen && !this.#isKnown(channel, message, rules)) return 'stranger'
    return isMentionRequired && message.isAddressed === false ? 'unaddressed' : null
  }

  #isKnown(channel: string, { sender, aliases = [] }: Inbound, rules: Rules): boolean {
    if (rules.senders.size > 0 && [sender, ...aliases].some((name) => rules.senders.has(nameKey(name)))) return true
    return this.#pairings.isGranted(channel, { sender, aliases })
  }
}

const compile = (policies: Policies): ReadonlyMap<string, Rules> =>
  new Map(
    [...policies].map(([channel, policy]) => [
      channel,
      { policy, senders: new Set(policy.allow.map(nameKey)), groups: new Set(policy.groupAllow.map((id) => id.trim().toLowerCase())) },
    ]),
  )
