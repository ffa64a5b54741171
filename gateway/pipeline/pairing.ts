/**
 * Pairing: a stranger is given a code once, and may write when the operator approved it. Codes and grants are durable in the store and whole in
 * memory, since every message of a channel asks for them; this is the only writer, so both always say the same.
 */
import { NotFoundError, newDeliveryId } from '#contract'
import type { Address, Clock, DeliveryId, Grant, Inbound, Log, Pairing, Store } from '#contract'
import type { Feed } from './feed.ts'
import { newPairingCode, readPairingCode } from './pairing-code.ts'

export interface PairingParts {
  readonly store: Pick<Store, 'pairing'>
  readonly clock: Clock
  readonly log: Log
  readonly feed: Pick<Feed, 'emit'>
  /** Whose a channel is. */
  readonly tenantOf: (channel: string) => string
  /** Sends words without a message of anybody's, through the outbox. */
  readonly post: (notice: {
    readonly id: DeliveryId
    readonly channel: string
    readonly lane: string
    readonly to: Address
    readonly text: string
  }) => Promise<unknown>
}

const LIFE_MS = 3_600_000
const MAX_OPEN = 3

type Names = Pick<Grant, 'sender' | 'aliases'>

export class Pairings {
  readonly #parts: PairingParts
  /** By channel: at most three open ones, and those that were settled within the hour. */
  readonly #pairings = new Map<string, readonly Pairing[]>()
  readonly #grants = new Map<string, readonly Grant[]>()
  /** By channel, every name: of whom it is the first one, of whom another. */
  readonly #index = new Map<string, { readonly senders: ReadonlySet<string>; readonly names: ReadonlySet<string> }>()
  /** Strangers who are being given a code; as many as accepts under way. */
  readonly #asking = new Map<string, Promise<void>>()

  constructor(parts: PairingParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    const { store, clock } = this.#parts
    const [pairings, grants] = await Promise.all([store.pairing.pairings(clock.now()), store.pairing.grants()])
    for (const [channel, list] of Map.groupBy(pairings, (pairing) => pairing.channel)) this.#pairings.set(channel, list)
    for (const [channel, list] of Map.groupBy(grants, (grant) => grant.channel)) this.#setGrants(channel, list)
  }

  /** By a first name on either side: a second one alone, such as a user name that changed hands, lets nobody in. */
  isGranted(channel: string, { sender, aliases }: Names): boolean {
    const index = this.#index.get(channel)
    return index !== undefined && (index.names.has(sender) || aliases.some((alias) => index.senders.has(alias)))
  }

  /** Open codes, oldest first. */
  open(channel: string): readonly Pairing[] {
    return this.#live(channel).filter(({ status }) => status === 'open')
  }

  grants(channel: string): readonly Grant[] {
    return this.#grants.get(channel) ?? []
  }

  /** Resolves when the stranger has a code that is kept and a notice that is on its way, or is to get none. */
  ask(channel: string, stranger: Inbound): Promise<void> {
    const key = `${channel}\n${stranger.sender}`
    const running = this.#asking.get(key)
    if (running !== undefined) return running
    const asking = this.#ask(channel, stranger).finally(() => this.#asking.delete(key))
    this.#asking.set(key, asking)
    return asking
  }

  /** @throws NotFoundError when there is no such open code */
  async approve(channel: string, typed: string, by: string): Promise<Grant> {
    const { store, clock, log } = this.#parts
    const code = readPairingCode(typed)
    const grant = await store.pairing.approve({ channel, code, by }, clock.now())
    if (grant === null) throw noCode()
    this.#settle(channel, code, 'used')
    this.#setGrants(channel, [...this.grants(channel).filter(({ sender }) => sender !== grant.sender), grant])
    log.info({ channel, by }, 'a sender was let in')
    this.#tell(channel)
    return grant
  }

  /** @throws NotFoundError when there is no such open code */
  async deny(channel: string, typed: string): Promise<void> {
    const { store, clock } = this.#parts
    const code = readPairingCode(typed)
    if (!(await store.pairing.deny(channel, code, clock.now()))) throw noCode()
    this.#settle(channel, code, 'denied')
    this.#tell(channel)
  }

