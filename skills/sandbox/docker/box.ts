/**
 * One container with the conversation in it: how it is made, how it ended, and how it is got rid of. Who uses it is the pool's to say, what
 * is said in it the cell's.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { UnavailableError } from '#contract'
import type { Clock } from '#contract'
import type { Egress, EgressDoor } from '../../egress/egress.ts'
import { Cell } from '../cell.ts'
import { EngineRefusal, type Engine, type Line } from './engine.ts'
import type { Member } from './pool.ts'
import { containerBody, uidOf, type Profile } from './profile.ts'
import type { Terms } from './terms.ts'

export const LABELS = {
  /** Whose it is: one data folder. */
  instance: 'openclaw.instance',
  /** One life of a gateway. */
  epoch: 'openclaw.epoch',
  profile: 'openclaw.profile',
  slot: 'openclaw.slot',
  /** Name of its door out; '' for none. */
  door: 'openclaw.door',
} as const

export interface BoxOptions {
  readonly engine: Engine
  readonly clock: Clock
  readonly image: string
  readonly runtime: string | null
  readonly instance: string
  readonly epoch: string
  readonly terms: () => Promise<Terms>
  readonly egress: Egress | null
  /** A container that could not be made use of is being removed. */
  readonly onLeft: (removal: Promise<void>) => void
}

const READY_LIMIT_MS = 10_000
const PONG_LIMIT_MS = 5_000
const RETRY_MS = 1_000

export class Box implements Member {
  readonly id: string
  readonly cell: Cell
  readonly door: EgressDoor | null
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #line: Line
  #destroyed: Promise<void> | null = null

  constructor(parts: {
    readonly id: string
    readonly engine: Engine
    readonly clock: Clock
    readonly line: Line
    readonly door: EgressDoor | null
  }) {
    this.id = parts.id
    this.#engine = parts.engine
    this.#clock = parts.clock
    this.#line = parts.line
    this.door = parts.door
    this.cell = new Cell({ stdin: parts.line.input, stdout: parts.line.output, ended: parts.line.ended, clock: parts.clock })
  }

  get broken(): Promise<unknown> {
    return this.cell.broken
  }

  ping(): Promise<boolean> {
    return this.cell.ping(PONG_LIMIT_MS)
  }

  complaints(): string {
    return this.#line.complaints()
  }

  destroy(): Promise<void> {
    this.#destroyed ??= this.#destroy()
    return this.#destroyed
  }

  async #destroy(): Promise<void> {
    // Whoever waits for what it said goes first.
    await nextTurn()
    this.#line.close()
    await Promise.all([removeSurely(this.#engine, this.#clock, this.id), this.door?.close().catch(() => {})])
  }
}

/** Made, started and ready for its first call. @throws UnavailableError; then nothing is left of it, or it will be reaped */
export async function makeBox(profile: Profile, slot: number, options: BoxOptions, signal: AbortSignal): Promise<Box> {
  const { engine, clock, egress } = options
  if (profile.hasEgress && egress === null) throw unavailable('There is no way out for skills here, and this one declares hosts.')
  const [terms, door] = await Promise.all([options.terms(), profile.hasEgress ? (egress?.open() ?? null) : null])
  let id: string | null = null
  try {
    id = await create(profile, slot, options, { terms, door })
    const box = new Box({ id, engine, clock, door, line: await engine.attach(id) })
    await engine.start(id)
    const state = await box.cell.ready(READY_LIMIT_MS)
    if (signal.aborted) throw unavailable('The gateway is stopping.')
    if (state.is !== 'idle') {
      const said = box.complaints().trim().slice(-500)
      throw unavailable(
        `A sandbox did not become ready: ${state.is === 'broken' ? state.reason : state.is}.${said === '' ? '' : ` It said: ${said}`}`,
      )
    }
    return box
  } catch (error) {
    // Not waited for: whoever wants a sandbox learns now that there is none.
    if (id !== null) options.onLeft(removeSurely(engine, clock, id))
    await door?.close().catch(() => {})
    throw error
  }
}

async function create(
  profile: Profile,
  slot: number,
  { engine, image, runtime, instance, epoch }: BoxOptions,
  { terms, door }: { readonly terms: Terms; readonly door: EgressDoor | null },
): Promise<string> {
  const labels = {
    [LABELS.instance]: instance,
    [LABELS.epoch]: epoch,
    [LABELS.profile]: profile.key,
    [LABELS.slot]: String(slot),
    [LABELS.door]: door === null ? '' : (door.dir.split('/').at(-1) ?? ''),
  }
  const body = containerBody(profile, { image, runtime, terms, uid: uidOf(instance, slot), labels, egressDir: door?.dir ?? null })
  try {
    return await engine.create(body)
  } catch (error) {
    if (error instanceof EngineRefusal && error.status === 404) throw unavailable(noImage(image))
    throw error
  }
}

export const noImage = (image: string): string =>
  `The engine has no image ${image}, in which skills run. Build it with docker/build.sh runtime, or set \`skills.docker.image\`.`

/** As often as it takes; ends only when the engine is given up. */
export async function removeSurely(engine: Engine, clock: Clock, id: string): Promise<void> {
  for (;;) {
    try {
      return await engine.remove(id)
    } catch {
      if (engine.isStopped) return
      await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve))
    }
  }
}

const unavailable = (message: string): UnavailableError => new UnavailableError(message, { code: 'SANDBOX_UNAVAILABLE' })
