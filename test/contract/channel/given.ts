/** What each test of the channel suite is given: a world of its own, and a gateway that it starts, kills and asks. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { everyMessage, type MessageDocument } from '../../support/conversation.ts'
import { startGateway, temporaryFolder, type GatewayProcess, type Scope } from '../../support/gateway-process.ts'
import type { Arrived, ChannelWorld, Lack, OpenWorld, Saying } from '../channel-world.ts'

const SUBJECT = new URL('../channel-subject.ts', import.meta.url).pathname
const LIMIT_MS = 90_000
const WITHIN_MS = 30_000

export interface GivenWorld {
  /** A test that needs these of the world; where it lacks one the test is skipped and says why. */
  readonly test: (name: string, needs: readonly Lack[], run: (stage: Stage) => Promise<void>) => void
}

export const givenWorld = (open: OpenWorld): GivenWorld => ({
  test: (name, needs, run) => {
    test(name, { timeout: LIMIT_MS }, async (context) => {
      const hooks: (() => Promise<void>)[] = []
      const scope: Scope = { after: (hook) => void hooks.push(hook) }
      try {
        const world = await open(scope)
        const lack = needs.find((need) => world.lacks[need] !== undefined)
        if (lack === undefined) await run(new Stage(world, scope))
        else context.skip(`${lack}: ${world.lacks[lack]}`)
      } finally {
        // The gateway first, then what it is connected to.
        for (const hook of hooks.toReversed()) await hook()
      }
    })
  },
})

export class Stage {
  readonly world: ChannelWorld
  readonly #scope: Scope
  readonly #dir: string
  #gateway: GatewayProcess | null = null

  constructor(world: ChannelWorld, scope: Scope) {
    this.world = world
    this.#scope = scope
    this.#dir = temporaryFolder(scope)
  }

  get gateway(): GatewayProcess {
    assert.ok(this.#gateway, 'the gateway was not started')
    return this.#gateway
  }

  get channel(): string {
    return this.world.standing ?? 'wire'
  }

  /** Starts it, or starts it again in the same folder. `killAt`: a point of channel-subject.ts. */
  async start(killAt?: string, over: { readonly [key: string]: unknown } = {}): Promise<void> {
    const { world } = this
    const account = { ...world.settings, ...(world.strangers ? { access: 'open' } : {}), ...over }
    const env = {
      ...(killAt === undefined ? {} : { OPENCLAW_TEST_KILL: killAt }),
      ...(world.preload === undefined ? {} : { OPENCLAW_TEST_PRELOAD: world.preload }),
    }
    this.#gateway = await startGateway(this.#scope, {
      dir: this.#dir,
      entry: SUBJECT,
      env,
      config: {
        // One reply each.
        agents: { assistant: { queue: { cap: 1 } } },
        delivery: { base: '100ms', cap: '500ms' },
        ...(world.standing === undefined ? { channels: { wire: account } } : {}),
      },
    })
    await world.attach(this.#gateway)
  }

  /** The process has been killed at its point. */
  async died(): Promise<void> {
    const exit = await this.gateway.ended
    assert.equal(exit.signal, 'SIGKILL', this.gateway.output())
  }

  /** Says it and waits for the one answer to it. */
  async ask(text: string, how?: Saying): Promise<Arrived> {
    await this.world.says(text, how)
    return this.answered(text)
  }

  async answered(text: string): Promise<Arrived> {
    await this.until(() => this.answers(text).length > 0, `an answer to "${text}"`)
    const [first] = this.answers(text)
    assert.ok(first)
    return first
  }

  /** What arrived that repeats this text to its end. */
  answers(text: string): readonly Arrived[] {
    return this.world.arrived().filter((part) => part.text.trimEnd().endsWith(`You said: ${text}`))
  }

  /** What this channel took in, oldest first. */
  async inbox(): Promise<readonly MessageDocument[]> {
    const all = (await everyMessage(this.gateway)) as readonly (MessageDocument & { readonly channel: string })[]
    return all.filter((message) => message.channel === this.channel).toReversed()
  }

  async texts(): Promise<readonly string[]> {
    return (await this.inbox()).map((message) => message.payload.text ?? '')
  }

  /** The letters that are open. */
  async deadLetters(): Promise<readonly { readonly kind: string; readonly reason: { readonly code: string } }[]> {
    const answer = await this.gateway.fetch('/v1/dead-letters?limit=200')
    return ((await answer.json()) as { readonly data: readonly { readonly kind: string; readonly reason: { readonly code: string } }[] })
      .data
  }

  async status(): Promise<{ readonly state: string; readonly reason: string | null }> {
    const answer = await this.gateway.fetch('/v1/channels')
    const { data } = (await answer.json()) as {
      readonly data: readonly { readonly name: string; readonly state: string; readonly reason: string | null }[]
    }
    const found = data.find(({ name }) => name === this.channel)
    assert.ok(found)
    return found
  }

  /** Nobody tells a test what the gateway thinks, so it looks again at every news of the world, and now and then. */
  async until(holds: () => boolean | Promise<boolean>, what: string, withinMs: number = WITHIN_MS): Promise<void> {
    for (const deadline = Date.now() + withinMs; ;) {
      const change = this.world.changed()
      if (await holds()) return
      assert.ok(Date.now() < deadline, `${what} did not happen within ${withinMs} ms\n${this.#report()}`)
      await Promise.race([change, delay(50)])
    }
  }

  /** That something does not happen can only be watched for a time. */
  async never(happens: () => boolean | Promise<boolean>, what: string, forMs = 500): Promise<void> {
    for (const end = Date.now() + forMs; Date.now() < end; await delay(25)) assert.ok(!(await happens()), what)
  }

  #report(): string {
    return `arrived: ${JSON.stringify(this.world.arrived().slice(-5))}\nunacknowledged: ${this.world.unacknowledged().slice(0, 5).join(', ')}\n${this.#gateway?.output().slice(-3_000) ?? ''}`
  }
}