  /** @throws NotFoundError when nobody of that name was let in */
  async revoke(channel: string, sender: string): Promise<void> {
    const { store, log } = this.#parts
    const isGone = await store.pairing.revoke(channel, sender)
    if (!isGone) {
      throw new NotFoundError(
        `No such sender was let in on channel "${channel}". GET /v1/channels/${channel}/grants lists those who were.`,
        {
          code: 'GRANT_NOT_FOUND',
        },
      )
    }
    this.#setGrants(
      channel,
      this.grants(channel).filter((grant) => grant.sender !== sender),
    )
    log.info({ channel }, 'a sender is not let in any more')
    this.#tell(channel)
  }

  async #ask(channel: string, stranger: Inbound): Promise<void> {
    const { store, clock, post } = this.#parts
    const pairing = this.#of(channel, stranger) ?? (await this.#mint(channel, stranger))
    if (pairing === null || pairing.status !== 'open' || pairing.noticedAt !== null) return
    const { code } = pairing
    // After a crash between these two it is posted again, under the same id.
    await post({ id: pairing.notice, channel, lane: stranger.lane, to: stranger.reply, text: noticeText(channel, code) })
    const noticedAt = clock.now()
    await store.pairing.noticed(channel, code, noticedAt)
    this.#change(channel, code, { noticedAt })
  }

  /** The code that this sender has already, whatever became of it. */
  #of(channel: string, { sender, aliases = [] }: Inbound): Pairing | undefined {
    return this.#live(channel).find(
      (pairing) => pairing.sender === sender || pairing.aliases.includes(sender) || aliases.includes(pairing.sender),
    )
  }

  async #mint(channel: string, { sender, aliases = [] }: Inbound): Promise<Pairing | null> {
    const { store, clock, log } = this.#parts
    const live = this.#live(channel)
    if (live.filter(({ status }) => status === 'open').length >= MAX_OPEN) return null
    const now = clock.now()
    let code = newPairingCode()
    while (live.some((pairing) => pairing.code === code)) code = newPairingCode()
    const times = { createdAt: now, expiresAt: now + LIFE_MS, noticedAt: null }
    const pairing: Pairing = { channel, code, sender, aliases, status: 'open', notice: newDeliveryId(now), ...times }
    // In memory first, so that strangers who come at the same time are counted.
    this.#pairings.set(channel, [...live, pairing])
    try {
      await store.pairing.add(pairing, now)
    } catch (error) {
      this.#pairings.set(
        channel,
        this.#live(channel).filter((other) => other.code !== code),
      )
      throw error
    }
    log.info({ channel }, `A stranger asks to be let in; see "openclaw channels pairings list ${channel}".`)
    this.#tell(channel)
    return pairing
  }

  #live(channel: string): readonly Pairing[] {
    const now = this.#parts.clock.now()
    return (this.#pairings.get(channel) ?? []).filter(({ expiresAt }) => expiresAt > now)
  }

  #settle(channel: string, code: string, status: 'used' | 'denied'): void {
    this.#change(channel, code, { status })
  }

  #change(channel: string, code: string, change: Partial<Pairing>): void {
    const changed = this.#live(channel).map((pairing) => (pairing.code === code ? { ...pairing, ...change } : pairing))
    this.#pairings.set(channel, changed)
  }

  #setGrants(channel: string, grants: readonly Grant[]): void {
    this.#grants.set(channel, grants)
    this.#index.set(channel, {
      senders: new Set(grants.map(({ sender }) => sender)),
      names: new Set(grants.flatMap(({ sender, aliases }) => [sender, ...aliases])),
    })
  }

  /** Without code and sender: who may read events may not read these. */
  #tell(channel: string): void {
    const { feed, tenantOf } = this.#parts
    feed.emit({ type: 'event', tenant: tenantOf(channel), name: 'channel.pairings', data: { channel, open: this.open(channel).length } })
  }
}

const noticeText = (channel: string, code: string): string =>
  [
    'I do not know you yet, so I have not read your message.',
    `To let you in, whoever runs this gateway has to run:\n\n\`openclaw channels pairings approve ${channel} ${code}\``,
    'The code is valid for one hour. Write again when that is done.',
  ].join('\n\n')

const noCode = (): NotFoundError =>
  new NotFoundError('There is no open pairing with this code: it was used, denied, or is older than an hour.', {
    code: 'PAIRING_NOT_FOUND',
  })
