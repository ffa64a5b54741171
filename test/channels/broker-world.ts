/**
 * What the worlds of brokers share: what was said and is not acknowledged yet, what arrived, and a proxy that breaks the line when it is planned.
 * How something is said, and what is seen of it on the line, is each broker's own.
 */
import type { JsonObject } from '#contract'
import type { Arrived, ChannelWorld, Mishap, Saying } from '../contract/channel-world.ts'
import type { GatewayProcess } from '../support/gateway-process.ts'
import { News } from '../support/news.ts'
import type { TcpProxy } from '../support/tcp-proxy.ts'
import { attached } from './attached.ts'

interface Planned {
  readonly kind: Mishap
  times: number
  after: number
}

/** `Said`: all it takes to say it again. `Message`: what arrived, as the client library gives it. */
export abstract class BrokerWorld<Said, Message> implements ChannelWorld {
  readonly strangers: boolean = false
  readonly resend = 'id' as const
  readonly maxText: null = null
  abstract readonly lacks: ChannelWorld['lacks']
  abstract readonly settings: JsonObject
  abstract readonly secrets: readonly string[]
  protected readonly proxy: TcpProxy
  protected readonly news: News = new News()
  /** From now on the settings hold a wrong password. */
  protected isRefused = false
  readonly #said = new Map<string, Said>()
  readonly #open = new Set<string>()
  readonly #arrived: (Arrived & { readonly message: Message })[] = []
  #mishap: Planned | null = null

  protected constructor(proxy: TcpProxy) {
    this.proxy = proxy
  }

  abstract says(text: string, how?: Saying): Promise<string>
  abstract echo(arrived: Arrived): Promise<void>
  abstract garbage(): Promise<void>
  abstract refusals(): number
  /** To the broker, under this id; resolves when it has it. */
  protected abstract give(key: string, said: Said): Promise<void>

  attach(gateway: GatewayProcess): Promise<void> {
    return attached(gateway)
  }

  async redeliver(key: string): Promise<void> {
    const said = this.#said.get(key)
    if (said !== undefined) await this.#give(key, said)
  }

  unacknowledged(): readonly string[] {
    return [...this.#open]
  }

  arrived(): readonly Arrived[] {
    return this.#arrived
  }

  changed(): Promise<void> {
    return this.news.changed()
  }

  mishap(kind: Mishap, times = 1, after = 0): void {
    this.#mishap = { kind, times, after }
  }

  async cut(): Promise<void> {
    this.proxy.cut()
  }

  connections(): number {
    return this.proxy.open
  }

  async refuseCredentials(): Promise<void> {
    this.isRefused = true
  }

  async edit(): Promise<void> {}

  protected async publish(said: Said): Promise<string> {
    const key = `m-${this.#said.size}`
    this.#said.set(key, said)
    await this.#give(key, said)
    return key
  }

  /** Its answer can go nowhere: that is what these brokers have of a permanent fault. */
  protected isForNobody(): boolean {
    const isSo = this.#mishap?.kind === 'permanent'
    if (isSo) this.#mishap = null
    return isSo
  }

  protected settled(key: string): void {
    this.#open.delete(key)
  }

  /** A repeat is known by its id, as the promise for `id` wants it. */
  protected hear({ id, chat, text, message }: { id: string; chat: string; text: string; message: Message }): void {
    if (this.#arrived.some((one) => one.id === id)) return
    this.#arrived.push({ id, chat, text, raw: text, at: Date.now(), message })
    this.news.tell()
  }

  protected messageOf({ id }: Arrived): Message | undefined {
    return this.#arrived.find((one) => one.id === id)?.message
  }

  /** Whether the line breaks here: transient, before it is published; lost, after it is done and before that is told. */
  protected strikes(kind: 'transient' | 'lost'): boolean {
    const planned = this.#mishap
    if (planned === null || planned.kind !== kind || planned.after-- > 0) return false
    if (--planned.times === 0) this.#mishap = null
    return true
  }

  async #give(key: string, said: Said): Promise<void> {
    this.#open.add(key)
    await this.give(key, said)
    this.news.tell()
  }
}
