/** `Subscribe`: the events of the HTTP stream as messages. Why it ended is told by the status: shutting down, or the credential is gone. */
import { DeniedError, UnavailableError, isJsonObject } from '#contract'
import type { EventSink, JsonValue } from '#contract'
import type { OpenStream } from '../http/endpoint.ts'
import type { Outlet } from './outlet.ts'
import { fromObject } from './struct.ts'

export class Subscription implements OpenStream {
  readonly signal: AbortSignal
  readonly #outlet: Outlet
  readonly #isStopping: () => boolean

  constructor(outlet: Outlet, isStopping: () => boolean) {
    this.#outlet = outlet
    this.#isStopping = isStopping
    this.signal = outlet.signal
  }

  send(event: Parameters<EventSink['send']>[0]): boolean {
    const data: JsonValue = 'data' in event ? event.data : null
    const message = { id: Number(event.id ?? 0), type: event.event ?? '', data: fromObject(isJsonObject(data) ? data : {}) }
    return this.#outlet.write(message, JSON.stringify(data).length)
  }

  end(): void {
    this.#outlet.fail(this.#isStopping() ? drained() : ended())
  }
}

export const drained = (): UnavailableError =>
  new UnavailableError('The gateway is shutting down. Come back in a moment.', { code: 'DRAINING', retryAfterMs: 5_000 })
export const ended = (): DeniedError =>
  new DeniedError('The credential is not valid any more.', { code: 'CREDENTIAL_INVALID', reason: 'unauthenticated' })
